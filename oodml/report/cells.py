"""Tables as plain records: rows of entries under headings, for HTML and Markdown alike."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True)
class Entry:
    """One table cell.

    Attributes:
        text: What it says.
        detail: Addition in smaller type, e.g. an interval.
        kind: "gap" for a missing number, "prose" for running text, "code" for an error; "" for a number.
        strong: Whether it belongs to the best group.
    """

    text: str
    detail: str = ""
    kind: str = ""
    strong: bool = False


@dataclass(frozen=True)
class Column:
    """A column's heading, the one above it that neighbours may share, and whether it holds running text."""

    text: str
    group: str = ""
    prose: bool = False

    @property
    def full(self) -> str:
        """Both headings on one line."""
        return f"{self.group}, {self.text}" if self.group else self.text


@dataclass(frozen=True)
class Table:
    """A table; the first column is the heading of its row.

    Attributes:
        title: What it shows, one line.
        corner: Heading of the first column.
        columns: Headings of the other columns.
        rows: Heading and cells of every row; one without cells is the heading of the rows under it.
        note: How to read its signs; "" for none.
        stacked: Whether the details of a cell stand under its text, which makes a table narrower.
    """

    title: str
    corner: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, tuple[Entry, ...]], ...]
    note: str = ""
    stacked: bool = False

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Upper headings with the number of columns under each; empty if there are none."""
        if not any(column.group for column in self.columns):
            return []
        return [(name, len(list(members))) for name, members in groupby(self.columns, key=lambda c: c.group)]


GAP = Entry("", kind="gap")
