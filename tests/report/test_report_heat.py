"""The heat map: order, numbers, gaps and colours."""

from __future__ import annotations

import colorsys
import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from figure_texts import all_texts, assert_apart_and_inside
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from report_frames import METHODS, make_mean, make_section

from oodml.report.heat import HATCH, luminance, paint_heat, shades_between
from oodml.report.highlight import best_first, chosen
from oodml.report.style import DARK, LIGHT, Theme, drawing, looks
from oodml.report.text import number
from oodml.report.view import View, views

MANY = tuple(f"method_{i:02d}" for i in range(52))


def paint(view: View, metric: str = "recall_at_1", theme: Theme = LIGHT) -> Figure:
    with drawing():
        return paint_heat(view, metric, looks(view.methods, theme).only(chosen(view, metric)), theme)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in all_texts(figure)]


def collections(figure: Figure, ending: str) -> dict[str, PolyCollection]:
    found = [artist for artist in figure.axes[0].collections if str(artist.get_gid()).endswith(ending)]
    return {str(artist.get_gid()).split("-")[0]: artist for artist in found if isinstance(artist, PolyCollection)}


def shades_of(cells: PolyCollection) -> list[list[float]]:
    found: list[list[float]] = np.asarray(cells.get_facecolor(), dtype=float).tolist()
    return found


def test_methods_stand_by_ags_and_every_value_is_printed() -> None:
    (view,) = views(make_section(count=4))
    shown = texts(paint(view))
    assert [name for name in shown if name in METHODS] == best_first(view, "recall_at_1")
    for rank, _ in enumerate(METHODS):
        assert all(number(make_mean(rank, level, "recall_at_1"), 2) in shown for level in range(4))
    assert {"2.50", "4.00", "5.50", "7.00"} <= set(shown)


def test_gaps_are_hatched_and_have_no_number() -> None:
    (view,) = views(make_section(count=3, methods=METHODS[:2], done={("arcface", 1): 0}))
    figure = paint(view)
    gaps, cells = collections(figure, "-gaps"), collections(figure, "-cells")
    assert set(gaps) == {"m0"} and gaps["m0"].get_hatch() == HATCH and len(gaps["m0"].get_paths()) == 1
    assert [len(cells[name].get_paths()) for name in ("m0", "m1")] == [2, 3]
    assert len([text for text in texts(figure) if text.startswith("0.") and len(text) == 4]) == 5


def test_a_method_without_any_value_is_all_hatched() -> None:
    (view,) = views(make_section(count=3, methods=METHODS[:2], done={("arcface", i): 0 for i in range(3)}))
    figure = paint(view)
    assert len(collections(figure, "-gaps")["m0"].get_paths()) == 3
    assert texts(figure).count("arcface") == 1


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_numbers_stand_out_from_their_cells(theme: Theme) -> None:
    (view,) = views(make_section(methods=MANY[:20]))
    figure = paint(view, theme=theme)
    shades = {}
    for collection in collections(figure, "-cells").values():
        for path, shade in zip(collection.get_paths(), shades_of(collection), strict=True):
            x, y = np.asarray(path.vertices)[0]
            shades[int(x), int(y)] = shade
    numbers = [text for text in figure.axes[0].texts if hasattr(text, "get_position") and text.get_text()[1:2] == "."]
    numbers = [text for text in numbers if text.get_color() in ("#ffffff", "#111111")]
    assert len(numbers) == 160
    for text in numbers:
        x, y = text.get_position()
        low, high = sorted((luminance(to_rgb(text.get_color())), luminance(shades[int(x), int(y)])))
        assert (high + 0.05) / (low + 0.05) > 4


def test_better_is_brighter_in_either_direction() -> None:
    (view,) = views(make_section(count=2, methods=METHODS[:3]))
    turned = replace(
        view,
        cells={(m, level, "uniformity"): cell for (m, level, name), cell in view.cells.items() if name == "map_at_r"},
        ags={(m, "uniformity"): cell for (m, name), cell in view.ags.items() if name == "map_at_r"},
    )

    def brightness(figure: Figure, series: str) -> float:
        return luminance(shades_of(collections(figure, "-cells")[series])[0])

    up, down = paint(view, "map_at_r"), paint(turned, "uniformity")
    assert view.mean("arcface", view.levels[0], "map_at_r") > view.mean("frozen", view.levels[0], "map_at_r")  # type: ignore[operator]
    assert brightness(up, "m0") > brightness(up, "m2")
    assert brightness(down, "m0") < brightness(down, "m2")


def test_lightness_of_the_colours_rises_evenly() -> None:
    (view,) = views(make_section(methods=METHODS[:2]))
    bars = list(paint(view).axes[1].patches)
    seen = [luminance(to_rgb(patch.get_facecolor())) for patch in bars]
    assert len(seen) == 32 and seen == sorted(seen)
    steps = [116 * b ** (1 / 3) - 116 * a ** (1 / 3) for a, b in itertools.pairwise(seen)]  # CIE L*
    assert max(steps[2:]) < 3 * min(steps[2:])
    assert len({round(colorsys.rgb_to_hsv(*to_rgb(patch.get_facecolor()))[0], 1) for patch in bars}) > 3


@pytest.mark.parametrize(
    ("values", "ends"), [([1, 2, 3, 4], (1, 4)), ([1, 2, 3, 4, 100], (1, 4)), ([], (0, 1)), ([2], (2, 2))]
)
def test_outliers_do_not_take_the_colours(values: Sequence[float], ends: tuple[float, float]) -> None:
    assert shades_between(values) == ends


def test_the_key_says_that_outliers_lie_beyond() -> None:
    (view,) = views(make_section(count=6, methods=METHODS))
    far = {key: replace(cell, mean=-9.0) if key[:2] == ("arcface", 0) else cell for key, cell in view.cells.items()}
    assert any(text.startswith("\u2264 0.") for text in texts(paint(replace(view, cells=far))))
    assert not any(text.startswith("\u2264") for text in texts(paint(view)))


@pytest.mark.parametrize(("methods", "count"), [(METHODS[:1], 1), (MANY, 8), (METHODS, 24)])
def test_labels_stay_apart(methods: tuple[str, ...], count: int) -> None:
    (view,) = views(make_section(methods=methods, count=count))
    with drawing():
        figure = paint(view)
        assert_apart_and_inside(figure, all_texts(figure))
