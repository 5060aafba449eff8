"""Tables of ours beside the published numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from oodml.published import Reading, Study
from oodml.records import Level
from oodml.report import tables, text
from oodml.report.cells import GAP, Column, Entry, Table
from oodml.report.published_ladder import Match
from oodml.report.published_runs import METRIC, Compared
from oodml.report.view import Cell

VERDICTS = {True: "within", False: "outside", None: "one seed"}
NOTE = (
    "Published values with the uncertainty of reading them off a plot; how much they vary between seeds is not known. "
    "Difference: ours less published; within: our interval and what the reading allows overlap; one seed has no "
    "interval, and what lies beyond the reading then decides nothing."
)


@dataclass(frozen=True)
class Pair:
    """A number of ours and the published one, as far as they are known."""

    ours: Cell | None
    published: Reading | None

    @property
    def difference(self) -> float | None:
        """Ours less the published one."""
        if self.ours is None or self.ours.mean is None or self.published is None:
            return None
        return self.ours.mean - self.published.value

    @property
    def agrees(self) -> bool | None:
        """Whether our interval and the reading overlap; None if a single seed, without interval, does not decide it."""
        if self.ours is None or self.ours.mean is None or self.published is None:
            return None
        interval = self.ours.low is not None and self.ours.high is not None
        low = self.ours.mean if self.ours.low is None else self.ours.low
        high = self.ours.mean if self.ours.high is None else self.ours.high
        overlap = low <= self.published.high and self.published.low <= high
        return overlap if overlap or interval else None


def level_pair(entry: Compared, level: Level, match: Match) -> Pair:
    """Recall@1 of an entry at a level."""
    published = match.ladder.recall_at_1[entry.method][match.splits[level.index] - 1]
    return Pair(entry.view.cells.get((entry.label, level.index, METRIC)), published)


def ags_pair(entry: Compared, match: Match) -> Pair:
    """AGS of recall@1 of an entry; only for a whole ladder."""
    return Pair(entry.view.ags.get((entry.label, METRIC)), match.ladder.ags[entry.method])


def levels_of(compared: Sequence[Compared]) -> list[Level]:
    """Levels that some entry has rows of, by rising shift."""
    found = {level.index: level for entry in compared for level in entry.view.levels}
    return sorted(found.values(), key=lambda level: level.shift)


def level_table(compared: Sequence[Compared], match: Match, study: Study) -> Table:
    """Methods x splits: ours, the published value and the difference under each other."""
    levels = levels_of(compared)
    columns = []
    for level in levels:
        number = match.splits[level.index]
        default = " (default)" if number == match.ladder.default else ""
        columns.append(Column(f"shift {text.shift(level.shift)}", f"split {number}{default}"))
    rows: list[tuple[str, tuple[Entry, ...]]] = []
    for entry in compared:
        pairs = [level_pair(entry, level, match) for level in levels]
        rows.append((heading(entry, study), ()))
        rows.append(("ours", tuple(_ours(pair) for pair in pairs)))
        rows.append(("published", tuple(_published(pair.published) for pair in pairs)))
        rows.append(("difference", tuple(_difference(pair) for pair in pairs)))
    title = f"{text.metric_name(METRIC)} by split, ours beside the published"
    return Table(title, "method", tuple(columns), tuple(rows), NOTE, stacked=True)


def ags_table(compared: Sequence[Compared], match: Match, study: Study) -> Table:
    """AGS of every entry beside the published one, the best published first."""
    digits = 4 if all(reading.uncertainty < 0.0005 for reading in match.ladder.ags.values()) else 3
    rows = []
    for entry in sorted(compared, key=lambda entry: (-match.ladder.ags[entry.method].value, entry.label)):
        pair = ags_pair(entry, match)
        ours = replace(tables.ags(pair.ours), strong=False)
        seeds = Entry(str(pair.ours.n)) if pair.ours and pair.ours.n else GAP
        rows.append((heading(entry, study), (ours, _published(pair.published, digits), _difference(pair), seeds)))
    columns = tuple(Column(name) for name in ("ours", "published", "difference", "seeds"))
    title = f"AGS of {text.metric_name(METRIC)}, ours beside the published"
    return Table(title, "method", columns, tuple(rows), NOTE)


def heading(entry: Compared, study: Study) -> str:
    """An entry with its name in the paper."""
    return f"{entry.label}, published as {study.methods[entry.method]}"


def _ours(pair: Pair) -> Entry:
    return replace(tables.value(pair.ours), strong=False)


def _published(reading: Reading | None, digits: int = 3) -> Entry:
    if reading is None:
        return Entry("not known", kind="gap")
    return Entry(text.number(reading.value, digits), f"{text.PLUS_MINUS} {reading.uncertainty:.{digits}f}")


def _difference(pair: Pair) -> Entry:
    if pair.difference is None:
        return GAP
    return Entry(text.signed(pair.difference), VERDICTS[pair.agrees])
