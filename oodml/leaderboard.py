"""From runs to a leaderboard: seeds are averaged in a cell, then levels under a curve. Free of torch.

A row is a cell: one configuration of a method (an entry) at one level, in one setting and metric (a
variant). Cells that were planned but have no finished run stay as rows without a mean; nothing is averaged
over a gap.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from oodml import schema
from oodml.class_intervals import add_class_intervals
from oodml.entries import (
    Entry,
    Grid,
    Run,
    Variant,
    benchmark_facts,
    collect,
    failed_adaptations,
    find_entries,
    make_grids,
    row_tuples,
)
from oodml.errors import UnknownNameError
from oodml.gain_pairs import gain_episodes, pair_episodes
from oodml.leaderboard_rows import Block, LadderRows, Row, area_rows, cell_rows
from oodml.metrics.base import HEADLINE_METRICS, metric_info
from oodml.ranks import rank_range_summary
from oodml.records import Level
from oodml.results import sort_leaderboard, to_frame
from oodml.run_scores import Cells, Episodes, episodes_of, make_cells
from oodml.schema import FEW_SHOT, UNADAPTED
from oodml.statistics import ags

GAIN = "gain_"  # prefix of the metric of rows that hold what an adapter adds
REFERENCE = "reference_"  # prefix of the columns of `levels_frame` that hold the untrained embedder's metrics


def build_leaderboard(
    runs: pd.DataFrame, plan: pd.DataFrame | None, levels: pd.DataFrame | Sequence[Level]
) -> pd.DataFrame:
    """Summarises runs of one or several sweeps and benchmarks.

    A run that several sweeps hold counts once. AGS rows have a null level and the metric "ags_<metric>";
    they average the seeds that are finished at every level of the ladder (`n`), and are null if there is
    none. Few-shot rows average the episodes of a seed first. Every adapter but "none" also has rows of the
    metric "gain_<metric>": adapted less unadapted on the same query images, episode by episode. They have no
    AGS. With two seeds or more every interval (and `std`) is over seeds; few-shot rows of one seed have that
    over its episodes, and `interval` says so.

    Args:
        runs: Rows of `oodml.results.read_runs`, of several sweeps after concatenation.
        plan: Rows of `read_plan`; without it only what ran counts as planned.
        levels: All levels of the ladder, or `levels_frame`s of several ladders after concatenation.

    Returns:
        One row per cell with the columns of `oodml.schema.LEADERBOARD`, sorted; independent of the order of
        rows. `delta_first` is the mean less that at the easiest level, `delta_reference` the mean less the
        value of the ladder's untrained embedder on all test images of the level: null in few-shot rows, whose
        query images are fewer. `class_low` to `both_high` are of zero-shot rows whose runs all keep values by class
        (`oodml.class_intervals`). Costs are means over the finished runs of a row; those of few-shot rows are of one
        adaptation. Ranks compare the entries with the same backbone (`oodml.ranks.rank_range_summary`).

    Raises:
        ResultsError: If a level is not in `levels`, a benchmark mixes ladders, or a cell holds a seed twice.
    """
    found = collect(runs, plan)
    entries = find_entries(found)
    cells = make_cells(runs, found, entries)
    gains = {key: gain_episodes(pairs) for key, pairs in pair_episodes(_few_shot(cells)).items()}
    rows: list[Row] = []
    for (entry, variant), block in _blocks(found, entries, cells, _lost(runs, entries), levels):
        rows += [*cell_rows(block), *area_rows(block)]
        if variant.setting == FEW_SHOT and variant.adapter != UNADAPTED:
            rows += cell_rows(_gain_block(block, gains.get((entry, variant), {})))
    add_class_intervals(rows)
    _add_ranks(rows)
    columns = {name: [row.get(name) for row in rows] for name in schema.LEADERBOARD.names}
    columns["schema_version"] = [schema.VERSIONS["leaderboard"]] * len(rows)
    return sort_leaderboard(to_frame(schema.table(schema.LEADERBOARD, columns)))


def levels_frame(levels: Iterable[Level], benchmark: str | None = None) -> pd.DataFrame:
    """Levels as the table that `build_leaderboard` reads; name the benchmark to join those of several."""
    rows = [
        {"benchmark": benchmark, "level": v.index, "level_name": v.name, "shift": v.shift}
        | {"shift_scaled": v.shift_scaled, "test": v.test}
        | {f"{REFERENCE}{metric}": value for metric, value in v.reference.items()}
        for v in levels
    ]
    return pd.DataFrame(rows)


def _ladder(levels: pd.DataFrame | Sequence[Level], benchmark: str) -> LadderRows:
    frame = levels if isinstance(levels, pd.DataFrame) else levels_frame(levels)
    if "benchmark" in frame:
        frame = frame[frame["benchmark"].isna() | (frame["benchmark"] == benchmark)]
    rows: list[Row] = []
    for record in frame.sort_values("level").to_dict("records"):
        row = {str(name): value for name, value in record.items()}
        reference = {n.removeprefix(REFERENCE): v for n, v in row.items() if n.startswith(REFERENCE)}
        shown = {name: row[name] for name in ("level", "level_name", "shift", "shift_scaled")}
        rows.append({**shown, "reference": reference, "test": row.get("test")})
    shift = [row["shift_scaled"] for row in rows]
    return LadderRows(rows, [ags(shift, unit) for unit in np.eye(len(rows))] if len(rows) > 1 else [])


def _few_shot(cells: Mapping[tuple[Entry, Variant], Cells]) -> dict[tuple[Entry, Variant], Episodes]:
    return {key: episodes_of(own) for key, own in cells.items() if key[1].setting == FEW_SHOT}


def _blocks(
    found: Mapping[str, Run],
    entries: Mapping[str, Entry],
    cells: Mapping[tuple[Entry, Variant], Cells],
    lost: Mapping[tuple[Entry, Any, Any], set[tuple[int, int]]],
    levels: pd.DataFrame | Sequence[Level],
) -> Iterator[tuple[tuple[Entry, Variant], Block]]:
    """Every entry in every variant that it has, scored or lost."""
    grids, facts = make_grids(found, entries), benchmark_facts(found)
    ladders, variants = {name: _ladder(levels, name) for name in facts}, _variants(grids, cells, lost)
    for entry, planned in grids.items():
        for variant in variants[entry]:
            own = cells.get((entry, variant), {})
            identity = {**facts[entry.benchmark], **entry._asdict(), **variant._asdict()}
            grid = _without(planned, lost.get((entry, variant.shots, variant.adapter), set()))
            yield (entry, variant), Block(identity, grid, episodes_of(own), own, ladders[entry.benchmark])


def _gain_block(adapted: Block, gains: Episodes) -> Block:
    """What the rows of gains are made from: those of the adapted runs that have any."""
    cells = {level: {seed: adapted.cells[level][seed] for seed in seeds} for level, seeds in gains.items()}
    identity = {**adapted.identity, "metric": f"{GAIN}{adapted.identity['metric']}"}
    return replace(adapted, identity=identity, episodes=gains, cells=cells)


def _lost(runs: pd.DataFrame, entries: Mapping[str, Entry]) -> dict[tuple[Entry, Any, Any], set[tuple[int, int]]]:
    """Entry, shots and adapter to the (level, seed) at which the adaptation failed."""
    lost: dict[tuple[Entry, Any, Any], set[tuple[int, int]]] = defaultdict(set)
    rows = row_tuples(failed_adaptations(runs), ("run_id", "shots", "adapter", "level", "seed"))
    for run_id, shots, adapter, level, seed in rows:
        lost[entries[run_id], shots, adapter].add((level, seed))
    return lost


def _variants(
    entries: Iterable[Entry], known: Iterable[tuple[Entry, Variant]], lost: Iterable[tuple[Entry, Any, Any]]
) -> dict[Entry, list[Variant]]:
    """Variants of every entry in a fixed order; of one that nothing is known of those that are always scored.

    A failed adaptation names no metric, so it takes those of the others.
    """
    seen: dict[Entry, set[Variant]] = {entry: set() for entry in entries}
    for entry, variant in known:
        seen[entry].add(variant)
    few = {entry: {v.metric for v in own if v.setting == FEW_SHOT} or HEADLINE_METRICS for entry, own in seen.items()}
    for entry, shots, adapter in lost:
        seen[entry] |= {Variant(FEW_SHOT, shots, adapter, metric) for metric in few[entry]}
    usual = {Variant("zero_shot", None, None, metric) for metric in HEADLINE_METRICS}
    return {entry: sorted(own or usual, key=repr) for entry, own in seen.items()}


def _without(grid: Grid, lost: set[tuple[int, int]]) -> Grid:
    return {
        level: {s: "failed" if (level, s) in lost else status for s, status in statuses.items()}
        for level, statuses in grid.items()
    }


def _add_ranks(rows: list[Row]) -> None:
    """Ranks rows that differ in method, width and options only; a metric of unknown direction has none."""
    shared = ("benchmark", "backbone", "level", "setting", "shots", "adapter", "selection", "metric")
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        if row["n"]:
            groups[tuple(row.get(name) for name in shared)].append(row)
    for members in groups.values():
        try:
            metric = members[0]["metric"].removeprefix("ags_").removeprefix(GAIN)
            upward = metric_info(metric).higher_is_better
        except UnknownNameError:
            continue
        columns = ([row[name] for row in members] for name in ("mean", "std", "n"))
        ranks = rank_range_summary(*columns, higher_is_better=upward)
        found = zip(ranks.rank.tolist(), ranks.low.tolist(), ranks.high.tolist(), strict=True)
        for row, places in zip(members, found, strict=True):
            row["rank"], row["rank_low"], row["rank_high"] = places
