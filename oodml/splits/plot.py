"""The course of the generator as a picture: shift against progress, kept levels marked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodml import store
from oodml.records import Ladder, Level
from oodml.splits.courses import LEVELS, REMOVAL, Course, courses, positions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE, DPI = (6.4, 3.6), 200
MOST_NAMED = 9  # levels whose origins fit side by side under the axis
KINDS = {"swap": "swapping", "removal": "removal", "search": "searched", "matched": "searched, same difficulty"}
MEASURES = {"fid": "Fréchet distance", "kid": "KID", "mmd": "MMD", "sliced_wasserstein": "sliced Wasserstein distance"}
SAMPLES = {"class-means": "class means", "images": "images"}

Place = Callable[[Level], float]


@dataclass(frozen=True)
class Palette:
    """Colours of the picture; those of the report's figures on white unless others are given."""

    face: str = "white"
    page: str = "white"
    ink: str = "#1c2127"
    muted: str = "#5a6470"
    line: str = "#dfe3e8"
    null: str = "#7a838d"
    removed: str = "#c03800"
    walks: tuple[str, ...] = ("#0072bc", "#03966a", "#b5458e", "#c98a00")


PAPER = Palette()


def plot_progression(ladder: Ladder, path: Path) -> None:
    """Saves a PNG of the shift against the progress of the generator.

    Args:
        ladder: The ladder.
        path: The PNG file.

    Raises:
        StorageError: If the file cannot be written.
    """
    figure = paint_progression(ladder)
    with store.atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DPI)


def paint_progression(ladder: Ladder, palette: Palette = PAPER, *, size: tuple[float, float] = SIZE) -> Figure:
    """The figure of the shift against the progress of the generator, or level by level where it made no steps.

    Args:
        ladder: The ladder; where no distance is named, the axis says "shift".
        palette: Colours.
        size: Width and height in inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained", facecolor=palette.face)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    where = positions(ladder)

    def place(level: Level) -> float:
        return where[level.origin] if where else float(level.index)

    _frame(axes, ladder, palette)
    _draw_courses(axes, courses(ladder, where), palette)
    _draw_null(axes, ladder, place, palette)
    _draw_published(axes, ladder, place, palette)
    _draw_levels(axes, ladder, place, bool(where), palette)
    _label(axes, ladder, where, palette)
    if axes.dataLim.y0 >= 0:  # kernel distances without bias can be below
        axes.set_ylim(bottom=0)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, borderaxespad=0.2, **_legend(palette))
    return figure


def _legend(palette: Palette) -> dict[str, Any]:
    return {"frameon": False, "fontsize": 8, "handlelength": 1.6, "columnspacing": 1.4, "labelcolor": palette.ink}


def _frame(axes: Axes, ladder: Ladder, palette: Palette) -> None:
    axes.set_facecolor(palette.face)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(palette.muted)
    axes.tick_params(length=0, labelsize=8, labelcolor=palette.muted)
    axes.grid(axis="y", color=palette.line, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.margins(y=0.1)  # room for the number of the highest level
    axes.set_title(ladder.name, loc="left", color=palette.ink, size=9, weight="bold", pad=6)


def _label(axes: Axes, ladder: Ladder, where: dict[str, float], palette: Palette) -> None:
    measure = MEASURES.get(ladder.distance, ladder.distance)
    sample = SAMPLES.get(ladder.statistics, ladder.statistics)
    axes.set_ylabel(f"shift ({measure} of {sample})" if measure else "shift", color=palette.muted, size=8.5)
    if not where:
        few = len(ladder.levels) <= MOST_NAMED
        names = [f"{level.index}\n{_stacked(level.origin) if few else ''}".rstrip() for level in ladder.levels]
        axes.set_xticks([level.index for level in ladder.levels], names)
        words = "level"
    else:
        words = "pairs of classes exchanged"
        words += " to part the sides" if min(where.values()) >= 0 else ": to mix the sides (left), to part them (right)"
        words += ", then removed" if any(origin.startswith(REMOVAL) for origin in where) else ""
    axes.set_xlabel(words, color=palette.muted, size=8.5)


def _stacked(words: str) -> str:
    return words.replace(" ", "\n")


def _draw_courses(axes: Axes, walks: list[Course], palette: Palette) -> None:
    colours = iter(palette.walks * len(walks))
    for walk in walks:
        removal = walk.kind == REMOVAL
        style: dict[str, Any] = {"color": palette.removed if removal else next(colours), "linewidth": 1.3}
        if walk.kind != LEVELS:
            style |= {"marker": "s" if removal else "o", "markersize": 2.4, "label": KINDS.get(walk.kind, walk.kind)}
        if not walk.connected:
            style |= {"linestyle": "none", "alpha": 0.7, "markeredgewidth": 0}
        axes.plot(*zip(*walk.points, strict=True), zorder=2.5, **style)


def _draw_null(axes: Axes, ladder: Ladder, place: Place, palette: Palette) -> None:
    known = [level for level in ladder.levels if not math.isnan(level.null_mean)]
    if not known:
        return
    marks = sorted((place(level), level.null_mean, level.null_std) for level in known)
    x, mean, std = zip(*marks, strict=True)
    axes.plot(x, mean, color=palette.null, linestyle=(0, (4, 2)), linewidth=1, label="random sides, mean ± sd")
    low, high = ([m + sign * s for m, s in zip(mean, std, strict=True)] for sign in (-1, 1))
    axes.fill_between(x, low, high, color=palette.null, alpha=0.3, linewidth=0)


def _draw_published(axes: Axes, ladder: Ladder, place: Place, palette: Palette) -> None:
    marks = [(place(level), level.published_shift) for level in ladder.levels if level.published_shift is not None]
    if marks:
        style: dict[str, Any] = {"linestyle": "none", "marker": "x", "color": palette.removed, "markersize": 5}
        axes.plot(*zip(*marks, strict=True), label="as published", zorder=3.5, **style)


def _draw_levels(axes: Axes, ladder: Ladder, place: Place, stepped: bool, palette: Palette) -> None:
    from matplotlib.patheffects import withStroke

    for level in ladder.levels:
        default = level.name == "default"
        marker, fill = ("D", palette.page) if default else ("o", palette.ink)
        at = place(level), level.shift
        axes.plot(*at, marker=marker, markersize=5.5, color=palette.ink, markerfacecolor=fill, zorder=3)
        style: dict[str, Any] = {"textcoords": "offset points", "color": palette.ink, "fontsize": 8, "zorder": 4}
        style |= {"path_effects": [withStroke(linewidth=2.5, foreground=palette.page)]}
        if default and stepped:  # to the right: there may be no room on the left
            axes.annotate(f"{level.index} (default)", at, xytext=(6, -10), **style)
        else:
            axes.annotate(str(level.index), at, xytext=(-5, 4), ha="right", **style)
