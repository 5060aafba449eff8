"""Whether the ladder of a section is one of the published study, and which split every level is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oodml.published import PublishedLadder, Study
from oodml.records import Level
from oodml.report import text

if TYPE_CHECKING:
    from oodml.report.sections import Section

ORIGIN = "published "  # an imported level is called after its split, e.g. "published 3"
SHIFT_TOLERANCE = 0.01  # relative: the code and the split file of CARS196 differ by 0.4 % at one split


@dataclass(frozen=True)
class Match:
    """A ladder of the study that a section was run on.

    Attributes:
        ladder: The ladder, with the published numbers.
        splits: Index of every level to the number of its split, from 1.
    """

    ladder: PublishedLadder
    splits: Mapping[int, int]

    @property
    def whole(self) -> bool:
        """Whether every split is there; only then an area over the levels is one over the published ladder."""
        return set(self.splits.values()) == set(range(1, len(self.ladder.shifts) + 1))


def match_ladder(section: Section, study: Study) -> Match | str:
    """The published ladder that a section was run on, or a sentence why it is none.

    A ladder counts as published if it divides a dataset of the study, every level was imported from a split file (it
    keeps the number and the published shift of its split), the shift is the published one within 1 %, and the class
    counts are the published ones where these are known.

    Args:
        section: The benchmark.
        study: The published figures.
    """
    name = section.benchmark
    if not section.levels or not all(_number(level) for level in section.levels):
        return (
            f"{name} is not a ladder of the published study: its levels were not imported from the study's split "
            "files; `oodml import-splits` makes a ladder of those."
        )
    ladder = next((found for spec in _datasets(section) if (found := study.ladder(spec))), None)
    if ladder is None:
        known = ", ".join(ladder.dataset for ladder in study.ladders)
        given = " and ".join(_datasets(section)) or "an unknown dataset"
        return f"{name} divides {given}; the study has ladders of {known} only."
    for level in section.levels:
        if problem := _problem(level, ladder):
            return f"{name} is not the study's ladder of {ladder.title}: level {level.index} {problem}."
    return Match(ladder, {level.index: _number(level) for level in section.levels})


def _number(level: Level) -> int:
    """Number of the split that a level was imported from, 0 for any other level."""
    number = level.origin.removeprefix(ORIGIN)
    imported = level.published_shift is not None and level.origin.startswith(ORIGIN)
    return int(number) if imported and number.isascii() and number.isdigit() else 0


def _datasets(section: Section) -> list[str]:
    """What the ladder divides, then what the runs say: these may have found the images elsewhere."""
    named = [section.facts.dataset, *section.frame["dataset"].dropna()]
    return [spec for spec in dict.fromkeys(str(value) for value in named) if spec]


def _problem(level: Level, ladder: PublishedLadder) -> str:
    """What of a level is not as published; "" if nothing."""
    number, count = _number(level), len(ladder.shifts)
    if number > count:
        return f"says that it is split {number}, and there are {count}"
    published = ladder.shifts[number - 1]
    if abs((level.published_shift or 0.0) - published) > SHIFT_TOLERANCE * published:
        return f"has the shift {text.shift(level.shift)}, split {number} has {text.shift(published)}"
    if ladder.classes:
        sizes, wanted = (len(level.train), len(level.test)), ladder.classes[number - 1]
        if sizes != (wanted, wanted):
            return f"has {sizes[0]} training and {sizes[1]} test classes, split {number} has {wanted} of either"
    return ""
