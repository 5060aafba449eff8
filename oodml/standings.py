"""The best method of every level so far, by mean recall@1."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from oodml.schema import FEW_SHOT, UNADAPTED

METRIC = "recall_at_1"


class Best(NamedTuple):
    """Who leads, with what mean, over how many seeds."""

    name: str
    mean: float
    seeds: int


class Standings:
    """Recall@1 of finished runs, compared within a level and a setting: "" without labels, or "5 shots"."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, int], dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Takes the rows of one run file; what holds no recall@1 changes nothing.

        Args:
            rows: As they are in the file; of an adapted run one per episode and metric.
        """
        values = [row["value"] for row in rows if row["metric"] == METRIC and row["value"] is not None]
        if values:
            self.note(rows[0], math.fsum(values) / len(values))

    def note(self, run: Mapping[str, Any], value: float) -> None:
        """Takes the recall@1 of one run; of a run that was there it is the new one."""
        setting, name = "", str(run["method"])
        if run["setting"] == FEW_SHOT:
            setting = f"{run['shots']} shots"
            name += " unadapted" if run["adapter"] == UNADAPTED else f" + {run['adapter']}"
        self._values[setting, int(run["level"])][name][run["run_id"]] = value

    def note_finished(self, sweep: Path, run_ids: Collection[str]) -> None:
        """Takes what a sweep folder holds of these runs already."""
        from oodml.run_heads import read_heads

        heads = read_heads(sweep)
        for run in heads[heads["value"].notna() & heads["run_id"].isin(run_ids)].to_dict("records"):
            self.note({str(name): value for name, value in run.items()}, run["value"])

    def settings(self) -> list[str]:
        """Settings that have a value, "" first."""
        found = {setting for setting, _ in self._values}
        return sorted(found, key=lambda setting: int(setting.split()[0]) if setting else 0)

    def levels(self) -> list[int]:
        """Levels that have a value."""
        return sorted({level for _, level in self._values})

    def best(self, setting: str, level: int) -> Best | None:
        """The highest mean over seeds; of equal ones the first by name."""
        own = self._values.get((setting, level), {})
        means = {name: math.fsum(runs.values()) / len(runs) for name, runs in own.items()}
        if not means:
            return None
        name = min(means, key=lambda name: (-means[name], name))
        return Best(name, means[name], len(own[name]))
