"""Writes a report: the page, the Markdown file and the figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oodml import store
from oodml.errors import UnknownNameError
from oodml.report import markdown, notes, page
from oodml.report.content import compose
from oodml.report.sections import Section

DEFAULT_METRICS = ("recall_at_1", "map_at_r")


def write_report(sections: Sequence[Section], out: Path, *, metrics: Sequence[str] = DEFAULT_METRICS) -> Path:
    """Writes `index.html`, `report.md` and every figure as PNG, SVG and PDF into a folder.

    The same sections give the same bytes. Figures are named `<benchmark>_<metric>_<kind>`, with the setting
    and selection in between where they are not zero-shot with the last weights; those of few-shot adaptation
    `<benchmark>_<metric>_few_shot_<shots>`.

    Args:
        sections: One per benchmark, in the order of the report.
        out: The folder; made if it is missing.
        metrics: Metrics shown, the main one first.

    Returns:
        Path of the page.

    Raises:
        UnknownNameError: If no section has one of the metrics.
        ResultsError: If a frame speaks of a level that its section lacks.
        StorageError: If something cannot be written.
    """
    known = {metric for section in sections for metric in section.frame["metric"].dropna()}
    known = {metric for metric in known if not metric.startswith(("ags_", "gain_"))}
    for metric in metrics:
        if known and metric not in known:
            raise UnknownNameError("metric", metric, known)
    store.make_folder(out)
    blocks = compose(sections, out, metrics)
    reading = notes.reading(metrics, few_shot=any(block.few_shot for block in blocks))
    store.write_text(out / "report.md", markdown.render(blocks, reading))
    store.write_text(out / "index.html", page.render(blocks, reading))
    return out / "index.html"
