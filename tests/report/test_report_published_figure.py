"""The figure of ours beside the published curves: what is drawn where, and what gaps look like."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from published_case import paper_config, published_ladder, published_rows, published_section, recall_near

from oodml.published import Reading, published_study
from oodml.report.charts import Point
from oodml.report.export import Painter, Picture
from oodml.report.published import compose_published
from oodml.report.published_figure import Beside, BesideChart, limits, paint_beside
from oodml.report.style import DARK, LIGHT, Theme, drawing, looks

SHIFTS = (10.0, 20.0, 30.0, 50.0)


def reading(value: float | None) -> Reading | None:
    return None if value is None else Reading(value, 0.01)


def panel(label: str, ours: tuple[float | None, ...], published: tuple[float | None, ...]) -> Beside:
    points = tuple(None if y is None else Point(y, low=y - 0.02, high=y + 0.02) for y in ours)
    return Beside(label, points, tuple(reading(value) for value in published))


def paint(*panels: Beside, theme: Theme = LIGHT, default: float | None = 10.0) -> Figure:
    with drawing():
        chart = BesideChart("Recall@1 on x", SHIFTS, default, panels, panels)
        return paint_beside(chart, looks([each.label for each in panels], theme), theme)


def curves(axes: Axes) -> tuple[Any, Any]:
    """The published line and ours."""
    dashed, solid = (line for line in axes.lines if len(line.get_xdata()) == len(SHIFTS))  # type: ignore[arg-type]
    return dashed, solid


def bars(axes: Axes, thick: bool) -> list[tuple[float, float, float]]:
    """Position and ends of the vertical bars: those of readings between gaps are thick."""
    found = [each for each in axes.collections if isinstance(each, LineCollection)]
    found = [each for each in found if bool(np.max(each.get_linewidth()) > 2) == thick]
    return [(float(s[0][0]), float(s[0][1]), float(s[1][1])) for each in found for s in each.get_segments()]


def test_both_curves_stand_at_their_values_and_gaps_stay_open() -> None:
    (axes,) = paint(panel("margin", (0.8, None, 0.7, 0.6), (0.82, 0.81, None, 0.65))).axes
    dashed, solid = curves(axes)
    np.testing.assert_array_equal(solid.get_ydata(), [0.8, np.nan, 0.7, 0.6])
    np.testing.assert_array_equal(dashed.get_ydata(), [0.82, 0.81, np.nan, 0.65])
    assert tuple(solid.get_xdata()) == SHIFTS
    assert dashed.is_dashed() and not solid.is_dashed()
    assert dashed.get_zorder() < solid.get_zorder()
    assert dashed.get_markersize() > solid.get_markersize()  # seen around ours where both coincide
    np.testing.assert_allclose(bars(axes, thick=False), [(10, 0.78, 0.82), (30, 0.68, 0.72), (50, 0.58, 0.62)])


def test_a_reading_between_gaps_has_a_bar_for_its_band() -> None:
    (axes,) = paint(panel("margin", (0.8,) * 4, (0.82, 0.81, None, 0.65))).axes
    np.testing.assert_allclose(bars(axes, thick=True), [(50, 0.64, 0.66)])
    (axes,) = paint(panel("margin", (0.8,) * 4, (None, 0.81, None, None))).axes
    assert [x for x, _, _ in bars(axes, thick=True)] == [20]
    (axes,) = paint(panel("margin", (0.8,) * 4, (0.82, 0.81, 0.8, 0.65))).axes
    assert bars(axes, thick=True) == []
    (axes,) = paint(panel("margin", (0.8,) * 4, (None,) * 4)).axes
    assert bars(axes, thick=True) == []


def test_the_band_covers_what_the_reading_allows() -> None:
    (axes,) = paint(panel("margin", (0.8,) * 4, (0.82, 0.81, None, 0.65))).axes
    band = next(each for each in axes.collections if not isinstance(each, LineCollection))
    corners = np.concatenate([path.vertices for path in band.get_paths()])
    first = corners[corners[:, 0] == 10]
    assert (first[:, 1].min(), first[:, 1].max()) == (pytest.approx(0.81), pytest.approx(0.83))
    assert not (corners[:, 0] == 30).any()


def test_all_panels_share_their_axes_and_every_name_fits() -> None:
    methods = [*published_study().methods, "margin (batch_size=112, epochs=200)"]
    figure = paint(*(panel(name, (0.8, 0.7, 0.6, 0.5), (0.9, 0.8, None, 0.4)) for name in methods))
    assert len({axes.get_ylim() for axes in figure.axes}) == len({axes.get_xlim() for axes in figure.axes}) == 1
    FigureCanvasAgg(figure).draw()
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [text.get_window_extent(renderer) for axes in figure.axes for text in axes.texts]
    assert len(boxes) == len(methods)
    for first, second in combinations([*boxes, *(text.get_window_extent(renderer) for text in figure.texts)], 2):
        assert not first.overlaps(second)
    assert max(box.x1 for box in boxes) <= figure.bbox.x1


@pytest.mark.parametrize("count", [1, 2, 4, 5, 12])
def test_panels_do_not_overlap(count: int) -> None:
    figure = paint(*(panel(f"m{i}", (0.8,) * 4, (0.7,) * 4) for i in range(count)))
    places = [axes.get_position() for axes in figure.axes]
    assert len(places) == count
    assert all(not a.overlaps(b) for a, b in combinations(places, 2))
    assert all(0 < place.x0 < place.x1 < 1 and 0 < place.y0 < place.y1 < 1 for place in places)


def test_the_default_split_is_marked_where_it_is_among_the_levels() -> None:
    each = panel("margin", (0.8,) * 4, (0.7,) * 4)
    marked, unmarked = (paint(each, default=default).axes[0] for default in (20.0, None))
    assert [line.get_xdata() for line in marked.lines if len(line.get_xdata()) == 2] == [[20.0, 20.0]]  # type: ignore[arg-type]
    assert len(unmarked.lines) == len(marked.lines) - 1


def test_limits_hold_every_value_but_not_every_interval() -> None:
    wide = Beside("m", (Point(0.5, low=-9.0, high=9.0), Point(0.6)), (Reading(0.4, 0.01), None))
    low, high = limits([wide])
    assert low == pytest.approx(0.39 - 0.21 / 4 - 0.06 * 0.315) and high == pytest.approx(0.6525 + 0.06 * 0.315)
    assert limits([Beside("m", (None,), (None,))]) == (0.0, 1.0)
    flat_low, flat_high = limits([Beside("m", (Point(0.5),), (None,))])
    assert flat_low < 0.5 < flat_high


def test_themes_differ_in_ours_by_colour_only() -> None:
    each = panel("margin", (0.8,) * 4, (0.7,) * 4)
    for theme in (LIGHT, DARK):
        dashed, solid = curves(paint(each, theme=theme).axes[0])
        assert solid.get_color() == theme.colours[0] and dashed.get_color() == theme.muted


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Figure]]:
    """Stems and figures that a composition asks to export; nothing is written."""
    found: list[tuple[str, Figure]] = []

    def take(folder: Path, stem: str, paint: Painter, title: str, alt: str, caption: str) -> Picture:
        with drawing():
            found.append((stem, paint(LIGHT)))
        return Picture(stem, title, alt, caption, b"", 1, 1)

    monkeypatch.setattr("oodml.report.published.export", take)
    return found


def test_the_figure_of_a_ladder_has_a_panel_per_method(tmp_path: Path, exported: list[tuple[str, Figure]]) -> None:
    ladder = published_ladder(tmp_path, "cub200")
    methods = list(published_study().methods)
    rows = published_rows(ladder, methods, recall_near(0.003, dataset="cub200"))
    block = compose_published(published_section(ladder, rows), tmp_path, "birds", ["recall_at_1"])
    assert block is not None and [picture.stem for picture in block.pictures] == ["birds_recall_at_1_published"]
    ((_, figure),) = exported
    assert [axes.texts[0].get_text() for axes in figure.axes] == methods
    dashed = figure.axes[methods.index("proxy_anchor")].lines[1]
    assert np.isnan(np.asarray(dashed.get_ydata(), dtype=float)).tolist() == [True] * 2 + [False] * 4 + [
        True,
        False,
        False,
    ]
    colours = {axes.lines[-1].get_color() for axes in figure.axes}
    assert len(colours) == 8
    # split 3 is the default of CUB200-2011
    assert figure.axes[0].lines[0].get_xdata() == [52.62, 52.62]


def test_many_entries_share_several_figures_and_one_scale(tmp_path: Path, exported: list[tuple[str, Figure]]) -> None:
    ladder = published_ladder(tmp_path)
    rows = []
    for i in range(14):
        config = paper_config("margin", method={"beta": 0.1 * i})
        rows += published_rows(ladder, ["margin"], recall_near(-0.01 * i), config=config)
    block = compose_published(published_section(ladder, rows), tmp_path, "cars", ["recall_at_1"])
    assert block is not None
    assert [stem for stem, _ in exported] == ["cars_recall_at_1_published", "cars_recall_at_1_published_part_2"]
    assert [len(figure.axes) for _, figure in exported] == [12, 2]
    assert len({axes.get_ylim() for _, figure in exported for axes in figure.axes}) == 1


def test_methods_of_the_report_decide_the_colours(tmp_path: Path, exported: list[tuple[str, Figure]]) -> None:
    ladder = published_ladder(tmp_path)
    section = published_section(ladder, published_rows(ladder, ["s2sd"], recall_near()))
    compose_published(section, tmp_path, "cars", ["recall_at_1"], ["arcface", "margin", "s2sd"])
    assert exported[0][1].axes[0].lines[-1].get_color() == LIGHT.colours[2]


def test_the_files_are_written_and_the_same_each_time(tmp_path: Path) -> None:
    ladder = published_ladder(tmp_path)
    section = published_section(ladder, published_rows(ladder, ["s2sd"], recall_near()))
    written = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        assert compose_published(section, tmp_path / name, "cars", ["recall_at_1"])
        written.append({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()})
    assert set(written[0]) == {f"cars_recall_at_1_published.{kind}" for kind in ("png", "svg", "pdf")}
    assert written[0] == written[1]
