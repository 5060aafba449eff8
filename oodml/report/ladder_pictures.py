"""The figures of a ladder, each as PNG, SVG and PDF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodml import store
from oodml.records import Ladder
from oodml.report.class_map import paint_map
from oodml.report.composition import composition
from oodml.report.composition_figure import paint_composition
from oodml.report.export import Painter, render
from oodml.report.projection import project
from oodml.report.style import LIGHT, drawing
from oodml.splits.plot import paint_progression

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KINDS = ("png", "svg", "pdf")


def draw_progression(folder: Path, ladder: Ladder) -> str:
    """Shift against the progress of the generator; returns the stem of the files.

    Raises:
        StorageError: If a file cannot be written.
    """
    return _save(folder, "progression", lambda _: paint_progression(ladder))


def draw_composition(folder: Path, ladder: Ladder, superclasses: Mapping[str, str]) -> str:
    """Superclasses by level and side; returns the stem of the files.

    Raises:
        StorageError: If a file cannot be written.
    """
    found = composition(ladder, superclasses)
    return _save(folder, "composition", lambda theme: paint_composition(found, theme))


def draw_map(folder: Path, ladder: Ladder, names: Sequence[str], means: NDArray[np.floating[Any]], method: str) -> str:
    """The classes in the plane, a panel per level; returns the stem of the files.

    Args:
        folder: Where the files go.
        ladder: The ladder.
        names: The classes.
        means: Their mean features, shape (C, d).
        method: "pca" or "tsne".

    Raises:
        UnknownNameError: If there is no such method.
        StorageError: If a file cannot be written.
    """
    shown = project(means, method)
    return _save(folder, f"map_{method}", lambda theme: paint_map(ladder, names, shown, theme))


def _save(folder: Path, stem: str, paint: Painter) -> str:
    with drawing():
        figure = paint(LIGHT)
        files = {kind: render(figure, kind) for kind in KINDS}
    for kind, data in files.items():
        with store.atomic(folder / f"{stem}.{kind}") as temporary:
            temporary.write_bytes(data)
    return stem
