"""Critical-difference diagrams: who takes part, which groups are drawn, and that nothing overlaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from figure_texts import all_texts, assert_apart_and_inside, svg_texts
from hypothesis import given
from hypothesis import strategies as st
from report_frames import METHODS, make_mean, make_section

from oodml.report.critical import Diagram, best_groups, gather, paint_critical, stack
from oodml.report.export import Picture
from oodml.report.further_pictures import draw_overall, listed
from oodml.report.pictures import draw
from oodml.report.style import LIGHT, drawing, looks
from oodml.report.view import View, views

MANY = tuple(f"method_{i:02d}" for i in range(30))
GROUPS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)).map(lambda g: (min(g), max(g))), max_size=8)


def the_view(**options: object) -> View:
    return views(make_section(**options))[0]  # type: ignore[arg-type]


def draw_one(folder: Path, view: View) -> Picture | None:
    made = draw(folder, "x", view, "recall_at_1", view.methods, figures=["critical"])
    return made[0] if made else None


def test_only_methods_without_gaps_take_part() -> None:
    blocks = gather([the_view(count=4, done={("margin", 2): 0})], "recall_at_1")
    assert blocks.left_out == ("margin",)
    assert blocks.methods == tuple(m for m in METHODS if m != "margin")
    assert len(blocks.values) == 4
    assert blocks.values[2][0] == pytest.approx(make_mean(0, 2, "recall_at_1"))


def test_a_level_that_no_method_has_is_no_block() -> None:
    blocks = gather([the_view(count=4, done={(m, 1): 0 for m in METHODS})], "recall_at_1")
    assert (len(blocks.values), blocks.left_out) == (3, ())


def test_levels_of_several_datasets_are_blocks_of_one_diagram() -> None:
    one, two = the_view(count=3), the_view(count=2, methods=METHODS[:4], benchmark="other")
    blocks = gather([one, two], "recall_at_1")
    assert (blocks.methods, len(blocks.values)) == (METHODS[:4], 5)
    assert blocks.left_out == METHODS[4:]


@pytest.mark.parametrize("options", [{"count": 1}, {"count": 4, "methods": METHODS[:1]}])
def test_one_block_or_one_method_has_no_diagram(options: dict[str, object], tmp_path: Path) -> None:
    assert draw_one(tmp_path, the_view(**options)) is None


def test_the_caption_names_who_is_left_out_and_what_is_shown(tmp_path: Path) -> None:
    view = the_view(methods=MANY, count=4, done={("method_11", 0): 0})
    picture = draw_one(tmp_path, view)
    assert picture is not None
    ranks = {m: [] for m in MANY if m != "method_11"}  # type: dict[str, list[float]]
    for level in view.levels:
        values = {m: view.mean(m, level, "recall_at_1") or 0.0 for m in ranks}
        for method in ranks:
            ranks[method].append(1 + sum(other > values[method] for other in values.values()))
    best = sorted(ranks, key=lambda m: (np.mean(ranks[m]), m))[:20]
    texts = svg_texts(picture.svg)
    assert {text for text in texts if text in MANY} == set(best)
    assert "the best 20 of 29 methods" in texts and "Shown: the best 20 of 29 methods" in picture.caption
    assert picture.caption.endswith("because they lack a value: method_11.")


def test_over_datasets_it_needs_two_of_them(tmp_path: Path) -> None:
    one, two = the_view(count=3), the_view(count=2, benchmark="other")
    assert draw_overall(tmp_path, "all", [one], "recall_at_1", METHODS) is None
    picture = draw_overall(tmp_path, "all", [one, two], "recall_at_1", METHODS)
    assert picture is not None and picture.stem == "all_recall_at_1_critical"
    assert "Mean rank of Recall@1 over 5 levels and datasets" in svg_texts(picture.svg)
    assert set(METHODS) <= set(svg_texts(picture.svg))


def test_groups_are_cut_to_what_is_shown() -> None:
    assert best_groups([(0, 2), (1, 4), (3, 9), (5, 6)], 5) == ((0, 2), (1, 4))
    assert best_groups([(0, 30)], 20) == ((0, 19),)
    assert best_groups([(0, 1), (4, 9)], 5) == ((0, 1),)
    assert best_groups([], 5) == ()


@given(GROUPS)
def test_bars_in_one_row_share_no_method(groups: list[tuple[int, int]]) -> None:
    rows = stack(groups)
    for i, (first, last) in enumerate(groups):
        for j in range(i):
            if rows[i] == rows[j]:
                assert last < groups[j][0] or first > groups[j][1]


def paint(count: int, groups: tuple[tuple[int, int], ...] = (), distance: float = 1.0) -> tuple[Diagram, object]:
    ranks = {f"method_{i}": 1.0 + i * i / 10 for i in range(count)}
    diagram = Diagram("title", "", ranks, groups, distance)
    with drawing():
        return diagram, paint_critical(diagram, looks(list(ranks)[:3], LIGHT), LIGHT)


@pytest.mark.parametrize("count", [2, 3, 9, 20])
def test_names_stay_apart(count: int) -> None:
    with drawing():
        diagram, figure = paint(count, ((0, 1),))
        texts = [text for text in all_texts(figure) if text.get_text() in diagram.ranks]  # type: ignore[arg-type]
        assert len(texts) == count
        assert_apart_and_inside(figure, all_texts(figure))  # type: ignore[arg-type]


def test_the_bar_of_a_group_spans_its_ranks_and_the_critical_difference_has_its_length() -> None:
    diagram, figure = paint(6, ((1, 3),), 2.0)
    lines = figure.axes[0].lines  # type: ignore[attr-defined]
    (bar,) = [line for line in lines if line.get_gid() == "group"]
    arms = [line.get_xdata()[0] for line in lines if len(line.get_xdata()) == 3]  # where they leave the axis
    assert len(arms) == 6
    assert list(bar.get_xdata()) == pytest.approx([arms[1] - 0.03, arms[3] + 0.03])
    inch = (arms[5] - arms[0]) / (diagram.ranks["method_5"] - diagram.ranks["method_0"])
    assert [arm - arms[0] for arm in arms] == pytest.approx([i * i / 10 * inch for i in range(6)])
    lengths = [line.get_xdata()[1] - line.get_xdata()[0] for line in lines if line.get_linewidth() == 1.2]
    assert lengths[0] == pytest.approx(2.0 * inch)


def test_a_difference_beyond_the_axis_is_a_number() -> None:
    _, figure = paint(3, (), 50.0)
    assert "critical difference 50.00, more than is shown" in [t.get_text() for t in all_texts(figure)]  # type: ignore[arg-type]


def test_a_caption_counts_what_it_cannot_name() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(i) for i in range(30)]).endswith("10 and 19 more")
