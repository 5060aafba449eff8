"""Runs sorted into entries (what is compared) and grids (where). Free of torch."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oodml.codes import block_starts, codes_of, plain_values
from oodml.errors import ResultsError
from oodml.schema import FEW_SHOT

Grid = dict[int, dict[int, str]]  # level -> seed -> status of the run, "planned" if it has no file


class Entry(NamedTuple):
    """What is compared: one method in one configuration on one benchmark."""

    benchmark: str
    method: str
    backbone: str
    embedding_dim: int | None
    config: str | None
    selection: str


class Variant(NamedTuple):
    """How an entry is scored."""

    setting: str
    shots: int | None
    adapter: str | None
    metric: str


class Run(NamedTuple):
    """One run, finished or only planned."""

    run_id: str
    benchmark: str
    dataset: str | None
    ladder_hash: str | None
    method: str
    backbone: str
    embedding_dim: int | None
    config: str | None
    selection: str
    level: int
    seed: int
    status: str


def row_tuples(frame: pd.DataFrame, columns: Iterable[str]) -> Iterator[tuple[Any, ...]]:
    """Rows of the columns as plain Python values, None for null."""
    return zip(*(plain_values(frame[name]) for name in columns), strict=True)


def collect(runs: pd.DataFrame, plan: pd.DataFrame | None) -> dict[str, Run]:
    """All runs by id, a finished copy before a failed one, the run before its adaptations; sorted by id."""
    owner, started, status = (codes_of(runs[name])[0] for name in ("run_id", "started_at", "status"))
    unfinished, adapted = (runs["status"] != "done").to_numpy(bool), few_shot_rows(runs)
    order = np.lexsort((status, np.where(started < 0, len(runs), started), unfinished, adapted, owner))
    first = runs.iloc[order[block_starts(owner[order])]]
    found = {row[0]: Run(*row) for row in row_tuples(first, Run._fields)}
    if plan is not None:
        columns = [name for name in Run._fields if name in plan] + ["spec"]
        for row in row_tuples(plan, columns):
            known = dict(zip(columns, row, strict=True))
            ladder_hash = json.loads(known.pop("spec") or "{}").get("ladder_hash")
            run = Run(**known, dataset=None, ladder_hash=ladder_hash, status="planned")
            found.setdefault(run.run_id, run)
    return dict(sorted(found.items()))


def find_entries(found: Mapping[str, Run]) -> dict[str, Entry]:
    """Run id to its entry.

    How wide an embedding is shows when a run is finished: until then a plan names the width that a method
    was offered (frozen features keep their own), and a failed run may name none. Those take the width of
    their finished siblings.
    """

    def entry(run: Run) -> Entry:
        return Entry(*(getattr(run, name) for name in Entry._fields))

    widths: dict[Entry, set[int | None]] = defaultdict(set)
    for run in found.values():
        if run.status == "done":
            widths[entry(run)._replace(embedding_dim=None)].add(run.embedding_dim)
    entries = {}
    for run_id, run in found.items():
        known = widths.get(entry(run)._replace(embedding_dim=None), set())
        fits = run.status == "done" or run.embedding_dim in known or len(known) != 1
        entries[run_id] = entry(run) if fits else entry(run)._replace(embedding_dim=next(iter(known)))
    return entries


def make_grids(found: Mapping[str, Run], entries: Mapping[str, Entry]) -> dict[Entry, Grid]:
    """Where every entry has runs, planned or not.

    Raises:
        ResultsError: If two runs differ in their id only.
    """
    grids: dict[Entry, Grid] = defaultdict(lambda: defaultdict(dict))
    owner: dict[tuple[Entry, int, int], str] = {}
    for run in found.values():
        entry = entries[run.run_id]
        other = owner.setdefault((entry, run.level, run.seed), run.run_id)
        if other != run.run_id:
            raise ResultsError(
                f"runs {other} and {run.run_id} of {run.benchmark!r} are both {run.method}, "
                f"level {run.level}, seed {run.seed}: two versions of oodml that score differently used one "
                "folder; sweep into a new one"
            )
        grids[entry][run.level][run.seed] = run.status
    return grids


def failed_adaptations(runs: pd.DataFrame) -> pd.DataFrame:
    """Rows of adaptations that ended without a number; one that another copy of the run finished is none."""
    key = ["run_id", "shots", "adapter"]
    few, scored = few_shot_rows(runs), runs["metric"].notna().to_numpy(bool)
    failed = runs[few & ~scored].sort_values([*key, "started_at"]).drop_duplicates(key)
    if failed.empty:
        return failed
    finished = runs.loc[few & scored & runs["run_id"].isin(failed["run_id"]).to_numpy(bool), key].drop_duplicates()
    merged = failed.merge(finished.assign(finished=True), on=key, how="left")
    return merged[merged["finished"].isna()].drop(columns="finished")


def few_shot_rows(runs: pd.DataFrame) -> NDArray[np.bool_]:
    """Which rows are of adaptations."""
    return runs["setting"].eq(FEW_SHOT).fillna(False).to_numpy(bool)


def benchmark_facts(found: Mapping[str, Run]) -> dict[str, dict[str, str | None]]:
    """Benchmark to its dataset and ladder_hash."""
    facts: dict[str, dict[str, set[str]]] = defaultdict(lambda: {"dataset": set(), "ladder_hash": set()})
    for run in found.values():
        for name, values in facts[run.benchmark].items():
            values.update({getattr(run, name)} - {None})
    for benchmark, known in facts.items():
        if len(known["ladder_hash"]) > 1:
            hashes = ", ".join(sorted(known["ladder_hash"]))
            raise ResultsError(
                f"the runs of {benchmark!r} come from different ladders ({hashes}), so they do not compare; "
                "report them apart"
            )
    return {name: {key: min(values, default=None) for key, values in f.items()} for name, f in facts.items()}
