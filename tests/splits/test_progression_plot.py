"""The plot of the generator's course."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from oodml.records import Ladder, Level
from oodml.splits.courses import Course, courses, positions
from oodml.splits.plot import paint_progression, plot_progression


def build(origins: Sequence[tuple[str, float]], trace: Sequence[tuple[str, float]] = ()) -> Ladder:
    """A ladder whose levels have the given origins and shifts."""
    names = tuple(f"c{number}" for number in range(16))
    levels = tuple(
        Level(
            index=index,
            name="default" if origin == "default" else f"level_{index}",
            shift=shift,
            shift_scaled=index / (len(origins) - 1),
            null_mean=1.5,
            null_std=0.1,
            reference={},
            train=names[:8],
            test=names[8:],
            val=(),
            origin=origin,
        )
        for index, (origin, shift) in enumerate(origins)
    )
    return Ladder("x", "", {}, "", {}, "fid", {}, levels, trace=tuple(trace))


SWAPS = [("default", 1.0), ("swap +2", 4.0), ("swap +4", 3.0), ("swap -2", 0.5), ("removal 2", 4.5), ("removal 4", 6.0)]


def swapped() -> Ladder:
    return build([("swap -2", 0.5), ("default", 1.0), ("swap +2", 4.0), ("removal 4", 6.0)], SWAPS)


def ticks(figure: Figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_xticklabels()]


def marked(figure: Figure) -> list[tuple[float, float]]:
    """Where the levels stand."""
    lines = [np.asarray(line.get_xydata()) for line in figure.axes[0].lines]
    return [(float(line[0, 0]), float(line[0, 1])) for line in lines if len(line) == 1]


def legend(figure: Figure) -> list[str]:
    found = figure.axes[0].get_legend()
    assert found is not None
    return [label.get_text() for label in found.get_texts()]


def test_a_picture_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "new" / "progression.png"
    plot_progression(swapped(), path)
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.size == (1280, 720)
        colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 20) or []}
    assert len(colours) > 50
    assert [entry.name for entry in path.parent.iterdir()] == ["progression.png"]


def test_removal_starts_where_swapping_was_hardest() -> None:
    assert positions(swapped()) == {
        "default": 0.0,
        "swap +2": 2.0,
        "swap +4": 4.0,
        "swap -2": -2.0,
        "removal 2": 4.0,
        "removal 4": 6.0,
    }


def test_every_walk_is_drawn_from_the_state_that_it_started_from() -> None:
    ladder = swapped()
    assert courses(ladder, positions(ladder)) == [
        Course("swap", ((-2.0, 0.5), (0.0, 1.0), (2.0, 4.0), (4.0, 3.0))),
        Course("removal", ((2.0, 4.0), (4.0, 4.5), (6.0, 6.0))),
    ]


@pytest.mark.parametrize("kind", ["search", "matched"])
def test_searches_stand_on_the_axis_as_swaps_do(kind: str) -> None:
    ladder = build([(f"{kind} -8", 0.5), ("default", 1.0), (f"{kind} +12", 4.0)])
    assert positions(ladder) == {f"{kind} -8": -8.0, "default": 0.0, f"{kind} +12": 12.0}
    assert marked(paint_progression(ladder)) == [(-8.0, 0.5), (0.0, 1.0), (12.0, 4.0)]


@pytest.mark.parametrize("kind", ["random", "superclass", "published"])
def test_divisions_without_steps_stand_in_their_order(kind: str) -> None:
    levels = [(f"{kind} 7", 0.5), ("default", 1.0), (f"{kind} 3", 4.0)]
    ladder = build(levels, [*levels, (f"{kind} 1", 2.0)])
    assert positions(ladder) == {}
    figure = paint_progression(ladder)
    assert marked(figure) == [(0.0, 0.5), (1.0, 1.0), (2.0, 4.0)]
    assert ticks(figure) == [f"0\n{kind}\n7", "1\ndefault", f"2\n{kind}\n3"]


def test_a_ladder_without_trace_is_drawn_from_its_levels(tmp_path: Path) -> None:
    ladder = replace(swapped(), trace=())
    assert marked(paint_progression(ladder)) == [(-2.0, 0.5), (0.0, 1.0), (2.0, 4.0), (6.0, 6.0)]
    plot_progression(ladder, tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 10_000


def test_what_is_not_known_is_not_in_the_legend_and_published_shifts_are() -> None:
    ladder = swapped()
    levels = tuple(
        replace(level, null_mean=math.nan, null_std=math.nan, published_shift=2.0) for level in ladder.levels
    )
    labels = legend(paint_progression(replace(ladder, levels=levels)))
    assert labels == ["swapping", "removal", "as published"]


def test_shifts_below_zero_stay_in_sight() -> None:
    figure = paint_progression(build([("default", -0.2), ("swap +2", 3.0)]))
    assert figure.axes[0].get_ylim()[0] < -0.2
    assert paint_progression(swapped()).axes[0].get_ylim()[0] == 0


def test_the_axis_names_the_measure() -> None:
    ladder = replace(swapped(), distance="kid", statistics="images")
    assert paint_progression(ladder).axes[0].get_ylabel() == "shift (KID of images)"
