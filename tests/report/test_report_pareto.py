"""Training time against AGS: who is on the front, and that its names do not meet."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from figure_texts import all_texts, along, assert_apart_and_inside, svg_texts
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from report_frames import METHODS, make_section

from oodml.report.pareto import Costs, paint_pareto, ticks
from oodml.report.pictures import draw
from oodml.report.placing import climb
from oodml.report.style import LIGHT, drawing, looks
from oodml.report.view import views

POINTS = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=12)


def make_costs(points: list[tuple[float, float]], higher: bool = True) -> Costs:
    names = [f"method_{i}" for i in range(len(points))]
    times, scores = ({m: float(p[k]) for m, p in zip(names, points, strict=True)} for k in (0, 1))
    return Costs("AGS", times, scores, higher)


@given(POINTS, st.booleans())
def test_the_front_is_who_nobody_beats(points: list[tuple[int, int]], higher: bool) -> None:
    costs = make_costs(list(points), higher)
    sign = 1 if higher else -1

    def beaten(method: str) -> bool:
        time, score = costs.seconds[method], sign * costs.scores[method]
        return any(
            costs.seconds[m] <= time
            and sign * costs.scores[m] >= score
            and (costs.seconds[m], sign * costs.scores[m]) != (time, score)
            for m in costs.scores
        )

    assert set(costs.front) == {method for method in costs.scores if not beaten(method)}
    assert len(set(costs.front)) == len(costs.front)
    times = [costs.seconds[method] for method in costs.front]
    assert times == sorted(times)


def paint(costs: Costs) -> Figure:
    with drawing():
        return paint_pareto(costs, looks(list(costs.scores)[:2], LIGHT), LIGHT)


CROWD = [(10 * 1.05**i, 0.5 + 0.001 * i) for i in range(16)] + [(30.0, 0.2), (12.0, 0.1)]


@pytest.mark.parametrize(
    ("points", "higher"),
    [
        ([(10.0, 0.5)], True),
        ([(10.0, 0.5), (10.0, 0.5)], True),
        ([(10.0, 0.5), (1e5, 0.9), (2e4, 0.7)], True),
        (CROWD, True),
        ([(x, -y) for x, y in CROWD], False),
    ],
    ids=["one", "equal", "far", "crowd", "errors"],
)
def test_names_of_the_front_stay_apart_and_off_the_line(points: list[tuple[float, float]], higher: bool) -> None:
    costs = make_costs(points, higher)
    with drawing():
        figure = paint(costs)
        names = [text for text in figure.texts if text.get_gid() == "front-label"]
        assert [text.get_text() for text in names] == list(costs.front)
        assert_apart_and_inside(figure, all_texts(figure))
        (axes,) = figure.axes
        for method, text in zip(costs.front, names, strict=True):
            x, y = axes.transData.transform((costs.seconds[method], costs.scores[method]))
            box = text.get_window_extent()
            assert box.x1 < x and (box.y0 + box.y1) / 2 > y - 3


def test_the_step_line_runs_through_the_front_to_the_edge() -> None:
    costs = make_costs([(10, 0.5), (40, 0.7), (20, 0.4), (80, 0.6)])
    figure = paint(costs)
    (line,) = [line for line in figure.axes[0].lines if line.get_drawstyle() == "steps-post"]
    assert along(line, "x")[:2] == [10, 40] and along(line, "y") == [0.5, 0.7, 0.7]
    assert along(line, "x")[-1] == figure.axes[0].get_xlim()[1]
    (others,) = [line for line in figure.axes[0].lines if line.get_gid() == "others"]
    assert sorted(along(others, "y")) == [0.4, 0.6] and others.get_color() == LIGHT.other


def test_the_better_scores_are_on_top_in_either_direction() -> None:
    low, high = paint(make_costs([(10, 0.5), (40, 0.7)], False)).axes[0].get_ylim()
    assert low > high


def test_ticks_are_times_that_people_think_in() -> None:
    assert list(ticks(8, 130).values()) == ["10 s", "20 s", "30 s", "1 min", "2 min"]
    assert list(ticks(1000, 8000).values()) == ["20 min", "30 min", "1 h", "2 h"]
    assert len(ticks(0.5, 1e6)) <= 6
    assert ticks(3.1, 3.2) == {}


def test_methods_without_time_or_ags_are_named_and_the_device_is_spoken_of(tmp_path: Path) -> None:
    (view,) = views(make_section(count=3, done={("triplet", 1): 0}))
    seconds = {method: 10.0 + i for i, method in enumerate(METHODS)} | {"frozen": 0.0}
    del seconds["margin"]
    (picture,) = draw(tmp_path, "x", view, "recall_at_1", METHODS, figures=["pareto"], seconds=seconds)
    assert picture.stem == "x_recall_at_1_pareto"
    assert picture.caption.endswith("Left out, without a training time or an AGS: frozen, margin, triplet.")
    assert "same kind of device" in picture.caption
    assert "arcface" in svg_texts(picture.svg)  # the fastest and the best


def test_without_times_there_is_no_front(tmp_path: Path) -> None:
    (view,) = views(make_section(count=2))
    assert draw(tmp_path, "x", view, "recall_at_1", METHODS, figures=["pareto"]) == ()


@given(st.lists(st.floats(0, 10), max_size=20).map(sorted))
def test_climbing_labels_are_as_low_as_they_can_be(wanted: list[float]) -> None:
    placed = climb(wanted, 0.5)
    assert all(place >= want for place, want in zip(placed, wanted, strict=True))
    for i, (before, after) in enumerate(itertools.pairwise(placed)):
        assert after - before >= 0.5 - 1e-9
        assert after == wanted[i + 1] or after - before == pytest.approx(0.5)
