"""Pieces of the tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oodml.records import Level
from oodml.report import text

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def new_table(title: str, caption: str = "", padding: int = 1) -> Table:
    """A table without rules between rows; `padding` blanks between columns."""
    from rich import box
    from rich.table import Table

    return Table(
        title=plain(title),
        caption=plain(caption) if caption else None,
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
        padding=(0, padding),
        title_style="bold",
        title_justify="left",
        caption_style="dim",
        caption_justify="left",
    )


def plain(words: str, style: str = "") -> Text:
    """Text in which `rich` does not look for markup of its own."""
    from rich.text import Text

    return Text(words, style=style)


def tight(words: str) -> str:
    """A number without the zero before its point: eight levels fit side by side without them."""
    if words.startswith("0."):
        return words.removeprefix("0")
    return words.replace("+0.", "+.").replace(f"{text.MINUS}0.", f"{text.MINUS}.")


def is_default(level: Level) -> bool:
    """Whether a level is the default division."""
    return level.name == "default"


def level_index(level: Level) -> str:
    """The index of a level, with a star at the default division."""
    return f"{level.index}*" if is_default(level) else str(level.index)


@dataclass(frozen=True)
class Unit:
    """The power of ten that a column of distances is shown in, so that its digits say something.

    Example:
        >>> unit = Unit.of([0.0021, 0.0046])
        >>> unit.name, unit.show(0.0021), unit.show(-0.00001)
        ('10⁻³', '2.10', '−0.01')
    """

    power: int = 0

    @classmethod
    def of(cls, values: Iterable[float]) -> Unit:
        """The unit for some distances: 1 unless all are below 1, or one is 10 000 or more."""
        largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
        if largest == 0 or 1 <= largest < 10_000:
            return cls()
        return cls(3 * math.floor(math.log10(largest) / 3))

    @property
    def name(self) -> str:
        """Such as "10⁻³"; "" for 1."""
        return f"10{str(self.power).translate(SUPERSCRIPTS)}" if self.power else ""

    def show(self, value: float) -> str:
        """A distance in this unit; "" if it is not known."""
        if math.isnan(value):
            return ""
        scaled = value / 10.0**self.power
        return text.number(scaled, 2) if abs(scaled) < 0.1 else text.shift(scaled)
