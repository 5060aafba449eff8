"""The plot of the generator's course."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oodml.errors import LadderError
from oodml.records import Ladder
from oodml.splits import make_ladder
from oodml.splits.plot import plot_progression, positions


def build(classes: int) -> Ladder:
    means = np.random.default_rng(0).normal(size=(classes, 6))
    return make_ladder(means, [f"c{row:02d}" for row in range(classes)], levels=4, null_draws=5)


@pytest.mark.parametrize("classes", [8, 40])  # without and with removal
def test_a_picture_is_saved(tmp_path: Path, classes: int) -> None:
    path = tmp_path / "new" / "progression.png"
    plot_progression(build(classes), path)
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.size == (1200, 675)
        colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 20) or []}
    assert len(colours) > 50
    assert [entry.name for entry in path.parent.iterdir()] == ["progression.png"]


def test_removal_starts_where_swapping_was_hardest() -> None:
    origins = [("default", 1.0), ("swap +2", 4.0), ("swap +4", 3.0), ("swap -2", 0.5), ("removal 2", 4.5)]
    ladder = replace(build(8), trace=tuple(origins))
    assert positions(ladder) == {
        "default": 0.0,
        "swap +2": 2.0,
        "swap +4": 4.0,
        "swap -2": -2.0,
        "removal 2": 4.0,
    }


def test_a_ladder_without_trace_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LadderError, match="has no trace"):
        plot_progression(replace(build(8), trace=()), tmp_path / "x.png")
