"""Curves of many methods: what is named, what is grey, and where a script finds the points."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from figure_texts import all_texts, along, assert_apart_and_inside, svg_groups, svg_texts
from report_frames import METHODS, make_section

from oodml.report import charts
from oodml.report.curves import locate, marks, paint_curves
from oodml.report.endings import BAND
from oodml.report.export import Picture
from oodml.report.highlight import chosen
from oodml.report.pictures import draw
from oodml.report.style import LIGHT, drawing, looks
from oodml.report.view import View, views
from oodml.statistics import fit_line

MANY = (*(f"method_{i:02d}" for i in range(51)), "frozen")
PIXEL = 96 / 72


@pytest.fixture(scope="module", name="view")
def _view() -> View:
    return views(make_section(methods=MANY, done={("method_03", 4): 0}))[0]


@pytest.fixture(scope="module", name="picture")
def _picture(view: View, tmp_path_factory: pytest.TempPathFactory) -> Picture:
    options = {"figures": ["curves"], "band": (0.2, 0.3)}
    (made,) = draw(tmp_path_factory.mktemp("many"), "x", view, "recall_at_1", MANY, **options)  # type: ignore[arg-type]
    return made


def test_the_best_and_the_control_are_named_and_the_rest_is_one_grey_key(picture: Picture, view: View) -> None:
    texts = svg_texts(picture.svg)
    named = chosen(view, "recall_at_1")
    assert len(named) == 9 and "frozen" in named
    assert picture.caption.endswith("In colour: the best 8 of 52 methods and the controls.")
    assert [text for text in texts if text in MANY] == [text for text in texts if text in named]
    assert set(named) <= set(texts) and {"43 other methods", BAND, "untrained reference"} <= set(texts)
    grey = [i for i in svg_groups(picture.svg) if i.startswith("m") and i.endswith("-curve")]
    assert len(grey) == 52
    assert picture.svg.count(LIGHT.other.encode()) == 44  # a line each, and the key


def test_the_svg_is_small(picture: Picture) -> None:
    assert len(picture.svg) < 150_000


def test_every_value_has_its_place_in_the_line_of_its_method(picture: Picture, view: View) -> None:
    assert len(picture.points) == 52 * 8 - 1
    groups = svg_groups(picture.svg)
    for series, method in enumerate(view.methods):
        points = [point for point in picture.points if point.series == series]
        assert {point.method for point in points} == {method}
        path = str(groups[f"line-{series}"][0].get("d"))
        drawn = [[float(n) * PIXEL for n in pair] for pair in re.findall(r"[ML] (\S+) (\S+)", path)]
        assert len(drawn) == len(points)
        assert [n for pair in drawn for n in pair] == pytest.approx([n for p in points for n in (p.x, p.y)], abs=0.03)


def test_a_point_says_what_the_table_says(picture: Picture, view: View) -> None:
    point = next(p for p in picture.points if p.method == "method_07" and p.level == 5)
    cell = view.cells["method_07", 5, "recall_at_1"]
    assert (point.value, point.low, point.high, point.n) == (cell.mean, cell.low, cell.high, 3)
    assert (point.shift, point.series) == (10.0, view.methods.index("method_07"))
    assert 0 < point.x < picture.width and 0 < point.y < picture.height


def test_the_units_of_the_svg_are_css_pixels(picture: Picture) -> None:
    (found,) = re.findall(rb'width="([\d.]+)" height="([\d.]+)" viewBox="0 0 ([\d.]+) ([\d.]+)"', picture.svg)
    assert found[:2] == found[2:]
    assert [float(side) for side in found[:2]] == pytest.approx([picture.width, picture.height], abs=0.6)


def test_everything_of_a_method_is_in_groups_of_its_own(picture: Picture, view: View) -> None:
    best = view.methods.index(chosen(view, "recall_at_1")[0])
    groups = [name for name in svg_groups(picture.svg) if name.startswith(f"m{best}-")]
    assert sorted(part.split("-")[1] for part in groups) == ["bars", "curve", "key", "label", "tie"]
    label = svg_groups(picture.svg)[f"m{best}-label"]
    assert "".join(label.itertext()).strip() == view.methods[best]


def test_the_same_method_has_the_same_number_in_all_curves(view: View, tmp_path: Path) -> None:
    small = views(make_section(count=3, methods=METHODS[:3], done={("arcface", 0): 0}))[0]
    made = draw(tmp_path, "x", small, "recall_at_1", METHODS, figures=["curves", "mean", "reference"])
    numbers = [{point.method: point.series for point in picture.points} for picture in made]
    assert numbers == [{"arcface": 0, "contrastive": 1, "frozen": 2}] * 3


@pytest.mark.parametrize("make", [charts.degradation, charts.against_mean, charts.against_reference])
def test_labels_of_many_methods_stay_apart(view: View, make: charts.Chart) -> None:
    chart = make(view, "recall_at_1")  # type: ignore[operator]
    with drawing():
        figure = paint_curves(chart, looks(MANY, LIGHT).only(chosen(view, "recall_at_1")), LIGHT)
        assert_apart_and_inside(figure, figure.texts)


def test_ticks_of_a_narrow_range_are_not_cut() -> None:
    (view,) = views(make_section(count=2, methods=METHODS[:1]))
    chart = charts.against_mean(view, "recall_at_1")  # all zero
    with drawing():
        figure = paint_curves(chart, looks(METHODS, LIGHT), LIGHT)
        assert_apart_and_inside(figure, [t for t in all_texts(figure) if "0.00" in t.get_text()])


def test_ticks_have_the_decimals_they_need() -> None:
    assert list(marks(0.0, 1.0).values()) == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert marks(-0.03, 0.03) == {-0.02: "\u22120.02", 0: "0.00", 0.02: "0.02"}
    assert marks(-0.06, 0.06)[-0.025] == "\u22120.025"
    assert all(float(name.replace("\u2212", "-")) == pytest.approx(tick) for tick, name in marks(1e-4, 7e-4).items())


def test_the_change_against_the_mean_has_the_least_squares_line_of_each_method() -> None:
    (view,) = views(make_section(count=5, methods=METHODS[:3]))
    chart = charts.against_mean(view, "recall_at_1")
    with drawing():
        figure = paint_curves(chart, looks(METHODS, LIGHT), LIGHT)
    shifts = [level.shift for level in view.levels]
    for series, method in enumerate(view.methods):
        intercept, slope = fit_line(shifts, [point.y for point in chart.lines[method] if point])
        (line,) = [artist for artist in figure.axes[0].lines if artist.get_gid() == f"m{series}-fit"]
        assert along(line, "x") == [shifts[0], shifts[-1]]
        assert along(line, "y") == pytest.approx([intercept + slope * x for x in (shifts[0], shifts[-1])])


def test_two_points_have_no_fitted_line() -> None:
    (view,) = views(make_section(count=2, methods=METHODS[:3]))
    assert charts.against_mean(view, "recall_at_1").fits == {}


def test_the_band_spans_the_values_given() -> None:
    (view,) = views(make_section(count=3, methods=METHODS[:2]))
    chart = charts.degradation(view, "recall_at_1", (0.1, 0.2))
    with drawing():
        figure = paint_curves(chart, looks(METHODS, LIGHT), LIGHT)
        assert len(locate(figure, chart, looks(METHODS, LIGHT))) == 6
    (band,) = [patch for patch in figure.axes[0].patches if patch.get_gid() == "band-area"]
    assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx((0.1, 0.2))  # type: ignore[attr-defined]
    assert figure.axes[0].get_ylim()[0] < 0.1
    assert BAND in [text.get_text() for text in figure.texts]


def test_names_are_taken_literally_in_every_figure(tmp_path: Path) -> None:
    hostile = ("<b>&$x_1$", "$y^2$", "margin")
    (view,) = views(make_section(count=3, methods=hostile))
    painted = draw(tmp_path, "x", view, "recall_at_1", hostile, seconds=dict.fromkeys(hostile, 3.0))
    for picture in painted:
        if not picture.stem.endswith(("_ladder", "_pareto")):
            assert set(hostile) <= set(svg_texts(picture.svg)), picture.stem
    assert "<b>&$x_1$" in svg_texts(next(p.svg for p in painted if p.stem.endswith("_pareto")))
