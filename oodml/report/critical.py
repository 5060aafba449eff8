"""Which methods take part in a critical-difference diagram (Demsar 2006), and how it is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oodml.report.endings import stroke
from oodml.report.headings import LINE, heading
from oodml.report.measure import width
from oodml.report.naming import short_names
from oodml.report.style import WIDTH, Looks, Theme
from oodml.report.view import View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 20  # methods; more do not fit side by side
TOP, ABOVE, ROW, BAR, EDGE, KEY = 0.42, 0.34, 0.175, 0.075, 0.1, 0.2  # inches
AXIS = 2.2  # least length of the axis, inches
GROUP = 0.03  # inches by which the bar of a group is longer than its ranks


@dataclass(frozen=True)
class Blocks:
    """Values of methods in blocks, without gaps.

    Attributes:
        methods: Methods that have a value in every block, by name.
        values: Per block a value per method.
        left_out: Methods that lack a value in some block, by name.
    """

    methods: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    left_out: tuple[str, ...]

    @property
    def enough(self) -> bool:
        """Whether there is something to rank."""
        return len(self.methods) > 1 and len(self.values) > 1


@dataclass(frozen=True)
class Diagram:
    """What is drawn.

    Attributes:
        title: Above the axis.
        second: A line under the title; "" for none.
        ranks: Method to its mean rank, the best first; the best ones alone where there are many.
        groups: First and last position of methods that are not told apart, both included.
        distance: The critical difference of mean ranks.
    """

    title: str
    second: str
    ranks: Mapping[str, float]
    groups: tuple[tuple[int, int], ...]
    distance: float


def gather(views: Sequence[View], metric: str) -> Blocks:
    """The levels of all views as blocks, in their order; levels without any value are left out."""
    everyone = sorted({method for view in views for method in view.methods})
    cells = [(view, level) for view in views for level in view.levels]
    rows = [[view.mean(method, level, metric) for method in everyone] for view, level in cells]
    rows = [row for row in rows if any(value is not None for value in row)]
    complete = [i for i in range(len(everyone)) if rows and all(row[i] is not None for row in rows)]
    values = tuple(tuple(value for i in complete if (value := row[i]) is not None) for row in rows)
    kept = tuple(everyone[i] for i in complete)
    return Blocks(kept, values, tuple(method for method in everyone if method not in kept))


def best_groups(groups: Iterable[tuple[int, int]], shown: int) -> tuple[tuple[int, int], ...]:
    """Groups among the first methods: cut where they reach further, none inside another, none of one method."""
    cut = {(first, min(last, shown - 1)) for first, last in groups}
    cut = {(first, last) for first, last in cut if first < last}
    inside = {a for a in cut for b in cut if a != b and b[0] <= a[0] and a[1] <= b[1]}
    return tuple(sorted(cut - inside))


def stack(groups: Sequence[tuple[int, int]]) -> list[int]:
    """A row for the bar of every group, such that bars in one row do not share a method."""
    rows: list[int] = []
    for i, (first, last) in enumerate(groups):
        taken = {rows[j] for j, (begin, end) in enumerate(groups[:i]) if max(first, begin) <= min(last, end)}
        rows.append(next(row for row in range(i + 1) if row not in taken))
    return rows


def paint_critical(diagram: Diagram, looks: Looks, theme: Theme) -> Figure:
    """The figure: the better half of the methods stands on the left, the others on the right.

    Args:
        diagram: What to draw, two methods or more.
        looks: Colour and marker per method.
        theme: Light or dark.
    """
    from matplotlib.figure import Figure

    methods = list(diagram.ranks)
    names = list(short_names(methods).values())
    half = (len(methods) + 1) // 2
    left, right = (2 * EDGE + KEY + max(map(width, part)) for part in (names[:half], names[half:]))
    rows = stack(diagram.groups)
    top = TOP + (LINE if diagram.second else 0)
    below = 0.1 + BAR * (max(rows, default=-1) + 1)
    wide, tall = max(left + AXIS + right, WIDTH), top + ABOVE + below + ROW * half + EDGE
    figure = Figure(figsize=(wide, tall), facecolor=theme.face)
    axes = figure.add_axes((0, 0, 1, 1))  # in inches
    axes.set(xlim=(0, wide), ylim=(0, tall))
    axes.set_axis_off()
    line = tall - top - ABOVE
    scale = _Scale.over(list(diagram.ranks.values()), left, wide - right)
    _axis(axes, scale, line, diagram.distance, theme)
    heading(figure, diagram.title, theme, diagram.second)
    for (first, last), row in zip(diagram.groups, rows, strict=True):
        ranks = [scale(diagram.ranks[methods[i]]) for i in (first, last)]
        y = line - 0.09 - BAR * row
        ends = (ranks[0] - GROUP, ranks[1] + GROUP)
        axes.plot(ends, (y, y), color=theme.ink, linewidth=2.6, solid_capstyle="butt", zorder=4, gid="group")
    for i, (method, name) in enumerate(zip(methods, names, strict=True)):
        y = line - below - ROW * (i if i < half else len(methods) - 1 - i) - ROW / 2
        side, align = (left - EDGE - KEY, "right") if i < half else (wide - right + EDGE + KEY, "left")
        _arm(axes, (scale(diagram.ranks[method]), line), (side, y), stroke(looks[method], theme))
        axes.text(side, y, name, ha=align, va="center_baseline", size=9, color=theme.ink, parse_math=False)
    return figure


@dataclass(frozen=True)
class _Scale:
    """Ranks to inches."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(cls, ranks: Sequence[float], start: float, end: float) -> _Scale:
        low, high = min(ranks), max(ranks)
        margin = 0.04 * (high - low) or 0.5
        return cls(low - margin, high + margin, start, end)

    def __call__(self, rank: float) -> float:
        return self.start + (rank - self.low) / (self.high - self.low) * (self.end - self.start)


