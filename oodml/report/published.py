"""The part of a report that stands beside the published study: sentences, figures and tables in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from oodml.published import published_study
from oodml.report import text
from oodml.report.cells import Table
from oodml.report.charts import Point
from oodml.report.export import Picture, export
from oodml.report.published_figure import PER_FIGURE, Beside, BesideChart, paint_beside
from oodml.report.published_ladder import Match, match_ladder
from oodml.report.published_runs import METRIC, Compared, find_runs
from oodml.report.published_tables import Pair, ags_table, level_pair, level_table, levels_of
from oodml.report.published_words import caption, conditions, left_out, other_metrics, outcome, which_ladder
from oodml.report.style import Theme, looks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from oodml.report.sections import Section

TITLE = "Beside the published study"


@dataclass(frozen=True)
class PublishedBlock:
    """Ours beside the published numbers on one ladder.

    Attributes:
        title: Heading.
        sentences: What was compared, what came out, what was left out; the reason where nothing is compared.
        pictures: Curves of every method; empty where nothing is compared.
        tables: AGS, then recall@1 by split; empty where nothing is compared.
    """

    title: str
    sentences: tuple[str, ...]
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()

    @property
    def compared(self) -> bool:
        """Whether there is anything beside the sentences."""
        return bool(self.tables)


def compose_published(
    section: Section, out: Path, anchor: str, metrics: Sequence[str], methods: Sequence[str] = ()
) -> PublishedBlock | None:
    """Arranges ours beside the published numbers of a section and writes the figures.

    A ladder is compared if it is one of the study (`match_ladder`), an entry if it was trained as by `--preset paper`.
    Figures are named `<anchor>_recall_at_1_published`.

    Args:
        section: The benchmark.
        out: Folder of the figures.
        anchor: Start of their names.
        metrics: Metrics of the report; published is recall@1 only, and the block says so of the others.
        methods: All methods of the report; they decide the colours, further ones follow.

    Returns:
        The block, which says why where nothing is compared; None for a section without rows.

    Raises:
        StorageError: If a figure cannot be written.
    """
    if section.frame.empty:
        return None
    study = published_study()
    match = match_ladder(section, study)
    if isinstance(match, str):
        return PublishedBlock(TITLE, (f"Not compared: {match}",))
    runs = find_runs(section, study, match.ladder.dataset)
    if not runs.compared:
        why = f"Not compared: no method of the study has a {text.metric_name(METRIC)} by the protocol of "
        return PublishedBlock(TITLE, (f"{why}`--preset paper` on this ladder yet.", *left_out(runs)))
    shown = [level_table(runs.compared, match, study)]
    if match.whole:
        shown.insert(0, ags_table(runs.compared, match, study))
    sentences = (
        *which_ladder(match, study),
        *outcome(runs.compared, match),
        *conditions(runs.compared),
        *left_out(runs),
    )
    pictures = _pictures(runs.compared, match, out, anchor, methods)
    return PublishedBlock(TITLE, (*sentences, *other_metrics(metrics)), pictures, tuple(shown))


def why_not_compared(section: Section) -> str:
    """A sentence why a section does not stand beside the published study; "" if its ladder does.

    Args:
        section: The benchmark.
    """
    match = match_ladder(section, published_study())
    return match if isinstance(match, str) else ""


def _pictures(
    compared: Sequence[Compared], match: Match, out: Path, anchor: str, methods: Sequence[str]
) -> tuple[Picture, ...]:
    levels = levels_of(compared)
    panels = tuple(
        Beside(
            entry.label,
            tuple(_point(level_pair(entry, level, match)) for level in levels),
            tuple(level_pair(entry, level, match).published for level in levels),
        )
        for entry in compared
    )
    name = f"{text.metric_name(METRIC)} on {match.ladder.title}"
    default = next((level.shift for level in levels if match.splits[level.index] == match.ladder.default), None)
    whole = BesideChart(name, tuple(level.shift for level in levels), default, (), panels)
    labels = list(dict.fromkeys([*methods, *sorted(panel.label for panel in panels)]))
    pictures = []
    for start in range(0, len(panels), PER_FIGURE):
        part = panels[start : start + PER_FIGURE]
        paint = partial(_paint, replace(whole, panels=part), labels)
        ending = f"_part_{start // PER_FIGURE + 1}" if start else ""
        stem = f"{anchor}_{METRIC}_published{ending}"
        alt = f"Small line charts of {name} against shift, ours and the published, {len(part)} methods."
        pictures.append(export(out, stem, paint, f"{name}, ours and published", alt, caption(compared)))
    return tuple(pictures)


def _paint(chart: BesideChart, labels: Sequence[str], theme: Theme) -> Figure:
    return paint_beside(chart, looks(labels, theme), theme)


def _point(pair: Pair) -> Point | None:
    cell = pair.ours
    return Point(cell.mean, low=cell.low, high=cell.high) if cell and cell.mean is not None else None
