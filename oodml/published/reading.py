"""Reads the published figures from the file that comes with the package."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Any

from oodml.errors import ResultsError
from oodml.published.records import Curve, FewShotGains, PublishedLadder, Reading, Study

FILE = "study.toml"
VERSION = 1
UNREADABLE = "."
_CELL = re.compile(r"(-?\d+(?:\.\d+)?)(\D?)")
_PARTS = {"schema", "study", "recall_uncertainty", "methods", "ladder", "few_shot"}
_STUDY = {"title", "authors", "venue", "arxiv", "code"}
_LADDER = {"dataset", "title", "default", "shifts", "removal_from", "ags_uncertainty", "ags", "recall_at_1"}
_LADDER_MORE = {"shifts_in_file", "classes", "validation"}
_FEW_SHOT = {"dataset", "splits", "uncertainty", "unadapted_split", "unadapted_uncertainty", "gain", "unadapted"}


@cache
def published_study() -> Study:
    """The figures that come with the package.

    Raises:
        ResultsError: If the file is damaged.
    """
    text = resources.files("oodml.published").joinpath(FILE).read_text(encoding="utf-8")
    return parse_study(text, FILE)


def parse_study(text: str, name: str) -> Study:
    """The study that a text in TOML describes, checked.

    Args:
        text: Content of a file such as `study.toml`, in percent.
        name: Name of the file, for errors.

    Raises:
        ResultsError: If it is no TOML, a part lacks or is unknown, a number is out of range, or a row does not have a
            cell per split.
    """
    try:
        return _Reader(name).study(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ResultsError(f"{name} is no readable TOML: {error}; {_REPAIR}") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise ResultsError(f"{name} holds a value of another type than expected: {error}; {_REPAIR}") from error


_REPAIR = "restore it, or install oodml again"


@dataclass(frozen=True)
class _Reader:
    """Turns parts of the file into records; errors name the file and the place."""

    name: str

    def study(self, raw: Mapping[str, Any]) -> Study:
        self.keys(raw, "the file", _PARTS)
        if raw["schema"] != VERSION:
            raise self.error(f"has schema {raw['schema']}, this oodml reads {VERSION}")
        about: Mapping[str, str] = raw["study"]
        self.keys(about, "study", _STUDY)
        methods, marks = raw["methods"], raw["recall_uncertainty"]
        for mark, value in marks.items():
            self.number(value, f"recall_uncertainty {mark!r}", 0, 100)
        ladders = tuple(self.ladder(part, methods, marks) for part in raw["ladder"])
        few_shot = self.few_shot(raw["few_shot"], methods, ladders)
        return Study(**about, methods=dict(methods), ladders=ladders, few_shot=few_shot)

    def ladder(self, raw: Mapping[str, Any], methods: Mapping[str, str], marks: Mapping[str, float]) -> PublishedLadder:
        where = str(raw.get("dataset", "a ladder"))
        self.keys(raw, where, _LADDER, _LADDER_MORE)
        shifts = tuple(self.number(value, f"{where}, shifts", 0, 1e6) for value in raw["shifts"])
        if len(shifts) < 2 or any(after <= before for before, after in pairwise(shifts)):
            raise self.error(f"{where}: shifts should be two or more and rise")
        size = len(shifts)
        known = {int(key): float(value) for key, value in raw.get("shifts_in_file", {}).items()}
        for number in (raw["default"], raw["removal_from"], *known):
            if not 1 <= number <= size:
                raise self.error(f"{where}: there is no split {number} of {size}")
        classes, validation = (tuple(raw.get(key, ())) for key in ("classes", "validation"))
        if any(counts and len(counts) != size for counts in (classes, validation)):
            raise self.error(f"{where}: classes and validation need a count for each of {size} splits")
        for part in ("ags", "recall_at_1"):
            self.same(raw[part], methods, f"{where}, {part}")
        return PublishedLadder(
            dataset=where,
            title=raw["title"],
            default=raw["default"],
            shifts=shifts,
            shifts_in_file=known,
            removal_from=raw["removal_from"],
            classes=classes,
            validation=validation,
            recall_at_1={m: self.curve(row, f"{where}, {m}", size, marks) for m, row in raw["recall_at_1"].items()},
            ags=self.readings(raw["ags"], raw["ags_uncertainty"], f"{where}, AGS"),
        )

    def few_shot(
        self, raw: Mapping[str, Any], methods: Mapping[str, str], ladders: Sequence[PublishedLadder]
    ) -> FewShotGains:
        self.keys(raw, "few_shot", _FEW_SHOT)
        ladder = next((ladder for ladder in ladders if ladder.dataset == raw["dataset"]), None)
        splits = tuple(raw["splits"])
        if ladder is None or not all(1 <= n <= len(ladder.shifts) for n in (*splits, raw["unadapted_split"])):
            raise self.error(f"few_shot: {raw['dataset']} has no ladder with the splits {splits}")
        marks = {"": raw["uncertainty"]}
        gains = {}
        for shots, rows in raw["gain"].items():
            self.same(rows, raw["unadapted"], f"few_shot, {shots} shots")
            for method, row in rows.items():
                where = f"few_shot, {shots} shots, {method}"
                gains[int(shots), method] = self.curve(row, where, len(splits), marks, low=-100)
        unadapted = self.readings(raw["unadapted"], raw["unadapted_uncertainty"], "few_shot, unadapted")
        self.same(unadapted, {name: methods[name] for name in unadapted if name in methods}, "few_shot, unadapted")
        return FewShotGains(ladder.dataset, splits, gains, raw["unadapted_split"], unadapted)

    def curve(self, row: str, where: str, size: int, marks: Mapping[str, float], low: float = 0) -> Curve:
        """A row of cells, one per split."""
        cells = row.split()
        if len(cells) != size:
            raise self.error(f"{where}: {len(cells)} cells for {size} splits")
        return tuple(None if cell == UNREADABLE else self.cell(cell, where, marks, low) for cell in cells)

    def cell(self, cell: str, where: str, marks: Mapping[str, float], low: float) -> Reading:
        found = _CELL.fullmatch(cell)
        if not found or found[2] not in marks:
            raise self.error(f"{where}: {cell!r} is neither {UNREADABLE!r} nor a number with a known mark")
        return self.reading(float(found[1]), marks[found[2]], where, found[2], low)

    def readings(self, found: Mapping[str, object], uncertainty: float, where: str) -> dict[str, Reading]:
        """A number per method, all of the same uncertainty."""
        return {name: self.reading(value, uncertainty, f"{where} of {name}") for name, value in found.items()}

    def reading(self, value: object, uncertainty: float, where: str, mark: str = "", low: float = 0) -> Reading:
        """A fraction from percent; rounded, because 65.8 / 100 is not the float of 0.658."""
        percent, points = self.number(value, where, low, 100), self.number(uncertainty, where, 0, 100)
        return Reading(round(percent / 100, 9), round(points / 100, 9), mark)

    def number(self, value: object, where: str, low: float, high: float) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low < value < high:
            raise self.error(f"{where}: {value!r} should be a number between {low:g} and {high:g}")
        return float(value)

    def same(self, found: Mapping[str, Any], methods: Mapping[str, str], where: str) -> None:
        """Every method has a row, and nothing else has."""
        odd = set(found) ^ set(methods)
        if odd:
            raise self.error(f"{where}: {min(odd)!r} lacks, or is no method of the study")

    def keys(self, found: Mapping[str, Any], where: str, needed: Set[str], more: Set[str] = frozenset()) -> None:
        lacking, foreign = needed - set(found), set(found) - needed - more
        if lacking or foreign:
            what = f"lacks {min(lacking)!r}" if lacking else f"has the unknown key {min(foreign)!r}"
            raise self.error(f"{where} {what}")

    def error(self, problem: str) -> ResultsError:
        return ResultsError(f"{self.name}: {problem}; {_REPAIR}")
