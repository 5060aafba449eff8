"""What the finished runs of a table scored and cost, by entry, level and seed. Free of torch."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oodml.codes import Codes, block_starts, codes_of, combined
from oodml.entries import Entry, Run, Variant

Curve = dict[int, dict[int, float]]  # level -> seed -> value of the run
Episodes = dict[int, dict[int, tuple[float, ...]]]  # level -> seed -> values of the run, one per episode


class Scores(NamedTuple):
    """What is known of one run in one variant.

    Attributes:
        values: Its values, one per episode; one without episodes.
        train_s: Seconds that training took, of adaptations those of one; nan if not known.
        peak_memory_mb: Largest amount of memory in use; nan if not known.
        started_at: When it started; "" if not known.
        class_values: Means by test class, nan without queries, shape (c,); None if not kept.
        class_queries: Numbers of queries behind them, shape (c,); None if not kept.
    """

    values: tuple[float, ...]
    train_s: float = math.nan
    peak_memory_mb: float = math.nan
    started_at: str = ""
    class_values: NDArray[np.floating[Any]] | None = None
    class_queries: NDArray[np.integer[Any]] | None = None


_COLUMNS = (
    *("run_id", *Variant._fields, "episode", "value"),
    *("train_s", "peak_memory_mb", "started_at", "class_values", "class_queries"),
)
Cells = dict[int, dict[int, Scores]]  # level -> seed -> scores of the run


@dataclass(frozen=True)
class _Table:
    """The rows with a number, sorted by run, variant and episode, each once; a block is a run in a variant.

    Attributes:
        rows: The sorted rows.
        run: Place of their run among `run_ids`.
        variant: Place of their variant among `variants`.
        starts: First row of every block, then the number of rows.
    """

    rows: pd.DataFrame
    run: Codes
    run_ids: list[str]
    variant: Codes
    variants: list[Variant]
    starts: NDArray[np.int64]


def make_cells(
    runs: pd.DataFrame, found: Mapping[str, Run], entries: Mapping[str, Entry]
) -> dict[tuple[Entry, Variant], Cells]:
    """Scores of the finished runs, by rising episode; what has no episodes has one value.

    A run with a null among its episodes, or without an episode that any run of its level has with as many
    shots, is left out: nothing is averaged over a gap, and all that remains is paired by position.
    """
    table = _sorted(runs)
    cells: dict[tuple[Entry, Variant], Cells] = defaultdict(lambda: defaultdict(dict))
    blocks = table.starts[:-1]
    owners = [(entries[run_id], found[run_id].level, found[run_id].seed) for run_id in table.run_ids]
    places = zip(table.run[blocks].tolist(), table.variant[blocks].tolist(), strict=True)
    for (run, variant), whole, scores in zip(places, _whole(table, found).tolist(), _scores(table), strict=True):
        if whole:
            entry, level, seed = owners[run]
            cells[entry, table.variants[variant]][level][seed] = scores
    return cells


def make_episodes(
    runs: pd.DataFrame, found: Mapping[str, Run], entries: Mapping[str, Entry]
) -> dict[tuple[Entry, Variant], Episodes]:
    """The values alone of `make_cells`."""
    return {key: episodes_of(cells) for key, cells in make_cells(runs, found, entries).items()}


def episodes_of(cells: Cells) -> Episodes:
    """Values by level and seed."""
    return {level: {seed: scores.values for seed, scores in seeds.items()} for level, seeds in cells.items()}


def make_curve(episodes: Episodes) -> Curve:
    """The mean over the episodes of every run."""
    return {level: {seed: mean(v) for seed, v in seeds.items()} for level, seeds in episodes.items()}


def mean(values: Iterable[float]) -> float:
    """Mean of at least one value, whatever their order; nan if one is."""
    known = tuple(values)
    return known[0] if len(known) == 1 else math.fsum(known) / len(known)


def _sorted(runs: pd.DataFrame) -> _Table:
    """The rows of finished runs; of copies of a row one, whatever their order: with values by class, then early."""
    done = runs.loc[((runs["status"] == "done") & runs["metric"].notna()).to_numpy(bool), list(_COLUMNS)]
    run, run_ids = codes_of(done["run_id"])
    parts = [codes_of(done[name]) for name in Variant._fields]
    numbers, variant = np.unique(combined((codes, len(known)) for codes, known in parts), return_inverse=True)
    first = np.zeros(len(numbers), dtype=np.int64)
    first[variant] = np.arange(len(variant))
    names = [[known[code] if code >= 0 else None for code in codes[first]] for codes, known in parts]
    episode, started = codes_of(done["episode"])[0], codes_of(done["started_at"])[0]
    group = run * max(1, len(numbers)) + variant
    order = np.lexsort((episode, group))
    if not block_starts(group[order], episode[order]).all():
        further = [done[name].to_numpy(np.float64) for name in ("peak_memory_mb", "train_s", "value")]
        order = np.lexsort((*further, started, done["class_values"].isna().to_numpy(bool), episode, group))
        order = order[block_starts(group[order], episode[order])]
    starts = np.append(np.flatnonzero(block_starts(group[order])), len(order))
    variants = [Variant(*row) for row in zip(*names, strict=True)]
    rows = done.drop(columns=["run_id", *Variant._fields]).iloc[order]
    return _Table(rows, run[order], run_ids, variant[order], variants, starts)


def _whole(table: _Table, found: Mapping[str, Run]) -> NDArray[np.bool_]:
    """Which blocks have a value for every episode that any run has at the level with as many shots."""
    blocks, sizes = table.starts[:-1], np.diff(table.starts)
    if not len(blocks):
        return np.zeros(0, dtype=bool)
    runs = pd.DataFrame({name: [getattr(found[key], name) for key in table.run_ids] for name in ("benchmark", "level")})
    places = [(codes[table.run], len(known)) for codes, known in (codes_of(runs[name]) for name in runs)]
    shots = [variant.shots or 0 for variant in table.variants]
    cell = combined([*places, (np.array(shots)[table.variant], max(shots) + 1)])
    episode, known = codes_of(table.rows["episode"])
    _, cell = np.unique(cell, return_inverse=True)
    pairs = np.unique(cell * (len(known) + 1) + episode + 1)
    wanted = np.bincount(pairs // (len(known) + 1))
    unknown = np.logical_or.reduceat(table.rows["value"].isna().to_numpy(bool), blocks)
    return np.asarray((sizes == wanted[cell[blocks]]) & ~unknown)


def _scores(table: _Table) -> Iterator[Scores]:
    """The scores of every block."""
    rows, blocks = table.rows, table.starts[:-1]
    if not len(blocks):
        return
    values, ends = rows["value"].to_numpy(np.float64).tolist(), table.starts.tolist()
    costs = [_block_means(rows[name].to_numpy(np.float64), table.starts) for name in ("train_s", "peak_memory_mb")]
    started, times = codes_of(rows["started_at"])
    latest = np.maximum.reduceat(started, blocks).tolist()
    by_class = (rows[name].to_numpy(object)[blocks].tolist() for name in ("class_values", "class_queries"))
    for i, (train_s, memory, time, means, queries) in enumerate(zip(*costs, latest, *by_class, strict=True)):
        kept = isinstance(means, np.ndarray) and isinstance(queries, np.ndarray)
        yield Scores(
            tuple(values[ends[i] : ends[i + 1]]),
            train_s,
            memory,
            times[time] if time >= 0 else "",
            means if kept else None,
            queries if kept else None,
        )


def _block_means(values: NDArray[np.float64], starts: NDArray[np.int64]) -> list[float]:
    """Means of the known values of every block."""
    known = ~np.isnan(values)
    sums = np.add.reduceat(np.where(known, values, 0.0), starts[:-1])
    counts = np.add.reduceat(known.astype(np.int64), starts[:-1])
    means: list[float] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).tolist()
    return means
