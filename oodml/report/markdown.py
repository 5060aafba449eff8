"""A report as Markdown, with the figures beside it as PNG."""

from __future__ import annotations

import re
from collections.abc import Sequence

from oodml.report import text
from oodml.report.cells import Entry, Table
from oodml.report.content import Content
from oodml.report.export import Picture
from oodml.report.few_shot import FewShotBlock
from oodml.report.sections import Facts
from oodml.report.view_block import ViewBlock


def render(content: Content, reading: Sequence[tuple[str, str]]) -> str:
    """The Markdown text of a report.

    Args:
        content: What it says.
        reading: Terms and what they mean, for its end.
    """
    parts = ["# oodml report", *(_picture(picture) for picture in content.overall)]
    for block in content.sections:
        parts += [f"## {escape(block.title)}", *_facts(block.facts)]
        if not block.blocks and not block.few_shot:
            parts.append("No run has finished yet.")
        for view in block.blocks:
            parts += _view(view)
        if block.few_shot:
            parts += _few_shot(block.few_shot)
        if block.published:
            parts += [f"### {block.published.title}", *map(escape, block.published.sentences)]
            parts += [_picture(picture) for picture in block.published.pictures]
            parts += [table(shown) for shown in block.published.tables]
        if block.ladder:
            parts += [f"### {block.ladder.title}", table(block.ladder)]
        if block.failures:
            parts += [f"### {block.failures.title}", table(block.failures)]
        if block.facts.unreadable:
            parts += ["### Files that could not be read"]
            parts.append("\n".join(f"- {escape(text.one_line(line))}" for line in block.facts.unreadable))
    parts += ["## How to read this", "\n".join(f"- **{term}.** {meaning}" for term, meaning in reading)]
    return "\n\n".join(parts) + "\n"


def escape(raw: str) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, no end of a table cell."""
    flat = raw.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    flat = re.sub(r"([\\`*|\[\]~])", r"\\\1", " ".join(flat.split()))
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", flat)


def table(content: Table) -> str:
    """A pipe table with its note."""
    heads = [content.corner, *(column.full for column in content.columns)]
    lines = ["| " + " | ".join(escape(head) for head in heads) + " |"]
    lines.append("|---|" + "".join("---|" if column.prose else "---:|" for column in content.columns))
    for head, cells in content.rows:
        if not cells:
            lines.append(f"| **{escape(head)}** |" + " |" * len(content.columns))
            continue
        lines.append("| " + " | ".join([escape(head), *(_entry(cell) for cell in cells)]) + " |")
    return "\n".join(lines) + (f"\n\n{escape(content.note)}" if content.note else "")


def _entry(entry: Entry) -> str:
    shown = escape(text.one_line(entry.text))
    shown = f"**{shown}**" if entry.strong else shown
    return f"{shown} {escape(entry.detail)}".strip()


def _facts(facts: Facts) -> list[str]:
    lines = [f"- {label}: {escape(shown)}" for label, shown in facts.items]
    lines += [f"- Runs: {facts.progress}"] if facts.progress else []
    parts = ["\n".join(lines)] if lines else []
    if facts.command:
        parts.append("\n".join(f"    {line}" for line in facts.command.splitlines()))
    return parts


def _picture(picture: Picture) -> str:
    links = f"[PNG]({picture.stem}.png) [SVG]({picture.stem}.svg) [PDF]({picture.stem}.pdf)"
    return f"![{escape(picture.alt)}]({picture.stem}.png)\n\n{escape(picture.caption)} {links}"


def _few_shot(block: FewShotBlock) -> list[str]:
    parts = [f"### {block.title}"]
    if block.headline:
        parts.append("\n".join(f"- {escape(sentence)}" for sentence in block.headline))
    if block.needed:
        parts += [f"#### {escape(block.needed.title)}", table(block.needed)]
    for group in block.groups:
        parts += [f"#### {escape(group.title)}", *(_picture(picture) for picture in group.pictures)]
        parts += [table(shown) for shown in group.tables]
    if block.failures:
        parts += [f"#### {block.failures.title}", table(block.failures)]
    return parts


def _view(view: ViewBlock) -> list[str]:
    parts = [f"### {escape(view.title)}"]
    if view.headline:
        parts.append("\n".join(f"- {escape(sentence)}" for sentence in view.headline))
    main = view.pictures[0][1] if view.pictures else ()
    parts += [_picture(picture) for picture in main[:2]]
    if view.summary:
        parts += [f"#### {view.summary.title}", table(view.summary)]
    parts += [_picture(picture) for picture in main[2:]]
    for found in view.findings:
        parts += [f"#### {escape(found.title)}", table(found)]
    for name, pictures in view.pictures[1:]:
        parts += [f"#### The same figures for {escape(name)}", *(_picture(picture) for picture in pictures)]
    for level in view.levels:
        parts += [f"#### {escape(level.title)}", table(level)]
    if view.distrust:
        parts += ["#### What to distrust", "\n".join(f"- {escape(sentence)}" for sentence in view.distrust)]
    return parts
