"""Writes a report: the page, the Markdown file and the figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oodml import store
from oodml.errors import UnknownNameError
from oodml.report import markdown, notes, page
from oodml.report.content import compose
from oodml.report.figure_names import chosen_figures
from oodml.report.sections import Section
from oodml.report.view_block import Choice

DEFAULT_METRICS = ("recall_at_1", "map_at_r")


def write_report(
    sections: Sequence[Section],
    out: Path,
    *,
    metrics: Sequence[str] = DEFAULT_METRICS,
    figures: Sequence[str] | None = None,
    published: bool = False,
    processes: int = 1,
) -> Path:
    """Writes `index.html`, `report.md` and every figure as PNG, SVG and PDF into a folder.

    The same sections give the same bytes. Figures are named `<benchmark>_<metric>_<kind>`, with the setting
    and selection in between where they are not zero-shot with the last weights; those of few-shot adaptation
    `<benchmark>_<metric>_few_shot_<shots>`.

    Args:
        sections: One per benchmark, in the order of the report.
        out: The folder; made if it is missing.
        metrics: Metrics shown, the main one first.
        figures: Names among `figure_names.FIGURES`; None for all.
        published: Whether to show the published study beside sections of its ladders.
        processes: How many draw; with two, figures of few-shot adaptation come from one of their own.

    Returns:
        Path of the page.

    Raises:
        UnknownNameError: If no section has one of the metrics, or there is no such figure.
        ResultsError: If a frame speaks of a level that its section lacks.
        StorageError: If something cannot be written.
    """
    known = {metric for section in sections for metric in section.frame["metric"].dropna()}
    known = {metric for metric in known if not metric.startswith(("ags_", "gain_"))}
    for metric in metrics:
        if known and metric not in known:
            raise UnknownNameError("metric", metric, known)
    choice = Choice(out, metrics, figures=chosen_figures(figures), published=published, processes=processes)
    store.make_folder(out)
    content = compose(sections, choice)
    reading = notes.reading(metrics, few_shot=any(block.few_shot for block in content.sections))
    store.write_text(out / "report.md", markdown.render(content, reading))
    store.write_text(out / "index.html", page.render(content, reading))
    return out / "index.html"
