"""What the curve figures show, without drawing."""

from __future__ import annotations

import pytest
from report_frames import METHODS, make_mean, make_section

from oodml.report import charts
from oodml.report.charts import Point
from oodml.report.curves import limits
from oodml.report.view import views

TWO = ("arcface", "contrastive")


def test_the_degradation_curve_shows_means_intervals_and_the_reference() -> None:
    (view,) = views(make_section(count=3))
    chart = charts.degradation(view, "recall_at_1")
    mean = make_mean(0, 1, "recall_at_1")
    assert chart.lines["arcface"][1] == Point(mean, mean - 0.006, mean + 0.006, 3)
    assert chart.baseline == pytest.approx([0.64, 0.625, 0.61])
    assert chart.baseline_label == "untrained reference"


def test_a_gap_is_a_gap_in_every_chart() -> None:
    (view,) = views(make_section(count=3, done={("margin", 1): 0}))
    for make in (charts.degradation, charts.against_mean, charts.against_reference):
        assert make(view, "recall_at_1").lines["margin"][1] is None


def test_the_change_against_the_mean_sums_to_zero_where_all_methods_have_a_value() -> None:
    (view,) = views(make_section(count=4, done={("margin", 2): 0}))
    chart = charts.against_mean(view, "recall_at_1")
    for position in (0, 1, 3):
        points = [line[position] for line in chart.lines.values()]
        assert sum(point.y for point in points if point) == pytest.approx(0, abs=1e-12)
        assert all(point and point.low is None for point in points)
    assert chart.blank == (2,)
    assert all(line[2] is None for line in chart.lines.values())
    assert chart.note


def test_the_change_against_the_mean_of_two_methods_is_half_their_distance() -> None:
    (view,) = views(make_section(count=2, methods=TWO))
    chart = charts.against_mean(view, "map_at_r")
    half = (make_mean(0, 1, "map_at_r") - make_mean(1, 1, "map_at_r")) / 2
    ends = [line[1] for line in chart.lines.values()]
    assert [point.y for point in ends if point] == pytest.approx([half, -half])


def test_the_interval_moves_with_the_change_against_the_reference() -> None:
    (view,) = views(make_section(count=2))
    point = charts.against_reference(view, "recall_at_1").lines["contrastive"][1]
    expected = make_mean(1, 1, "recall_at_1") - 0.625
    assert point is not None and point.low is not None and point.high is not None
    assert [point.low, point.y, point.high] == pytest.approx([expected - 0.008, expected, expected + 0.008])


def test_without_a_reference_there_is_nothing_to_compare_with() -> None:
    (view,) = views(make_section(count=2, reference=False))
    assert charts.against_reference(view, "recall_at_1").empty
    assert charts.degradation(view, "recall_at_1").baseline_label == ""


def test_limits_hold_all_means_but_not_all_of_a_wild_interval() -> None:
    (view,) = views(make_section(count=3, methods=TWO))
    chart = charts.degradation(view, "recall_at_1")
    wild = {method: tuple(Point(p.y, p.y - 5, p.y + 5) for p in line if p) for method, line in chart.lines.items()}
    low, high = limits(charts.Chart("y", chart.levels, wild, chart.baseline, ""))
    means = [p.y for line in chart.lines.values() for p in line if p] + [0.64, 0.61]
    assert low < min(means) and high > max(means)
    assert high - low < 3 * (max(means) - min(means))


def test_limits_of_nothing_are_a_unit() -> None:
    (view,) = views(make_section(count=2, reference=False, done={(m, i): 0 for m in METHODS for i in range(2)}))
    assert limits(charts.degradation(view, "recall_at_1")) == (0.0, 1.0)
