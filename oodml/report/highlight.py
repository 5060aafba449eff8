"""Which methods of a report are drawn in colour and named where there are many."""

from __future__ import annotations

from collections.abc import Sequence

from oodml.report.view import View, higher_is_better

ALL = 12  # as many methods are told apart by colour, marker and dashes; of more only the best are
BEST = 8  # as many as there are colours
CONTROLS = ("frozen", "linear")  # shown beside the best wherever they stand


def best_first(view: View, metric: str) -> list[str]:
    """Methods by AGS, the best first; those without one follow by their mean at the hardest level, then by name."""
    sign = -1.0 if higher_is_better(metric) else 1.0

    def key(method: str) -> tuple[bool, float, bool, float, str]:
        area = cell.mean if (cell := view.ags.get((method, metric))) else None
        hardest = view.mean(method, view.levels[-1], metric) if view.levels else None
        return area is None, sign * (area or 0.0), hardest is None, sign * (hardest or 0.0), method

    return sorted(view.methods, key=key)


def chosen(view: View, metric: str) -> tuple[str, ...]:
    """Methods that a figure names: all of a few, else the best and the controls; the best first."""
    ranked = best_first(view, metric)
    if len(ranked) <= ALL:
        return tuple(ranked)
    return (*ranked[:BEST], *(method for method in ranked[BEST:] if is_control(method)))


def is_control(method: str) -> bool:
    """Whether a label is that of an untrained network or of a linear head on one."""
    return method.split(" (", 1)[0] in CONTROLS


def coloured(views: Sequence[View], metrics: Sequence[str]) -> tuple[str, ...]:
    """Methods with a colour in a report, in the order in which colours are given.

    All of a few, by name; else those that some figure names, in the order in which the figures come.

    Args:
        views: All views of the report, in their order.
        metrics: Metrics of the report, the main one first.
    """
    everyone = sorted({method for view in views for method in view.methods})
    if len(everyone) <= ALL:
        return tuple(everyone)
    drawn = [view for view in views if not view.few_shot] or views
    shown = [chosen(view, metric) for metric in metrics for view in drawn if metric in view.metrics]
    return tuple(dict.fromkeys(method for methods in shown for method in methods))
