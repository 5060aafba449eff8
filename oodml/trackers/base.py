"""What a tracker gets, and what it is."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oodml.records import Scalar
from oodml.schema import FEW_SHOT

_FACTS = ("run_id", "benchmark", "method", "level", "shift", "seed", "backbone", "selection", "setting", "shots")
_COSTS = ("train_s", "eval_s", "peak_memory_mb")


@dataclass(frozen=True)
class TrackedRun:
    """A run as trackers see it.

    Attributes:
        name: Method, level and seed, of an adapted run also adapter and shots, such as "margin/level_0/seed_0".
        benchmark: Name of the ladder.
        status: "done", or how it ended instead.
        error: Why; "" if it is done.
        config: What the run is: its facts, and all options as "training.lr" and so on.
        scores: Metric to value; of an adapted run the mean over its episodes.
        costs: Seconds and memory.
    """

    name: str
    benchmark: str
    status: str
    error: str
    config: dict[str, Scalar]
    scores: dict[str, float]
    costs: dict[str, float]


class Tracker(ABC):
    """A place that takes the scores of runs.

    Args:
        sweep: The sweep folder; what a tracker writes on this machine goes to its folder `trackers`.
    """

    @abstractmethod
    def __init__(self, sweep: Path) -> None: ...

    @abstractmethod
    def log(self, run: TrackedRun) -> None:
        """Takes one run that has ended."""

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """Called once, after the last run."""


def tracked_run(rows: Sequence[Mapping[str, Any]]) -> TrackedRun:
    """The rows of one run file, as a tracker gets them."""
    first = rows[0]
    name = f"{first['method']}/level_{first['level']}/seed_{first['seed']}"
    config: dict[str, Scalar] = {fact: first[fact] for fact in _FACTS if first[fact] is not None}
    if first["setting"] == FEW_SHOT:
        name += f"/{first['adapter']}/{first['shots']}_shots"
        config["adapter"] = first["adapter"]
    for part, options in json.loads(first["config"] or "{}").items():
        config |= {f"{part}.{option}": value for option, value in options.items()}
    values: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row["metric"] is not None and row["value"] is not None:
            values[row["metric"]].append(row["value"])
    scores = {metric: math.fsum(own) / len(own) for metric, own in values.items()}
    costs = {cost: float(first[cost]) for cost in _COSTS if first[cost] is not None}
    return TrackedRun(name, first["benchmark"] or "", first["status"], first["error"] or "", config, scores, costs)
