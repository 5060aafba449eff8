"""A card per method: what it is, its options, the runs behind its numbers and the command that repeats them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from oodml.records import Level
from oodml.report import text
from oodml.report.cells import Column, Entry, Table

if TYPE_CHECKING:
    from oodml.method_facts import MethodFacts, RunNote


@dataclass(frozen=True)
class Card:
    """One method.

    Attributes:
        anchor: Id on the page.
        label: Name as in the leaderboard.
        summary: What it does, with its source.
        facts: Name and text of what else is known.
        command: What makes its runs again; "" if unknown.
        runs: A row per level.
        rows: Ids of these rows, by their heading.
    """

    anchor: str
    label: str
    summary: str
    facts: tuple[tuple[str, str], ...]
    command: str
    runs: Table
    rows: Mapping[str, str]


@dataclass(frozen=True)
class Cards:
    """Where the cards of a section are.

    Attributes:
        of: Method to the id of its card.
        groups: Method to its group.
        levels: Method to the levels that its card has a row of.
    """

    of: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    levels: Mapping[str, frozenset[int]] = field(default_factory=dict)

    def runs(self, method: str, level: int) -> str:
        """Id of the row with the runs of a method at a level; "" if there is none."""
        return f"{self.of[method]}-{level}" if level in self.levels.get(method, ()) else ""


NO_CARDS = Cards()


def locate(anchor: str, methods: Sequence[MethodFacts]) -> Cards:
    """Where the cards will be.

    Args:
        anchor: Id of the section.
        methods: Its methods.
    """
    return Cards(
        of={method.label: f"{anchor}-m{i}" for i, method in enumerate(methods)},
        groups={method.label: method.group for method in methods if method.group},
        levels={method.label: frozenset(run.level for run in method.runs) for method in methods},
    )


def make_cards(
    methods: Sequence[MethodFacts], levels: Sequence[Level], metric: str, cards: Cards, shown: Sequence[str]
) -> tuple[Card, ...]:
    """The cards of the methods that a report shows.

    Args:
        methods: What is known of all methods.
        levels: Levels of the ladder.
        metric: The metric whose values the runs are listed with.
        cards: Where they go.
        shown: Labels of the methods that the report shows.
    """
    shift = {level.index: text.shift(level.shift) for level in levels}
    return tuple(_card(facts, shift, metric, cards) for facts in methods if facts.label in shown)


def _card(facts: MethodFacts, shift: Mapping[int, str], metric: str, cards: Cards) -> Card:
    rows, ids = [], {}
    selections = sorted({run.selection for run in facts.runs})
    for (selection, level), members in groupby(facts.runs, key=lambda run: (run.selection, run.level)):
        head = f"{level}" if len(selections) == 1 else f"{level}, {selection}"
        if selection == selections[0]:
            ids[head] = cards.runs(facts.label, level)
        runs = list(members)
        found = "; ".join(f"seed {run.seed}: {_value(run, metric)}" for run in runs)
        names = " ".join(run.run_id for run in runs)
        cells = (Entry(shift.get(level, "")), Entry(found, kind="prose"), Entry(names, kind="code"))
        rows.append((head, cells))
    columns = (Column("shift"), Column(text.metric_name(metric), prose=True), Column("runs", prose=True))
    known = (
        ("Group", facts.group),
        ("Options", facts.options),
        ("Training", f"{facts.train_s:.3g} s per run" if facts.train_s else ""),
    )
    return Card(
        anchor=cards.of[facts.label],
        label=facts.label,
        summary=" ".join(part for part in (facts.summary, f"({facts.paper})" if facts.paper else "") if part),
        facts=tuple((name, words) for name, words in known if words),
        command=facts.command,
        runs=Table(f"Runs of {facts.label}", "level", columns, tuple(rows)),
        rows=ids,
    )


def _value(run: RunNote, metric: str) -> str:
    return text.number(run.values[metric]) if metric in run.values else run.status
