"""What a reader sees of a number or a name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oodml.metrics import METRICS
from oodml.report import text


@pytest.mark.parametrize(
    ("value", "shown", "with_sign"),
    [
        (0.81249, "0.812", "+0.812"),
        (-0.2041, "\u22120.204", "\u22120.204"),
        (0.0004, "0.000", "0.000"),
        (-0.0004, "0.000", "0.000"),
        (1.0, "1.000", "+1.000"),
    ],
)
def test_numbers_round_to_three_decimals_and_nothing_is_minus_zero(value: float, shown: str, with_sign: str) -> None:
    assert text.number(value) == shown
    assert text.signed(value) == with_sign


def test_an_unknown_change_shows_nothing() -> None:
    assert text.signed(None) == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [(2.5, "2.50"), (0.0, "0.00"), (11.54, "11.5"), (235.1, "235"), (12345.6, "12346"), (0.01234, "0.012")],
)
def test_shifts_keep_about_three_digits(value: float, shown: str) -> None:
    assert text.shift(value) == shown


def test_symmetric_intervals_show_a_half_width_and_others_their_ends() -> None:
    assert text.spread(0.8, 0.79, 0.81) == "\u00b1 0.010"
    assert text.spread(0.8, 0.75, 0.81) == "[0.750, 0.810]"
    assert text.spread(0.8, None, None) == ""


@given(st.floats(0, 1), st.floats(0.0006, 1))
def test_every_interval_shows_a_width(mean: float, half: float) -> None:
    assert text.spread(mean, mean - half, mean + half) not in ("", "\u00b1 0.000")


def test_ranks_are_ranges_unless_certain() -> None:
    assert [text.rank_range(1, 3), text.rank_range(2, 2), text.rank_range(None, None)] == ["1\u20133", "2", ""]


def test_metrics_have_names_in_prose() -> None:
    names = [text.metric_name(name) for name in ("recall_at_1", "map_at_r", "ags_recall_at_4", "my_metric")]
    assert names == ["Recall@1", "MAP@R", "AGS of Recall@4", "my_metric"]
    names = [text.metric_name(name) for name in ("map_at_1000", "nmi", "map_at_r_macro", "ags_rho_2", "uniformity")]
    assert names == ["MAP@1000", "NMI", "MAP@R, mean of classes", "AGS of spectral decay ρ(2) ↓", "uniformity ↓"]


def test_every_metric_where_lower_is_better_says_so() -> None:
    for metric in METRICS.values():
        assert text.metric_name(metric.name).endswith("↓") != metric.higher_is_better


def test_the_interval_of_the_leaderboard_is_put_in_words() -> None:
    assert text.interval_name("t95 over seeds") == "95 % Student's t over seeds"
    assert text.interval_name("bootstrap over seeds") == "bootstrap over seeds"


def test_long_labels_lose_their_middle_but_never_their_difference() -> None:
    short = text.shorten(["margin", "margin (resnet50.tv_in1k, beta=0.6)"])
    assert short[0] == "margin"
    assert len(short[1]) == 22
    assert short[1].startswith("margin (") and short[1].endswith("ta=0.6)")
    alike = ["x" * 20 + "1" + "x" * 20, "x" * 20 + "2" + "x" * 20]
    assert text.shorten(alike) == alike


@given(st.text(max_size=40))
def test_slugs_are_safe_in_file_names(raw: str) -> None:
    slug = text.slug(raw)
    assert slug and set(slug) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def test_errors_fit_on_one_line() -> None:
    assert text.one_line("a\n  b\tc") == "a b c"
    assert len(text.one_line("word " * 500, 100)) <= 100
