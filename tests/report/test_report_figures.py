"""Figures: themes, looks, and the same bytes for the same picture."""

from __future__ import annotations

import itertools
import struct
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot, rcParams
from matplotlib.figure import Figure
from numpy.typing import NDArray
from report_frames import METHODS, make_section

from oodml.report import bars, charts, curves, export
from oodml.report.style import DARK, LIGHT, Theme, drawing, looks
from oodml.report.view import View, views

MANY = (*METHODS, *(f"method_{i}" for i in range(20)))


def paint(view: View, theme: Theme) -> Figure:
    return curves.paint_curves(charts.degradation(view, "recall_at_1"), looks(view.methods, theme), theme)


def labels(figure: Figure) -> list[str]:
    return [shown.get_text() for shown in figure.texts]


@pytest.fixture(name="view")
def _view() -> View:
    return views(make_section(count=3, methods=METHODS[:3], done={("frozen", 1): 0}))[0]


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_text_is_readable_and_lines_stand_out(theme: Theme) -> None:
    assert contrast(theme.ink, theme.page) > 12
    assert contrast(theme.muted, theme.page) > 4.5
    assert contrast(theme.reference, theme.page) > 3
    assert min(contrast(colour, theme.page) for colour in theme.colours) > 2.7


# Matrices of Machado, Oliveira and Fernandes (2009), severity 1, for linear RGB
VISIONS = {
    "normal": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def lab(colour: str, vision: str) -> NDArray[np.float64]:
    """CIELAB coordinates of a colour as seen with a colour-vision deficiency."""
    srgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(VISIONS[vision]) @ linear, 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(to_xyz @ seen / np.array([0.9505, 1, 1.089]))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_colours_differ_for_every_eye(theme: Theme, vision: str) -> None:
    seen = [lab(colour, vision) for colour in theme.colours]
    assert min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2)) > 12


def test_no_two_of_thirty_methods_look_alike() -> None:
    found = looks([str(i) for i in range(30)], LIGHT)
    assert len(set(found.values())) == 30
    assert len({look.colour for look in list(found.values())[:8]}) == 8


def test_looks_of_a_method_are_the_same_in_both_themes() -> None:
    for light, dark in zip(looks(MANY, LIGHT).values(), looks(MANY, DARK).values(), strict=True):
        assert (light.marker, light.dashes, light.hollow) == (dark.marker, dark.dashes, dark.hollow)


def test_every_line_is_named_and_gaps_stay_gaps(view: View) -> None:
    with drawing():
        figure = paint(view, LIGHT)
    assert {"arcface", "contrastive", "frozen", "untrained reference"} < set(labels(figure))
    lines = [line for line in figure.axes[0].lines if line.get_marker() == "^"]  # the third look
    (frozen,) = lines
    assert np.isnan(np.asarray(frozen.get_ydata(), dtype=float)).tolist() == [False, True, False]


def test_a_method_without_a_value_is_not_named(view: View) -> None:
    (empty,) = views(make_section(count=2, methods=METHODS[:2], done={("arcface", 0): 0, ("arcface", 1): 0}))
    with drawing():
        assert "arcface" not in labels(paint(empty, LIGHT))


@pytest.mark.parametrize(("methods", "count"), [(METHODS[:1], 1), (MANY, 8)])
def test_labels_stay_on_the_figure_and_apart(methods: tuple[str, ...], count: int) -> None:
    (view,) = views(make_section(count=count, methods=methods))
    with drawing():
        figure = paint(view, LIGHT)
        figure.draw_without_rendering()
        boxes = [t.get_window_extent() for t in figure.texts if t.get_text() in methods]
    wide, tall = figure.get_size_inches() * figure.dpi
    assert len(boxes) == len(methods)
    assert all(box.x0 >= 0 and box.x1 <= wide and box.y0 >= 0 and box.y1 <= tall for box in boxes)
    centres = sorted((box.y0 + box.y1) / 2 for box in boxes)
    assert all(b - a > 0.15 * figure.dpi for a, b in itertools.pairwise(centres))


def test_bars_are_sorted_and_incomplete_methods_stay_listed() -> None:
    (view,) = views(make_section(count=3, methods=METHODS[:4], done={("contrastive", 1): 0}))
    with drawing():
        figure = bars.paint_bars(view, "recall_at_1", looks(view.methods, LIGHT), LIGHT)
    lengths = [patch.get_width() for patch in figure.axes[0].patches]  # type: ignore[attr-defined]
    assert len(lengths) == 3 and lengths == sorted(lengths, reverse=True)
    shown = [entry.get_text() for entry in figure.axes[0].texts]
    assert shown[-2:] == ["contrastive", "incomplete: no seed has all levels"]
    assert shown[1].endswith("n=3")


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_the_same_figure_gives_the_same_bytes(view: View, kind: str) -> None:
    with drawing():
        first, second = (export.render(paint(view, LIGHT), kind) for _ in range(2))
    assert first == second
    assert b"20" + b"26-" not in first and b"CreationDate" not in first and b"Matplotlib" not in first


def test_exported_files_are_what_their_names_say(view: View, tmp_path: Path) -> None:
    picture = export.export(tmp_path, "curve", partial(paint, view), "title", "alt", "caption")
    assert {path.name for path in tmp_path.iterdir()} == {"curve.png", "curve.svg", "curve.pdf"}
    png = (tmp_path / "curve.png").read_bytes()
    assert png.startswith(b"\x89PNG") and (tmp_path / "curve.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "curve.svg").read_bytes() == picture.svg
    width, height = struct.unpack(">II", png[16:24])
    assert (width / 200 * 96, height / 200 * 96) == pytest.approx((picture.width, picture.height), abs=1)


def test_names_are_taken_literally(tmp_path: Path) -> None:
    (view,) = views(make_section(count=2, methods=("<b>&x</b>", "$x_$")))
    picture = export.export(tmp_path, "curve", partial(paint, view), "", "", "")
    assert b"&lt;b&gt;&amp;x&lt;/b&gt;" in picture.svg and b"$x_$" in picture.svg


def test_drawing_leaves_no_global_state(view: View) -> None:
    before = dict(rcParams)
    with drawing():
        export.render(paint(view, LIGHT), "png")
    assert dict(rcParams) == before
    assert pyplot.get_fignums() == []
