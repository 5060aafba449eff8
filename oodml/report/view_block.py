"""One setting and selection of a report: what it says, in order, before it becomes HTML or Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from oodml.controls import Control
from oodml.findings import find
from oodml.report import tables, text
from oodml.report.cells import Table
from oodml.report.control_table import control_table
from oodml.report.distrust import distrust
from oodml.report.export import Picture
from oodml.report.figure_names import FIGURES
from oodml.report.findings_tables import findings_tables
from oodml.report.method_cards import Cards
from oodml.report.notes import headline
from oodml.report.pictures import draw
from oodml.report.sections import Section
from oodml.report.view import View

FURTHER = ("curves", "ags", "mean", "reference")  # figures of every metric; the others are of the main one


@dataclass(frozen=True)
class ViewBlock:
    """One setting and selection.

    Attributes:
        title: The setting and selection in words.
        headline: What the numbers say at a glance.
        summary: Methods x levels of the main metric; None if no metric of the report has rows.
        pictures: Name of a metric and its figures, the main metric first.
        findings: What the runs say about the main metric beyond their means.
        levels: A table per level.
        distrust: What to be careful about.
        anchor: Id of its parts on the page.
    """

    title: str
    headline: tuple[str, ...] = ()
    summary: Table | None = None
    pictures: tuple[tuple[str, tuple[Picture, ...]], ...] = ()
    findings: tuple[Table, ...] = ()
    levels: tuple[Table, ...] = ()
    distrust: tuple[str, ...] = ()
    anchor: str = ""


@dataclass(frozen=True)
class Choice:
    """What a report shows, and where its files go.

    Attributes:
        out: Folder of the figures.
        metrics: Metrics, the main one first.
        methods: Methods with a colour.
        figures: Names of figures.
        published: Whether to draw the published study beside.
        processes: How many draw.
    """

    out: Path
    metrics: Sequence[str]
    methods: Sequence[str] = ()
    figures: Sequence[str] = tuple(FIGURES)
    published: bool = False
    processes: int = 1


def view_block(view: View, anchor: str, section: Section, cards: Cards, choice: Choice) -> ViewBlock:
    """Arranges a view and writes its figures.

    Args:
        view: The setting and selection.
        anchor: Id of the section.
        section: The section.
        cards: Where the cards of its methods are.
        choice: What to show.
    """
    shown = [metric for metric in choice.metrics if metric in view.metrics]
    prefix = f"{anchor}_{view.slug}" if view.slug else anchor
    if not shown:
        return ViewBlock(view.title, anchor=prefix)
    main = shown[0]
    return ViewBlock(
        title=view.title,
        headline=headline(view, main),
        summary=tables.summary(view, main, cards),
        pictures=tuple((text.metric_name(m), _pictures(view, m, m == main, prefix, section, choice)) for m in shown),
        findings=_findings(view, main, section, cards),
        levels=tuple(tables.level_table(view, level, shown, cards) for level in view.levels),
        distrust=distrust(view, main, section.facts),
        anchor=prefix,
    )


def _pictures(
    view: View, metric: str, first: bool, prefix: str, section: Section, choice: Choice
) -> tuple[Picture, ...]:
    figures = [name for name in choice.figures if first or name in FURTHER]
    seconds = {facts.label: facts.train_s for facts in section.methods if facts.train_s}
    band = _band(section.control, metric)
    return draw(choice.out, prefix, view, metric, choice.methods, figures=figures, seconds=seconds, band=band)


def _band(control: Control | None, metric: str) -> tuple[float, float] | None:
    known = control.overall.get(metric) if control else None
    return (known.low, known.high) if known and known.low <= known.high else None


def _findings(view: View, metric: str, section: Section, cards: Cards) -> tuple[Table, ...]:
    methods = [facts for facts in section.methods if facts.label in view.methods]
    found = find(methods, view.levels, view.selection, metric)
    shown = findings_tables(found, view, metric, cards) if found else ()
    control = control_table(section.control, view, metric) if section.control else None
    return (*shown, *([control] if control else []))
