"""Everything that a report says, in order, before it becomes HTML or Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from oodml.report import tables, text
from oodml.report.beside import Result, beside
from oodml.report.cells import Table
from oodml.report.export import Picture
from oodml.report.few_shot import FewShotBlock, compose_few_shot
from oodml.report.further_pictures import draw_overall
from oodml.report.highlight import coloured
from oodml.report.method_cards import Card, locate, make_cards
from oodml.report.sections import Facts, Section
from oodml.report.view import View, views
from oodml.report.view_block import Choice, ViewBlock, view_block

if TYPE_CHECKING:
    from oodml.report.published import PublishedBlock


@dataclass(frozen=True)
class SectionBlock:
    """One benchmark.

    Attributes:
        anchor: Id on the page.
        title: Heading.
        facts: Where the numbers come from.
        blocks: Its settings and selections.
        few_shot: None without any.
        published: The study's numbers beside ours; None if they were not asked for.
        ladder: What the levels are; None if none is known.
        failures: None if nothing failed.
        cards: A card per method.
    """

    anchor: str
    title: str
    facts: Facts
    blocks: tuple[ViewBlock, ...]
    few_shot: FewShotBlock | None
    published: PublishedBlock | None
    ladder: Table | None
    failures: Table | None
    cards: tuple[Card, ...]


@dataclass(frozen=True)
class Content:
    """A report: its sections, and what holds over all of them."""

    sections: tuple[SectionBlock, ...]
    overall: tuple[Picture, ...] = ()


def compose(sections: Sequence[Section], choice: Choice) -> Content:
    """Arranges the sections and writes their figures into a folder.

    Args:
        sections: The benchmarks, in the order of the report.
        choice: What to show; its `methods` are found here.
    """
    seen = [views(section) for section in sections]
    choice = replace(choice, methods=coloured([view for found in seen for view in found], choice.metrics))
    anchors = _anchors(sections)
    with beside(choice.processes) as start:
        few_shot = [
            (start if any(view.few_shot for view in found) else partial)(
                compose_few_shot, section, found, choice.out, anchor, choice.metrics, choice.methods
            )
            for section, found, anchor in zip(sections, seen, anchors, strict=True)
        ]
        parts = zip(sections, seen, anchors, few_shot, strict=True)
        return Content(tuple(_section_block(*part, choice) for part in parts), _overall(seen, choice))


def _anchors(sections: Sequence[Section]) -> list[str]:
    """An id for every section; those of the same name get a longer one."""
    found: list[str] = []
    for section in sections:
        anchor = text.slug(section.benchmark)
        while anchor in found:
            anchor += "-2"
        found.append(anchor)
    return found


def _section_block(
    section: Section, found: Sequence[View], anchor: str, few_shot: Result, choice: Choice
) -> SectionBlock:
    cards, facts, metrics = locate(anchor, section.methods), section.facts, choice.metrics
    used = {level.index for view in found for level in view.levels}
    ladder = tables.ladder_table([level for level in section.levels if level.index in used or not used])
    shown = {method for view in found for method in view.methods}
    blocks = tuple(view_block(view, anchor, section, cards, choice) for view in found if not view.few_shot)
    return SectionBlock(
        anchor=anchor,
        title=facts.title or section.benchmark,
        facts=facts,
        blocks=blocks,
        few_shot=few_shot(),
        published=_published(section, anchor, choice),
        ladder=ladder if ladder.rows else None,
        failures=tables.failures(facts.failures) if facts.failures else None,
        cards=make_cards(section.methods, section.levels, metrics[0], cards, sorted(shown)),
    )


def _published(section: Section, anchor: str, choice: Choice) -> PublishedBlock | None:
    if not choice.published:
        return None
    from oodml.report.published import compose_published

    return compose_published(section, choice.out, anchor, choice.metrics, choice.methods)


def _overall(seen: Sequence[Sequence[View]], choice: Choice) -> tuple[Picture, ...]:
    """Mean ranks over the levels of all benchmarks, zero-shot with the last weights."""
    main = [view for found in seen for view in found if not view.slug and choice.metrics[0] in view.metrics]
    if "critical" not in choice.figures:
        return ()
    picture = draw_overall(choice.out, "all", main, choice.metrics[0], choice.methods)
    return (picture,) if picture else ()
