"""Which methods are named where there are many, and what they are called."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from report_frames import METHODS, make_section

from oodml.report.highlight import ALL, BEST, best_first, chosen, coloured
from oodml.report.naming import short_names
from oodml.report.style import LIGHT, looks
from oodml.report.view import View, views

MANY = tuple(f"method_{i:02d}" for i in range(20))


def the_view(**options: object) -> View:
    return views(make_section(**options))[0]  # type: ignore[arg-type]


def test_all_of_a_dozen_are_named_and_the_best_of_more() -> None:
    few, many = the_view(methods=MANY[:ALL], count=3), the_view(methods=MANY[: ALL + 1], count=3)
    assert set(chosen(few, "recall_at_1")) == set(MANY[:ALL])
    areas = {m: many.ags[m, "recall_at_1"].mean or 0.0 for m in many.methods}
    assert list(chosen(many, "recall_at_1")) == sorted(areas, key=lambda m: -areas[m])[:BEST]


def test_controls_are_named_wherever_they_stand() -> None:
    view = the_view(methods=(*MANY, "frozen", "frozen_too", "linear"), count=3)
    assert chosen(view, "recall_at_1")[BEST:] == ("frozen", "linear")


def test_the_best_of_an_error_are_the_lowest() -> None:
    view = the_view(methods=MANY, count=2)
    turned = replace(view, ags={(m, "uniformity"): cell for (m, name), cell in view.ags.items() if name == "map_at_r"})
    assert best_first(turned, "uniformity") == best_first(view, "map_at_r")[::-1]


def test_without_ags_the_hardest_level_decides_and_gaps_come_last() -> None:
    done = {(m, 0): 0 for m in MANY} | {("method_00", 1): 0}
    view = the_view(methods=MANY, count=2, done=done)
    means = {m: view.cells[m, 1, "recall_at_1"].mean for m in MANY}
    known = sorted((m for m in MANY if means[m] is not None), key=lambda m: -(means[m] or 0.0))
    assert best_first(view, "recall_at_1") == [*known, "method_00"]


def test_colours_follow_the_figures_and_are_given_once() -> None:
    first, second = (views(make_section(methods=names, count=2))[0] for names in (MANY, METHODS))
    order = coloured([first, second], ["recall_at_1", "map_at_r"])
    assert order[:BEST] == chosen(first, "recall_at_1")
    assert len(set(order)) == len(order)
    assert set(order) == set(chosen(first, "recall_at_1")) | set(chosen(first, "map_at_r")) | set(METHODS)
    assert len({look.colour for look in list(looks(order, LIGHT).values())[:BEST]}) == BEST


def test_a_sweep_with_adaptations_alone_has_colours() -> None:
    adapted = replace(the_view(methods=MANY, count=2), few_shot=(5, "linear"))
    assert coloured([adapted], ["recall_at_1"]) == chosen(adapted, "recall_at_1")
    assert set(coloured([the_view(count=2), adapted], ["recall_at_1"])) == set(METHODS)  # it has no curves of its own


def test_few_methods_have_their_colours_by_name() -> None:
    assert coloured([the_view(count=2)], ["recall_at_1"]) == METHODS


def test_whoever_is_not_named_is_grey_and_the_rest_keeps_its_look() -> None:
    found = looks(MANY[:4], LIGHT)
    assert found["other"].grey and found["other"].colour == LIGHT.other
    assert found.only(MANY[1:2])[MANY[1]] == found[MANY[1]] and found.only(MANY[1:2])[MANY[0]].grey


def test_a_name_keeps_what_tells_it_from_the_others() -> None:
    long = [f"a_very_long_method_name (beta={i}, backbone=resnet50)" for i in range(3)]
    names = short_names([*long, "margin"])
    assert names["margin"] == "margin"
    assert [name for name in names.values() if len(name) > 22] == []
    assert all(f"beta={i}" in names[long[i]] for i in range(3))


@given(st.lists(st.text(alphabet="ab_", min_size=1, max_size=40), unique=True, max_size=6))
def test_names_of_different_methods_differ(methods: list[str]) -> None:
    names = short_names(methods)
    assert list(names) == methods and len(set(names.values())) == len(methods)
    assert all(names[m] == m for m in methods if len(m) <= 22)
