"""The map of the classes: projections, and a panel per level."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from numpy.typing import NDArray
from report_frames import make_levels

from oodml.errors import UnknownNameError
from oodml.records import Ladder
from oodml.report.class_map import paint_map
from oodml.report.projection import project
from oodml.report.style import LIGHT, drawing


def ladder(levels: int, classes: int = 24) -> Ladder:
    """The first half trains; at the last level the first class has been removed."""
    names = tuple(f"c{number:02d}" for number in range(classes))
    made = []
    for base in make_levels(levels):
        first = 1 if base.index == levels - 1 else 0
        made.append(replace(base, train=names[first : classes // 2], test=names[classes // 2 :], val=()))
    return Ladder("map", "x", {}, "", {}, "fid", {}, tuple(made))


def means(classes: int = 24) -> NDArray[np.float64]:
    return np.random.default_rng(0).normal(size=(classes, 7)) * [5.0, 2.0, 1.0, 1.0, 0.1, 0.1, 0.1]


def dots(axes: Axes) -> dict[str, int]:
    """Number of points in each colour, side means (which have an edge) left out."""
    found: dict[str, int] = {}
    for collection in axes.collections:
        if np.max(collection.get_linewidth()) == 0:
            colour = to_hex(np.asarray(collection.get_facecolor())[0])
            found[colour] = len(np.asarray(collection.get_offsets()))
    return found


def paint(levels: int, method: str = "pca") -> Figure:
    shown = ladder(levels)
    names = [*shown.levels[0].train, *shown.levels[0].test]
    with drawing():
        return paint_map(shown, names, project(means(), method), LIGHT)


def test_pca_keeps_the_directions_of_the_largest_variance() -> None:
    rows = means(400)
    centred = rows - rows.mean(0)
    variances, axes = np.linalg.eigh(centred.T @ centred)
    expected = centred @ axes[:, :-3:-1]
    shown = project(rows)
    assert np.abs(shown.points) == pytest.approx(np.abs(expected), abs=1e-9)
    assert shown.explained == pytest.approx(variances[:-3:-1] / variances.sum())
    assert f"{100 * variances[-1] / variances.sum():.0f} %" in shown.words


def test_tsne_gives_the_same_picture_every_time_and_suits_few_classes() -> None:
    first, second = (project(means(8), "tsne") for _ in range(2))
    assert np.array_equal(first.points, second.points) and np.isfinite(first.points).all()
    assert first.explained is None and first.perplexity == pytest.approx(7 / 3)


def test_one_dimension_is_enough() -> None:
    assert project(np.arange(9.0)[:, None]).explained == pytest.approx((1.0, 0.0))


def test_an_unknown_map_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="tsne"):
        project(means(), "tsna")


@pytest.mark.parametrize("levels", [2, 3, 5, 8])
def test_the_map_has_a_panel_per_level_with_the_same_limits(levels: int) -> None:
    figure = paint(levels)
    assert len(figure.axes) == levels
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in figure.axes}) == 1
    for axes, level in zip(figure.axes, ladder(levels).levels, strict=True):
        star = "*" if level.name == "default" else ""
        assert axes.get_title(loc="left") == f"level {level.index}{star}"
        assert axes.get_title(loc="right").startswith("shift ")
    assert len(figure.legends) == 1
    figure.canvas.draw()
    frame = figure.bbox.expanded(1.001, 1.001)
    for artist in (*figure.texts, *figure.legends):
        box = artist.get_window_extent()
        assert frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1


def test_every_class_is_drawn_in_the_colour_of_its_side() -> None:
    figure = paint(3)
    train, test = LIGHT.colours[0], LIGHT.colours[1]
    assert [dots(axes)[train] for axes in figure.axes] == [12, 12, 11]
    assert [dots(axes)[test] for axes in figure.axes] == [12, 12, 12]
    assert [dots(axes).get(LIGHT.reference, 0) for axes in figure.axes][-1] == 1
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["training class", "test class", "mean of a side", "removed class"]


def test_tsne_shows_no_means_because_distances_in_it_say_nothing() -> None:
    figure = paint(2, "tsne")
    assert "mean of a side" not in [text.get_text() for text in figure.legends[0].get_texts()]
    assert any("distances" in text.get_text() for text in figure.texts)
