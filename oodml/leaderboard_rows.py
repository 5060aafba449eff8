"""Rows of a leaderboard: a cell averages seeds, an area levels of a curve. Free of torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from oodml.class_intervals import BY_CLASS, area_by_class, seeds_by_class
from oodml.entries import Grid
from oodml.errors import ResultsError
from oodml.run_scores import Cells, Curve, Episodes, Scores, make_curve, mean
from oodml.schema import FEW_SHOT
from oodml.statistics import t_interval

INTERVAL = "t95 over seeds"
EPISODE_INTERVAL = "t95 over episodes"

Row = dict[str, Any]


@dataclass(frozen=True)
class LadderRows:
    """Levels by index, each with its references under "reference" and its test classes, if known, under "test".

    Attributes:
        levels: The levels.
        weights: What every level counts in an area; empty for a single level, which has none.
    """

    levels: list[Row]
    weights: list[float]

    def area(self, values: Sequence[float]) -> float:
        """`oodml.statistics.ags` of one value per level, which is linear in them."""
        return math.fsum(weight * value for weight, value in zip(self.weights, values, strict=True))


@dataclass(frozen=True)
class Block:
    """What the rows of an entry in a variant are made from.

    Attributes:
        identity: The columns that all of them share.
        grid: Where there are runs, planned or not.
        episodes: Values of the finished runs.
        cells: The runs behind the values.
        ladder: The ladder.
    """

    identity: Row
    grid: Grid
    episodes: Episodes
    cells: Cells
    ladder: LadderRows

    @cached_property
    def curve(self) -> Curve:
        """Values of the runs."""
        return make_curve(self.episodes)


def _summary(values: Mapping[int, float], single: Sequence[float] = ()) -> Row:
    """The mean over seeds; the values of a single seed's episodes give the interval that it cannot."""
    ordered = [values[seed] for seed in sorted(values)]
    average, std, low, high = t_interval(ordered)
    interval = INTERVAL if len(ordered) > 1 else None
    if len(ordered) == 1 and len(single) > 1:
        (_, std, low, high), interval = t_interval(single), EPISODE_INTERVAL
    return {"mean": average, "std": std, "n": len(ordered), "ci_low": low, "ci_high": high, "interval": interval}


def _costs(runs: Iterable[Scores]) -> Row:
    """Means of what runs cost, and when the latest of them started."""
    known = list(runs)
    row: Row = {"made_at": max((run.started_at for run in known), default="") or None}
    for name in ("train_s", "peak_memory_mb"):
        values = [value for value in (getattr(run, name) for run in known) if not math.isnan(value)]
        row[name] = mean(values) if values else None
    return row


def _failed(statuses: Mapping[int, str]) -> set[int]:
    return {seed for seed, status in statuses.items() if status not in ("done", "planned")}


def cell_rows(block: Block) -> Iterator[Row]:
    """One row for every level that was planned or ran."""
    identity, levels = block.identity, block.ladder.levels
    unknown = sorted(set(block.grid) - {row["level"] for row in levels})
    if unknown:
        raise ResultsError(f"there are runs at level {unknown[0]} of {identity['benchmark']!r}, which its ladder lacks")
    first = _summary(block.curve.get(levels[0]["level"], {}))["mean"]
    for level in levels:
        index = level["level"]
        if index in block.grid:
            seeds = block.cells.get(index, {})
            single = next(iter(block.episodes.get(index, {}).values()), ())
            summary = _summary(block.curve.get(index, {}), single)
            reference = level["reference"].get(identity["metric"], math.nan)
            yield {
                **{name: value for name, value in level.items() if name not in ("reference", "test")},
                **identity,
                **summary,
                **_costs(seeds.values()),
                BY_CLASS: seeds_by_class(seeds),
                "n_planned": len(block.grid[index]),
                "n_failed": len(_failed(block.grid[index])),
                "delta_first": summary["mean"] - first,
                "delta_reference": math.nan if identity["setting"] == FEW_SHOT else summary["mean"] - reference,
            }


def area_rows(block: Block) -> Iterator[Row]:
    """The row of the area over all levels; none for a single level, which has no area."""
    ladder, identity, curve = block.ladder, block.identity, block.curve
    if not ladder.weights:
        return
    indices = [level["level"] for level in ladder.levels]
    complete = set.intersection(*(set(curve.get(index, {})) for index in indices))
    summary = _summary({seed: ladder.area([curve[index][seed] for index in indices]) for seed in complete})
    reference = ladder.area([level["reference"].get(identity["metric"], math.nan) for level in ladder.levels])
    by_class = [seeds_by_class({seed: block.cells[index][seed] for seed in complete}) for index in indices]
    yield {
        **identity,
        **summary,
        **_costs(run for seeds in block.cells.values() for run in seeds.values()),
        BY_CLASS: area_by_class(by_class, [level["test"] for level in ladder.levels], ladder.weights),
        "metric": f"ags_{identity['metric']}",
        "n_planned": len(set().union(*block.grid.values())),
        "n_failed": len(set().union(*(_failed(statuses) for statuses in block.grid.values()))),
        "delta_reference": math.nan if identity["setting"] == FEW_SHOT else summary["mean"] - reference,
    }
