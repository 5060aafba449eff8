"""The few-shot part of a report: its sentences, figures and tables in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from oodml.report import tables, text
from oodml.report.cells import Table
from oodml.report.curves import paint_curves
from oodml.report.export import Picture, export
from oodml.report.few_shot_tables import gain_table, needed_table
from oodml.report.few_shot_view import FewShotView, Panel, few_shot_view, mean_gains, panels
from oodml.report.method_cards import locate
from oodml.report.panels import MOST, Panels, paint_panels
from oodml.report.sections import Section
from oodml.report.style import Theme, looks
from oodml.report.view import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Group:
    """Figures and tables of one metric and number of shots, or the table of a further metric."""

    title: str
    pictures: tuple[Picture, ...]
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class FewShotBlock:
    """Few-shot adaptation on one ladder.

    Attributes:
        title: Heading.
        headline: What the numbers say at a glance.
        needed: Images needed in the main metric with the main adapter; None if unknown.
        groups: Metrics and shots, the main metric first.
        failures: Adaptations without a number; None if all have one.
    """

    title: str
    headline: tuple[str, ...]
    needed: Table | None
    groups: tuple[Group, ...]
    failures: Table | None


def compose_few_shot(
    section: Section,
    found: Sequence[View],
    out: Path,
    prefix: str,
    metrics: Sequence[str],
    methods: Sequence[str],
) -> FewShotBlock | None:
    """Arranges the few-shot results of a section and writes their figures.

    Args:
        section: The benchmark.
        found: Its views.
        out: Folder of the figures.
        prefix: Id of the section, and start of their names.
        metrics: Metrics shown, the main one first.
        methods: All methods of the report; they decide the colours.

    Returns:
        The block; None if nothing was adapted or no metric has a gain.
    """
    shown = few_shot_view(section, found)
    if shown is None:
        return None
    known = [metric for metric in metrics if any(shown.adapters_of(shots, metric) for shots in shown.shots)]
    if not known:
        return None
    groups, cards = [], locate(prefix, section.methods)
    for metric in known:
        for shots in shown.shots:
            if shown.adapters_of(shots, metric):
                title = f"{text.metric_name(metric)} with {_images(shots)}"
                pictures = _pictures(shown, shots, metric, out, prefix, methods)
                groups.append(Group(title, pictures, (gain_table(shown, shots, metric, cards),)))
        several = len(shown.adapters) > 1
        if (metric != known[0] or several) and (needed := needed_table(shown, metric, cards=cards)):
            groups.append(Group(needed.title, (), (needed,)))
    lost = section.facts.adaptations
    failures = tables.failures(lost, "Adaptations without a number") if lost else None
    sentences = tuple(headline(shown, shots, known[0]) for shots in shown.shots)
    main = needed_table(shown, known[0], most=1, cards=cards)
    return FewShotBlock("Few-shot adaptation", tuple(s for s in sentences if s), main, tuple(groups), failures)


def headline(shown: FewShotView, shots: int, metric: str) -> str:
    """One sentence on the main adapter: the gains at the hardest level, and for how many methods they grow."""
    adapters = shown.adapters_of(shots, metric)
    if not adapters:
        return ""
    adapter = adapters[0]
    view = shown.views[shots, adapter]
    last = view.levels[-1]
    gains = [(cell.mean, m) for m in view.methods if (cell := shown.gain(m, last, shots, adapter, metric))]
    known = sorted((mean, method) for mean, method in gains if mean is not None)
    if not known:
        return ""
    (least, first), (most, best) = known[0], known[-1]
    ends = f"{text.signed(least)} ({first})" + (f" to {text.signed(most)} ({best})" if len(known) > 1 else "")
    lead = f"{_images(shots)[0].upper()}{_images(shots)[1:]} ({adapter}) change {text.metric_name(metric)}"
    lead += f" at the hardest level by {ends}"
    curves = [shown.curves.get((method, shots, adapter, metric)) for method in view.methods]
    words = [curve.trend.word for curve in curves if curve and curve.trend and curve.trend.word]
    if not words:
        return f"{lead}."
    counts = f"grows for {words.count('grows')} and falls for {words.count('falls')}"
    return f"{lead}; with the shift the gain {counts} of {len(words)} methods."


def _images(shots: int) -> str:
    return f"{shots} labelled image{'' if shots == 1 else 's'} per class"


def _pictures(
    shown: FewShotView, shots: int, metric: str, out: Path, prefix: str, methods: Sequence[str]
) -> tuple[Picture, ...]:
    """The panels of the main adapter, and all adapters together if there are several."""
    adapters = shown.adapters_of(shots, metric)
    name, stem = text.metric_name(metric), f"{prefix}_{metric}_few_shot_{shots}"
    view, drawn = shown.views[shots, adapters[0]], panels(shown, shots, adapters[0], metric)
    made = "; ".join(sorted({text.interval_name(c.interval) for c in view.cells.values() if c.interval}))
    caption = (
        f"{name} among the queries before (dashed, hollow) and after adaptation, {adapters[0]} with {_images(shots)}"
    )
    caption += f"; vertical bars: {made}" if made else ""
    caption += ". Below, on the right axis: gain in percent of the value before, with its least-squares line."
    shown_here = _most_telling(drawn, methods)
    chart = Panels(name, f"{_images(shots)}, {adapters[0]}", view.levels, shown_here)
    caption += "" if chart.together else " The axes of all panels span as much, but start where their method does."
    if others := len(drawn) - len(shown_here):
        caption += f" The table below has {others} other methods."
    alt = f"Small line charts of {name} before and after adaptation against shift, {len(shown_here)} methods."
    paint = partial(_paint, chart, methods)
    pictures = [export(out, stem, paint, f"{name}, {_images(shots)}", alt, caption)]
    if len(adapters) > 1:
        pictures.append(_overview(shown, shots, metric, out, f"{stem}_adapters"))
    return tuple(pictures)


def _most_telling(drawn: Sequence[Panel], methods: Sequence[str]) -> tuple[Panel, ...]:
    """As many as a figure holds: those with a colour in the report first, in the order given."""
    rank = {method: i for i, method in enumerate(methods)}
    best = sorted(drawn, key=lambda panel: rank.get(panel.method, len(rank)))[:MOST]
    return tuple(panel for panel in drawn if panel in best)


def _overview(shown: FewShotView, shots: int, metric: str, out: Path, stem: str) -> Picture:
    chart, compared = mean_gains(shown, shots, metric)
    title = f"Mean gain in {text.metric_name(metric)} by adapter"
    alt = f"Line chart of the mean gain against shift, {len(chart.lines)} adapters at {len(chart.levels)} levels."
    over = ", ".join(compared) if len(compared) <= 8 else f"{len(compared)} methods"
    caption = f"Mean gain over {over}, at levels where all of them have one; {_images(shots)}."
    if absent := [adapter for adapter, line in chart.lines.items() if not any(line)]:
        caption += f" No value at any level: {', '.join(absent)}."
    adapters = sorted(shown.adapters)
    return export(out, stem, lambda theme: paint_curves(chart, looks(adapters, theme), theme), title, alt, caption)


def _paint(chart: Panels, methods: Sequence[str], theme: Theme) -> Figure:
    return paint_panels(chart, looks(methods, theme), theme)