def _axis(axes: Axes, scale: _Scale, line: float, distance: float, theme: Theme) -> None:
    """The ranks above a line, and the critical difference as a length above them."""
    from matplotlib.ticker import MaxNLocator

    axes.plot((scale.start, scale.end), (line, line), color=theme.muted, linewidth=0.8, zorder=2)
    style: dict[str, Any] = {"size": 8.5, "color": theme.muted, "va": "bottom", "ha": "center"}
    for tick in MaxNLocator(6, steps=[1, 2, 5, 10], integer=True).tick_values(scale.low, scale.high):
        if scale.low <= tick <= scale.high:
            axes.plot((scale(tick),) * 2, (line, line + 0.04), color=theme.muted, linewidth=0.8)
            axes.text(scale(tick), line + 0.05, f"{tick:g}", **style)
    axes.text(scale.start - 0.08, line + 0.05, "mean rank", **(style | {"ha": "right"}))
    reach, y = scale(scale.low + distance), line + 0.3
    label = f"critical difference {distance:.2f}"
    if reach > scale.end:
        axes.text(scale.start, y, f"{label}, more than is shown", **(style | {"ha": "left", "va": "center"}))
        return
    axes.plot((scale.start, reach), (y, y), color=theme.ink, linewidth=1.2)
    for end in (scale.start, reach):
        axes.plot((end, end), (y - 0.035, y + 0.035), color=theme.ink, linewidth=1.2)
    axes.text(reach + 0.07, y, label, **(style | {"ha": "left", "va": "center"}))


def _arm(axes: Axes, rank: tuple[float, float], end: tuple[float, float], style: Mapping[str, Any]) -> None:
    """From the axis down, then to the name, with the marker of the method beside it."""
    away = 0.12 if end[0] < rank[0] else -0.12
    stop = end[0] + away / 2
    thin: dict[str, Any] = {"color": style["color"], "linewidth": 0.9, "zorder": 3}
    axes.plot((rank[0], rank[0], stop + away / 2), (rank[1], end[1], end[1]), solid_joinstyle="miter", **thin)
    marker = {key: value for key, value in style.items() if key.startswith("marker")} or {"marker": "o"}
    axes.plot((stop + away / 2,), (end[1],), color=style["color"], zorder=5, **{"markersize": 3.0, **marker})
