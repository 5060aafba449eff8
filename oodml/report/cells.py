"""Tables as plain records: rows of entries under headings, for HTML and Markdown alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby


@dataclass(frozen=True)
class Entry:
    """One table cell.

    Attributes:
        text: What it says.
        detail: Addition in smaller type, e.g. an interval.
        kind: "gap" for a missing number, "prose" for running text, "code" for an error; "" for a number.
        strong: Whether it belongs to the best group.
        value: What the text says as a number, to sort by; None for a gap and for what is no number.
        link: Id of the part of the page that says where the number comes from; "" for none.
    """

    text: str
    detail: str = ""
    kind: str = ""
    strong: bool = False
    value: float | None = None
    link: str = ""


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
        sortable: Whether readers may want its rows in another order.
        tags: Heading of a row to words that it is filtered by, such as the group of a method.
        links: Heading of a row to the id of the part of the page that describes it.
    """

    title: str
    corner: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, tuple[Entry, ...]], ...]
    note: str = ""
    stacked: bool = False
    sortable: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Upper headings with the number of columns under each; empty if there are none."""
        if not any(column.group for column in self.columns):
            return []
        return [(name, len(list(members))) for name, members in groupby(self.columns, key=lambda c: c.group)]


GAP = Entry("", kind="gap")
