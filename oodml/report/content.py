"""Everything that a report says, in order, before it becomes HTML or Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from oodml.report import tables, text
from oodml.report.cells import Table
from oodml.report.export import Picture
from oodml.report.few_shot import FewShotBlock, compose_few_shot
from oodml.report.notes import headline
from oodml.report.pictures import draw
from oodml.report.sections import Facts, Section
from oodml.report.view import View, views


@dataclass(frozen=True)
class ViewBlock:
    """One setting and selection.

    Attributes:
        title: The setting and selection in words.
        headline: What the numbers say at a glance.
        summary: Methods x levels of the main metric; None if no metric of the report has rows.
        pictures: Name of a metric and its figures, the main metric first.
        levels: A table per level.
    """

    title: str
    headline: tuple[str, ...]
    summary: Table | None
    pictures: tuple[tuple[str, tuple[Picture, ...]], ...]
    levels: tuple[Table, ...]


@dataclass(frozen=True)
class SectionBlock:
    """One benchmark; `failures` is None if nothing failed, `ladder` if no level is known, `few_shot` without any."""

    anchor: str
    title: str
    facts: Facts
    blocks: tuple[ViewBlock, ...]
    few_shot: FewShotBlock | None
    ladder: Table | None
    failures: Table | None


def compose(sections: Sequence[Section], out: Path, metrics: Sequence[str]) -> tuple[SectionBlock, ...]:
    """Arranges the sections and writes their figures into a folder.

    Args:
        sections: The benchmarks, in the order of the report.
        out: Folder of the figures.
        metrics: Metrics shown, the main one first.
    """
    seen = [views(section) for section in sections]
    methods = sorted({method for found in seen for view in found for method in view.methods})
    blocks, taken = [], set[str]()
    for section, found in zip(sections, seen, strict=True):
        anchor = text.slug(section.benchmark)
        while anchor in taken:
            anchor += "-2"
        taken.add(anchor)
        shown = tuple(_view_block(view, out, anchor, metrics, methods) for view in found if not view.few_shot)
        few_shot = compose_few_shot(section, found, out, anchor, metrics, methods)
        used = {level.index for view in found for level in view.levels}
        ladder = tables.ladder_table([level for level in section.levels if level.index in used or not used])
        failures = tables.failures(section.facts.failures) if section.facts.failures else None
        title = section.facts.title or section.benchmark
        known = ladder if ladder.rows else None
        blocks.append(SectionBlock(anchor, title, section.facts, shown, few_shot, known, failures))
    return tuple(blocks)


def _view_block(view: View, out: Path, anchor: str, metrics: Sequence[str], methods: Sequence[str]) -> ViewBlock:
    shown = [metric for metric in metrics if metric in view.metrics]
    prefix = f"{anchor}_{view.slug}" if view.slug else anchor
    return ViewBlock(
        title=view.title,
        headline=headline(view, shown[0]) if shown else (),
        summary=tables.summary(view, shown[0]) if shown else None,
        pictures=tuple((text.metric_name(m), draw(out, prefix, view, m, methods)) for m in shown),
        levels=tuple(tables.level_table(view, level, shown) for level in view.levels) if shown else (),
    )
