"""Training time against AGS: which methods no other one beats in both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oodml.report.endings import stroke
from oodml.report.headings import heading
from oodml.report.measure import width
from oodml.report.naming import short_names
from oodml.report.placing import climb
from oodml.report.style import WIDTH, Looks, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEFT, RIGHT, TOP, BOTTOM, PLOT = 0.54, 0.28, 0.42, 0.5, 2.7  # inches
UNDER, SCORES = 0.1, 2.4  # inches below the worst score, and from there to the best
GAP, AWAY, SIZE = 0.165, 0.11, 8.5  # between labels and from a label to its point, inches; points of type


@dataclass(frozen=True)
class Costs:
    """Cost and score of methods.

    Attributes:
        ylabel: What the score is.
        seconds: Method to its mean training time, > 0.
        scores: Method to its score.
        higher_is_better: Direction of the score.
    """

    ylabel: str
    seconds: Mapping[str, float]
    scores: Mapping[str, float]
    higher_is_better: bool = True

    @property
    def front(self) -> tuple[str, ...]:
        """Methods that none beats: no other is as fast and better, or as good and faster; the fastest first.

        Of several with the same time and score all are on the front.
        """
        sign = 1.0 if self.higher_is_better else -1.0
        order = sorted(self.scores, key=lambda m: (self.seconds[m], -sign * self.scores[m], m))
        found: list[str] = []
        for method in order:
            last = found[-1] if found else None
            if last is None or sign * self.scores[method] > sign * self.scores[last] or self._same(method, last):
                found.append(method)
        return tuple(found)

    def _same(self, one: str, other: str) -> bool:
        return self.seconds[one] == self.seconds[other] and self.scores[one] == self.scores[other]


def paint_pareto(costs: Costs, looks: Looks, theme: Theme) -> Figure:
    """The figure: the front as a step line with its methods named, all others grey.

    The better scores are on top in either direction. Left of a point and above it the plot is empty, because
    the point is on the front: there its name stands.

    Args:
        costs: What to draw, at least one method.
        looks: Colour and marker per method.
        theme: Light or dark.
    """
    from matplotlib.figure import Figure

    front, short = costs.front, short_names(list(costs.scores))
    names = [short[method] for method in front]
    needs = [width(name, SIZE) + AWAY for name in names]
    broad = max(WIDTH - LEFT - RIGHT, max(needs) + 1.0)
    heights = climb([_height(costs, method) for method in front], GAP)
    plot = max(PLOT, heights[-1] + 0.1)
    wide, tall = LEFT + broad + RIGHT, TOP + plot + BOTTOM
    figure = Figure(figsize=(wide, tall), facecolor=theme.face)
    axes = figure.add_axes((LEFT / wide, BOTTOM / tall, broad / wide, plot / tall))
    _limits(axes, costs, needs, broad, plot)
    _frame(figure, axes, costs, theme)
    others = [method for method in costs.scores if method not in front]
    if others:
        dots: dict[str, Any] = {"color": theme.other, "linestyle": "none", "marker": "o", "markersize": 3.6}
        xs, ys = ([of[method] for method in others] for of in (costs.seconds, costs.scores))
        axes.plot(xs, ys, markeredgewidth=0, zorder=2, gid="others", **dots)
    steps = [(costs.seconds[method], costs.scores[method]) for method in front]
    xs, ys = [x for x, _ in steps], [y for _, y in steps]
    end = axes.get_xlim()[1]
    axes.plot([*xs, end], [*ys, ys[-1]], drawstyle="steps-post", color=theme.muted, linewidth=1.0, zorder=1.5)
    for method in front:
        point = stroke(looks[method], theme) if not looks[method].grey else _plain(theme)
        axes.plot(costs.seconds[method], costs.scores[method], zorder=3, **{**point, "linestyle": "none"})
    _labels(figure, axes, steps, names, [BOTTOM + height for height in heights], theme)
    return figure


def _plain(theme: Theme) -> dict[str, Any]:
    """A method on the front that has no colour in the report."""
    return {"color": theme.muted, "marker": "o", "markersize": 5.2, "markeredgecolor": theme.page}


def _range(costs: Costs) -> tuple[float, float]:
    """The worst and the best score; a little apart if they are the same."""
    scores = list(costs.scores.values())
    worst, best = (min(scores), max(scores)) if costs.higher_is_better else (max(scores), min(scores))
    return (worst, best) if worst != best else (worst, best + (0.02 if costs.higher_is_better else -0.02))


def _height(costs: Costs, method: str) -> float:
    """Inches above the lower edge of the plot; names that are pushed up have the rest of it."""
    worst, best = _range(costs)
    return UNDER + (costs.scores[method] - worst) / (best - worst) * SCORES


def _limits(axes: Axes, costs: Costs, needs: Sequence[float], broad: float, plot: float) -> None:
    """A log axis with room for labels left of their points, and the heights of `_height`."""
    logs = {method: math.log10(costs.seconds[method]) for method in costs.scores}
    low, high = min(logs.values()), max(logs.values())
    span, inner = max(high - low, 0.3), broad - 0.15
    room = 0.12
    for need, method in zip(needs, costs.front, strict=True):
        share = (logs[method] - low) / span
        room = max(room, (need - share * inner) / (1 - share)) if share < 1 else room
    unit = span / (inner - room)  # decades per inch
    axes.set_xscale("log")
    axes.set_xlim(10 ** (low - room * unit), 10 ** (low + span + 0.15 * unit))
    worst, best = _range(costs)
    inch = (best - worst) / SCORES
    axes.set_ylim(worst - UNDER * inch, worst + (plot - UNDER) * inch)


def _frame(figure: Figure, axes: Axes, costs: Costs, theme: Theme) -> None:
    from matplotlib.ticker import MaxNLocator, NullLocator

    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(theme.line)
    axes.set_facecolor("none")
    axes.tick_params(which="both", length=0, labelsize=9, labelcolor=theme.muted, pad=4)
    axes.xaxis.set_minor_locator(NullLocator())
    times = ticks(*axes.get_xlim())
    axes.set_xticks(list(times), list(times.values()))
    worst, best = sorted(_range(costs))
    margin = 0.12 * (best - worst)
    marks = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(worst, best)
    axes.set_yticks([mark for mark in marks if worst - margin <= mark <= best + margin])
    axes.grid(color=theme.line, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_xlabel("mean training time of a run, log scale", color=theme.muted, labelpad=5)
    heading(figure, costs.ylabel, theme)


def ticks(low: float, high: float) -> dict[float, str]:
    """Times between two bounds in seconds that people think in, with their names; at most six."""
    found = {1e-3: "1 ms", 1e-2: "10 ms", 1e-1: "100 ms"}
    for size, unit, counts in (
        (1, "s", (1, 2, 5, 10, 20, 30)),
        (60, "min", (1, 2, 5, 10, 20, 30)),
        (3600, "h", (1, 2, 5, 12)),
        (86400, "d", (1, 2, 5, 10, 20, 50, 100)),
    ):
        found |= {float(size * count): f"{count} {unit}" for count in counts}
    inside = {place: name for place, name in found.items() if low <= place <= high}
    return dict(list(inside.items())[:: -(-len(inside) // 6) or 1])


def _labels(
    figure: Figure,
    axes: Axes,
    steps: Sequence[tuple[float, float]],
    names: Sequence[str],
    heights: Sequence[float],
    theme: Theme,
) -> None:
    """Names left of their points, pushed up where two would meet, then tied to them by a hairline."""
    from matplotlib.lines import Line2D

    wide, tall = figure.get_size_inches()
    points = [axes.transData.transform(step) / figure.dpi for step in steps]  # inches
    style: dict[str, Any] = {"size": SIZE, "color": theme.ink, "ha": "right", "va": "center_baseline"}
    for (x, y), height, name in zip(points, heights, names, strict=True):
        figure.text((x - AWAY) / wide, height / tall, name, parse_math=False, gid="front-label", **style)
        if height - y > 0.05:
            ends = ([(x - 0.01) / wide, (x - AWAY + 0.03) / wide], [(y + 0.03) / tall, height / tall])
            figure.add_artist(Line2D(*ends, color=theme.muted, linewidth=0.6, alpha=0.7))
