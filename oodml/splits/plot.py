"""The course of the generator as a picture: shift against progress, kept levels marked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from oodml import store
from oodml.errors import LadderError
from oodml.records import Ladder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Point = tuple[float, float]
_SWAPS, _REMOVAL, _NULL, _INK = "#2563a8", "#c2571a", "#8a8f98", "#1f2430"


def positions(ladder: Ladder) -> dict[str, float]:
    """Where each visited state lies on the axis of progress, by origin.

    Swaps count from the default division at 0, to the left where they mix the sides; removal starts at the
    hardest swap, which is where the generator branched off.
    """
    counts = {origin: float(([*origin.split(), "0"])[1]) for origin, _ in ladder.trace}
    start = counts[_branch(ladder)]
    return {origin: count + start * origin.startswith("removal") for origin, count in counts.items()}


def _branch(ladder: Ladder) -> str:
    """Origin of the hardest state before removal, the first of equals."""
    apart = [entry for entry in ladder.trace if entry[0].startswith(("default", "swap +"))]
    return max(apart, key=lambda entry: entry[1])[0]


def plot_progression(ladder: Ladder, path: Path) -> None:
    """Saves a PNG of the shift against the progress of swapping and removal.

    Args:
        ladder: A ladder with its trace.
        path: The PNG file.

    Raises:
        LadderError: If the ladder has no trace.
        StorageError: If the file cannot be written.
    """
    if not ladder.trace:
        raise LadderError(f"ladder {ladder.name!r} has no trace to plot; make it again with `oodml make-splits`")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    where = positions(ladder)
    _draw_courses(axes, ladder, where)
    _draw_null(axes, ladder, where)
    _draw_levels(axes, ladder, where)
    axes.set_xlabel("pairs of classes picked: exchanged to mix (left) or part the sides, then removed")
    axes.set_ylabel("shift (Frechet distance)")
    axes.set_title(f"{ladder.name}: {len(ladder.levels)} levels", loc="left", color=_INK, pad=24)
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, frameon=False, fontsize="small")
    with store.atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)


def _draw_courses(axes: Axes, ladder: Ladder, where: dict[str, float]) -> None:
    points = {origin: (where[origin], shift) for origin, shift in ladder.trace}
    swaps = sorted(point for origin, point in points.items() if not origin.startswith("removal"))
    removal = [point for origin, point in points.items() if origin.startswith("removal")]
    axes.plot(*zip(*swaps, strict=True), color=_SWAPS, marker=".", markersize=4, label="swapping")
    if removal:
        course = [points[_branch(ladder)], *removal]
        axes.plot(*zip(*course, strict=True), color=_REMOVAL, marker=".", markersize=4, label="removal")


def _draw_null(axes: Axes, ladder: Ladder, where: dict[str, float]) -> None:
    marks = sorted((where[level.origin], level.null_mean, level.null_std) for level in ladder.levels)
    x, mean, std = zip(*marks, strict=True)
    axes.plot(x, mean, color=_NULL, linestyle="--", linewidth=1, label="null shift (random sides), mean ± sd")
    low, high = ([m + sign * s for m, s in zip(mean, std, strict=True)] for sign in (-1, 1))
    axes.fill_between(x, low, high, color=_NULL, alpha=0.3, linewidth=0)


def _draw_levels(axes: Axes, ladder: Ladder, where: dict[str, float]) -> None:
    for level in ladder.levels:
        default = level.name == "default"
        at = where[level.origin], level.shift
        marker, fill = ("D", "white") if default else ("o", _INK)
        axes.plot(*at, marker=marker, markersize=8, color=_INK, markerfacecolor=fill, zorder=3)
        text = f"{level.index} (default)" if default else str(level.index)
        axes.annotate(text, at, xytext=(-7, 6), textcoords="offset points", ha="right", color=_INK)
