"""Runs with few-shot rows of known gains, which grow with the shift."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from oodml import schema
from oodml.few_shot_statistics import summarise_few_shot
from oodml.leaderboard import build_leaderboard
from oodml.records import Level
from oodml.report import Facts, Section
from oodml.results import to_frame

LADDER = tuple(
    Level(
        index=i,
        name="default" if i == 1 else f"level_{i}",
        shift=3.0 + 2.0 * i,
        shift_scaled=i / 4,
        null_mean=2.0,
        null_std=0.1,
        reference={"recall_at_1": 0.5 - 0.02 * i, "map_at_r": 0.3 - 0.02 * i},
        train=("a", "b"),
        test=("c", "d"),
        val=(),
    )
    for i in range(5)
)


def few_shot_row(run: Mapping[str, Any], shots: int, adapter: str, episode: int, value: float | None) -> dict[str, Any]:
    """A row of an episode, with the identity of a run."""
    few = {"setting": "few_shot", "shots": shots, "adapter": adapter, "episode": episode, "value": value}
    return {**run, **few, "num_queries": 400 - 2 * shots}


def lost_row(run: Mapping[str, Any], shots: int, adapter: str, error: str = "why") -> dict[str, Any]:
    """The row of an adaptation that failed."""
    few = {"setting": "few_shot", "shots": shots, "adapter": adapter, "metric": None, "value": None}
    return {**run, **few, "status": "failed", "error": error}


def unadapted(rank: int, scaled: float, seed: int, shots: int, episode: int) -> float:
    """0.8 less 0.3 over the ladder, 0.05 between methods, 0.01 between seeds; fewer queries are a little easier."""
    return 0.8 - 0.3 * scaled - 0.05 * rank + 0.01 * (seed - 1) + 0.001 * shots + 0.004 * (episode % 5 - 2)


def gain(rank: int, scaled: float, seed: int, shots: int, strength: float, episode: int) -> float:
    """Grows with the shift for even ranks, stays for odd ones; mean zero over ten episodes around that."""
    grown = 0.02 + (0.1 * scaled if rank % 2 == 0 else 0.004 * (seed - 1) * scaled)
    return strength * grown * math.sqrt(shots) + 0.002 * (seed - 1) + 0.003 * (episode % 5 - 2) * (1 + scaled)


def run_row(method: str, level: int, seed: int, metric: str, value: float | None, **other: Any) -> dict[str, Any]:
    """A zero-shot row of a finished run on `LADDER`."""
    identity = {"method": method, "level": level, "seed": seed}
    row: dict[str, Any] = {"run_id": json.dumps(identity), "benchmark": "toy", "dataset": "toys", "ladder_hash": "h"}
    row |= {**identity, "backbone": "net", "embedding_dim": 8, "config": "{}", "selection": "last"}
    row |= {"shift": LADDER[level].shift, "shift_scaled": LADDER[level].shift_scaled}
    row |= {"setting": "zero_shot", "metric": metric, "value": value, "status": "done", "started_at": "2024-01-01"}
    return {**row, "device": "cpu", "oodml_version": "1", "torch_version": "2", **other}


def few_shot_rows(
    methods: Sequence[str] = ("contrastive", "margin", "triplet"),
    *,
    adapters: Mapping[str, float] | None = None,
    shots: Sequence[int] = (2, 5),
    seeds: int = 3,
    levels: int = 5,
    episodes: int = 10,
    metrics: Sequence[str] = ("recall_at_1", "map_at_r"),
) -> list[dict[str, Any]]:
    """Rows of a complete sweep, zero-shot and few-shot, by the formulas above.

    Args:
        methods: Their position is the rank in the formulas.
        adapters: Adapter to its strength; "none" is always there as well.
        shots: Numbers of labelled images per class.
        seeds: Runs per method and level.
        levels: How many of `LADDER`.
        episodes: Draws per number of shots.
        metrics: Each after the first is 0.3 lower, with the same gains.
    """
    known = {"linear": 1.0} if adapters is None else adapters
    rows = []
    for rank, method in enumerate(methods):
        for level in range(levels):
            for seed in range(seeds):
                for m, metric in enumerate(metrics):
                    x, drop = LADDER[level].shift_scaled, 0.3 * (m > 0)
                    run = run_row(method, level, seed, metric, unadapted(rank, x, seed, 0, 2) - drop)
                    rows.append(run)
                    for k in shots:
                        for e in range(episodes):
                            before = unadapted(rank, x, seed, k, e) - drop
                            rows.append(few_shot_row(run, k, "none", e, before))
                            rows += [
                                few_shot_row(run, k, name, e, before + gain(rank, x, seed, k, strength, e))
                                for name, strength in known.items()
                            ]
    return rows


def few_shot_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as `oodml.results.read_runs` gives them."""
    columns = {name: [row.get(name) for row in rows] for name in schema.RUN.names}
    return to_frame(schema.table(schema.RUN, columns))


def few_shot_section(rows: Sequence[Mapping[str, Any]], **facts: Any) -> Section:
    """A section of a report on the rows."""
    runs = few_shot_frame(rows)
    few_shot = summarise_few_shot(runs, None, [(level.index, level.shift_scaled) for level in LADDER])
    return Section("toy", build_leaderboard(runs, None, LADDER), LADDER, Facts(**facts), few_shot)
