"""Fabricated leaderboards: numbers follow simple formulas, so that a test can say what a report must show."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from oodml import schema
from oodml.method_facts import MethodFacts, RunNote
from oodml.records import Level
from oodml.report import Facts, Failure, Section

METRICS = ("recall_at_1", "map_at_r")
METHODS = ("arcface", "contrastive", "frozen", "margin", "multisimilarity", "proxy_anchor", "triplet")
INTERVAL = "t95 over seeds"


def make_levels(count: int = 8, default: int = 2, reference: bool = True) -> tuple[Level, ...]:
    """Levels of 100 classes a side at shifts 2.5, 4.0, 5.5 ..., less 8 a side after the middle."""
    levels = []
    for i in range(count):
        side = 100 - max(0, i - count // 2) * 8
        train = tuple(f"class_{c}" for c in range(side))
        known = {"recall_at_1": 0.64 - 0.015 * i, "map_at_r": 0.31 - 0.01 * i} if reference else {}
        levels.append(
            Level(
                index=i,
                name="default" if i == default else f"level_{i}",
                shift=2.5 + 1.5 * i,
                shift_scaled=i / max(1, count - 1),
                null_mean=2.2 + 0.01 * i,
                null_std=0.08,
                reference=known,
                train=train,
                test=tuple(f"class_{c}" for c in range(100, 100 + side)),
                val=train[: side // 4],
                origin="" if i == default else f"swap {2 * (i - default):+d}",
            )
        )
    return tuple(levels)


def make_mean(method_rank: int, level: int, metric: str) -> float:
    """A fall of about .2 over eight levels, methods .01 to .02 apart, crossing now and then."""
    wiggle = 0.008 * math.sin(1.7 * level + 2.3 * method_rank)
    value = 0.84 - 0.014 * method_rank - (0.025 + 0.002 * (method_rank % 3)) * level + wiggle
    return value if metric == "recall_at_1" else value - 0.33


def make_frame(
    levels: Sequence[Level],
    methods: Sequence[str] = METHODS,
    *,
    benchmark: str = "glyphs",
    seeds: int = 3,
    done: Mapping[tuple[str, int], int] | None = None,
    selections: Sequence[str] = ("last",),
    metrics: Sequence[str] = METRICS,
) -> pd.DataFrame:
    """A conforming leaderboard.

    Args:
        levels: Levels of the ladder.
        methods: Names of methods.
        benchmark: Name of the ladder.
        seeds: Planned seeds per cell.
        done: (method, level index) to finished seeds where that is fewer than planned.
        selections: Selections, each with all rows.
        metrics: Metrics, each with all rows.
    """
    done = done or {}
    rows: list[dict[str, object]] = []
    for selection in selections:
        for metric in metrics:
            for rank, method in enumerate(methods):
                cells = _method_rows(levels, method, rank, metric, seeds, done)
                rows += [{"benchmark": benchmark, "selection": selection, **cell} for cell in cells]
    columns = {name: [row.get(name) for row in rows] for name in _filled(rows)}
    columns |= {"schema_version": [1] * len(rows), "setting": ["zero_shot"] * len(rows)}
    frame: pd.DataFrame = schema.table(schema.LEADERBOARD, columns).to_pandas()
    return frame


def _filled(rows: Collection[Mapping[str, object]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _method_rows(
    levels: Sequence[Level],
    method: str,
    rank: int,
    metric: str,
    seeds: int,
    done: Mapping[tuple[str, int], int],
) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for level in levels:
        n = done.get((method, level.index), seeds)
        mean = make_mean(rank, level.index, metric)
        known = level.reference.get(metric)
        row = _row(method, metric, mean if n else None, n, seeds, rank)
        row |= {"level": level.index, "level_name": level.name, "shift": level.shift}
        row |= {"shift_scaled": level.shift_scaled, "n_failed": 0 if n else seeds}
        if n:
            row["delta_first"] = mean - make_mean(rank, levels[0].index, metric)
            row["delta_reference"] = None if known is None else mean - known
        rows.append(row)
    complete = all(done.get((method, level.index), seeds) == seeds for level in levels)
    area = sum(make_mean(rank, level.index, metric) for level in levels) / len(levels)
    rows.append(_row(method, f"ags_{metric}", area if complete else None, seeds if complete else 0, seeds, rank))
    return rows


def _row(method: str, metric: str, mean: float | None, n: int, planned: int, rank: int) -> dict[str, object]:
    row: dict[str, object] = {
        "method": method,
        "backbone": "test_resnet",
        "embedding_dim": 64,
        "config": "{}",
    }
    row |= {"metric": metric, "mean": mean, "n": n, "n_planned": planned, "n_failed": 0}
    if mean is None:
        return row
    half = 0.006 + 0.002 * (rank % 4)
    row |= {"std": half / 2.5, "rank": rank + 1, "rank_low": max(1, rank), "rank_high": rank + 2}
    if n > 1:
        row |= {"ci_low": mean - half, "ci_high": mean + half, "interval": INTERVAL}
    return row


def make_methods(levels: Sequence[Level], methods: Sequence[str] = METHODS, seeds: int = 3) -> tuple[MethodFacts, ...]:
    """What stands behind `make_frame`: seeds lie .01 apart around the mean."""
    found = []
    for rank, method in enumerate(methods):
        runs = tuple(
            RunNote(f"{method}-{level.index}-{seed}", level.index, seed, "last", "done", _values(rank, level, seed))
            for level in levels
            for seed in range(seeds)
        )
        group = "study" if rank % 2 else "systems"
        command = f"oodml sweep splits/glyphs --methods {method}"
        found.append(MethodFacts(method, group, f"Does {method}.", "", "beta=1.2", command, 10.0 + rank, runs))
    return tuple(found)


def _values(rank: int, level: Level, seed: int) -> dict[str, float]:
    return {metric: make_mean(rank, level.index, metric) + 0.01 * (seed - 1) for metric in METRICS}


def make_section(
    *,
    benchmark: str = "glyphs",
    methods: Sequence[str] = METHODS,
    count: int = 8,
    done: Mapping[tuple[str, int], int] | None = None,
    failures: Sequence[Failure] = (),
    selections: Sequence[str] = ("last",),
    reference: bool = True,
    behind: bool = False,
) -> Section:
    """A section around `make_levels` and `make_frame`, with what stands behind it on request."""
    levels = make_levels(count, reference=reference)
    planned = len(methods) * count * 3
    facts = Facts(
        title=f"{benchmark}: embedding quality under shift",
        command=f"oodml sweep splits/{benchmark} --seeds 3 --out build/{benchmark}",
        dataset="glyphs, 4800 images",
        classes="200 classes in 6 scripts",
        done=planned - sum(3 - n for n in (done or {}).values()),
        planned=planned,
        failures=tuple(failures),
        versions="oodml 0.1.0, torch 2.14.0",
        device="cpu",
    )
    frame = make_frame(levels, methods, benchmark=benchmark, done=done, selections=selections)
    return Section(benchmark, frame, levels, facts, methods=make_methods(levels, methods) if behind else ())
