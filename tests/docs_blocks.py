"""The fenced blocks of README.md and docs/*.md, each with the marker before it that says how it is checked."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
LANGUAGES = ("bash", "console", "python", "sql")
KINDS = ("run", "slow", "check", "file", "needs data")
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARKER = re.compile(r"<!-- ((?:(?!-->).)*) -->\n+\Z", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: Path from the root of the repository, such as "docs/metrics.md".
        line: Line of the fence.
        language: Of the fence.
        text: What stands in it.
        marker: The comment right before it, "" without one.
    """

    page: str
    line: int
    language: str
    text: str
    marker: str

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def kind(self) -> str:
        """The first words of the marker, one of KINDS where it is a marker."""
        return re.split(r"[:;]", self.marker, maxsplit=1)[0].strip() if self.marker else ""

    @property
    def argument(self) -> str:
        """What follows a colon."""
        return self.marker.partition(":")[2].strip()

    def edits(self) -> Iterator[tuple[str, str]]:
        """(what, with what) of a block that is run: `A` => `B`, or a command and options to add."""
        for part in self.marker.split(";")[1:]:
            replaced = re.fullmatch(r"\s*`(.*?)` => `(.*?)`\s*", part, re.DOTALL)
            command, _, options = part.strip().partition(" ")
            yield (replaced[1], replaced[2]) if replaced else (f"oodml {command}", options)

    def edited(self) -> str:
        """The text with the replacements of the marker; one that changes nothing is an error."""
        text = self.text
        for what, new in self.edits():
            assert what in text, f"{self.name}: the marker changes {what!r}, which is not in the block"
            if not what.startswith("oodml "):
                text = text.replace(what, new)
        return text

    def commands(self, *, edited: bool = False) -> Iterator[list[str]]:
        """The words of every command of a shell block; of a console only the lines behind a prompt."""
        text = (self.edited() if edited else self.text).replace("\\\n", " ")
        added = [(what.split(), new) for what, new in self.edits() if what.startswith("oodml ")] if edited else []
        for line in text.splitlines():
            if self.language == "console" and not line.startswith("$ "):
                continue
            words = shlex.split(line.removeprefix("$ "), comments=True)
            for what, new in added:
                if words[:2] == what:
                    words += shlex.split(new)
            if words:
                yield words


def blocks() -> list[Block]:
    """All of them, page by page in their order."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [block for page in pages for block in _blocks(page)]


def _blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for fence in _FENCE.finditer(text):
        if fence[1] in LANGUAGES:
            before = text[: fence.start()]
            marker = _MARKER.search(before)
            name = page.relative_to(ROOT).as_posix()
            yield Block(name, before.count("\n") + 1, fence[1], fence[2], " ".join(marker[1].split()) if marker else "")
