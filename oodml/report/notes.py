"""The sentences of a report: what its words mean, and what its numbers say at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from oodml.errors import UnknownNameError
from oodml.metrics.base import metric_info
from oodml.report import text
from oodml.report.view import View

READING: tuple[tuple[str, str], ...] = (
    (
        "Level",
        "One division of the classes into training and test classes. Levels are numbered by rising shift; the "
        "default division is the one that came with the dataset, or a random one.",
    ),
    (
        "Shift",
        "Distance between the training and the test classes of a level, in the features of the network that "
        "made the ladder. The larger, the less the test classes look like those trained on.",
    ),
    (
        "Null shift",
        "The same distance when the classes of the level are relabelled at random. It is what having few "
        "classes costs: a level whose shift is close to its null hardly shifts at all.",
    ),
    (
        "Reference",
        "Retrieval quality of the ladder's own network on the test classes of the level, without any training. "
        "Test classes can be harder or easier to tell apart in themselves; the difference to the reference "
        "takes that out.",
    ),
    (
        "AGS",
        "Aggregated generalisation score: the area under metric against shift, shift scaled to [0, 1], so that "
        "a constant metric is its own score. It averages the seeds that are finished at every level; a method "
        "that has none is incomplete.",
    ),
    (
        "Intervals",
        "A mean stands with the half-width of its interval over seeds, or with both ends in brackets where they "
        "are not symmetric. One seed has no interval. How an interval was made is written beside the numbers.",
    ),
    (
        "Rank and tie groups",
        "A rank such as 1\u20133 is a range: a significance test between all pairs of methods with the same "
        "backbone, corrected for their number, leaves all of these places open. Methods whose ranges start at 1 "
        "form the best group. A method with one seed is tested with the largest spread of the methods with several; "
        "where fewer than two vary, it keeps every place.",
    ),
    (
        "Gaps",
        "A missing value stays missing: it is never interpolated, and no mean is taken over the rest. 2/3 seeds "
        "says that two of three planned runs have finished.",
    ),
)


FEW_SHOT: tuple[tuple[str, str], ...] = (
    (
        "Few-shot adaptation",
        "A few labelled images of every test class (shots) are shown to the trained network, then retrieval is "
        "scored among the other test images, the queries. Several random draws of the labelled images are episodes.",
    ),
    (
        "Gain",
        "Adapted less unadapted on the same queries of the same episode. The interval over seeds says how much "
        "trained networks differ, that over episodes how much it matters which images are labelled.",
    ),
    (
        "Slope of the gain",
        "Change of the gain from the easiest to the hardest level along a least-squares line. The gain grows or "
        "falls where the 95 % interval of the slope leaves out zero; methods are tested one by one. With one seed "
        "the interval comes from the residuals of the episodes, and is optimistic: they share one network per level.",
    ),
)


def reading(metrics: Sequence[str], *, few_shot: bool = False) -> list[tuple[str, str]]:
    """What the words of a report mean: term and explanation, the metrics shown last.

    Args:
        metrics: Metrics shown; those that are not registered are left out.
        few_shot: Whether there is a section on few-shot adaptation.
    """
    known = []
    for metric in metrics:
        with suppress(UnknownNameError):
            summary = metric_info(metric).summary
            known.append((text.metric_name(metric), f"{summary[0].upper()}{summary[1:]}."))
    return [*READING, *(FEW_SHOT if few_shot else ()), *known]


def headline(view: View, metric: str) -> tuple[str, ...]:
    """One to three sentences: the best group, the fall over the ladder, and what is missing."""
    sentences = [_best(view, metric), _falls(view, metric), _gaps(view, metric)]
    return tuple(sentence for sentence in sentences if sentence)


def _best(view: View, metric: str) -> str:
    found = [(m, view.ags[m, metric]) for m in view.by_ags(metric) if (m, metric) in view.ags]
    scored = [(method, cell) for method, cell in found if cell.mean is not None]
    if not scored:
        return ""
    method, cell = scored[0]
    mean = cell.mean or 0.0
    value = f"{text.number(mean)} {text.spread(mean, cell.low, cell.high)}".rstrip()
    if len(scored) == 1 < len(view.methods):
        return f"Only {method} is complete: its AGS of {text.metric_name(metric)} is {value}."
    among = "" if len(scored) == len(view.methods) else f" among {len(scored)} complete methods"
    best = f"Best AGS of {text.metric_name(metric)}{among}: {method} with {value}"
    tied = [other for other, entry in scored[1:] if entry.rank_low == 1 and not view.several_backbones]
    if len(tied) > 3:
        return f"{best}; {len(tied)} other methods are not told apart from it."
    return f"{best}; not told apart from it: {', '.join(tied)}." if tied else f"{best}."


def _falls(view: View, metric: str) -> str:
    if len(view.levels) < 2:
        return ""
    cells = [(method, view.cells.get((method, view.levels[-1].index, metric))) for method in view.methods]
    changes = sorted((c.delta_first, method) for method, c in cells if c and c.delta_first is not None)
    if not changes:
        return ""
    (most, first), (least, last) = changes[0], changes[-1]
    lead = f"From the easiest to the hardest level {text.metric_name(metric)} changes by {text.signed(most)}"
    return f"{lead} ({first})" + (f" to {text.signed(least)} ({last})." if len(changes) > 1 else ".")


def _gaps(view: View, metric: str) -> str:
    cells = [view.cells.get((m, level.index, metric)) for m in view.methods for level in view.levels]
    empty = sum(cell is None or cell.mean is None for cell in cells)
    partial = sum(cell is not None and cell.mean is not None and cell.n < cell.planned for cell in cells)
    parts = [f"without a value yet: {empty}"] if empty else []
    parts += [f"on fewer seeds than planned: {partial}"] if partial else []
    return f"Of {len(cells)} cells {', '.join(parts)}." if parts else ""
