"""Runs sorted into entries (what is compared), cells (where) and curves (how good). Free of torch."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from oodml import schema
from oodml.errors import ResultsError
from oodml.schema import FEW_SHOT

Curve = dict[int, dict[int, float]]  # level -> seed -> value of the run
Episodes = dict[int, dict[int, tuple[float, ...]]]  # level -> seed -> values of the run, one per episode
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
    for row in frame[list(columns)].itertuples(index=False, name=None):
        plain = (value.item() if isinstance(value, np.generic) else value for value in row)
        yield tuple(None if pd.isna(value) else value for value in plain)


def collect(runs: pd.DataFrame, plan: pd.DataFrame | None) -> dict[str, Run]:
    """All runs by id, a finished copy before a failed one, the run before its adaptations; sorted by id."""
    ordered = runs.assign(unfinished=runs["status"] != "done", adapted=runs["setting"].eq(FEW_SHOT).fillna(False))
    ordered = ordered.sort_values(["run_id", "adapted", "unfinished", "started_at"])
    found = {row[0]: Run(*row) for row in row_tuples(ordered.drop_duplicates("run_id"), Run._fields)}
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


def make_episodes(
    runs: pd.DataFrame, found: Mapping[str, Run], entries: Mapping[str, Entry]
) -> dict[tuple[Entry, Variant], Episodes]:
    """Values of the finished runs, by rising episode; what has no episodes has one value.

    A run with a null among its episodes, or without an episode that any run of its level has with as many
    shots, is left out: nothing is averaged over a gap, and all that remains is paired by position.
    """
    done = runs[(runs["status"] == "done") & runs["metric"].notna()]
    done = done.sort_values([*schema.RUN_KEY, "started_at", "value"]).drop_duplicates(list(schema.RUN_KEY))
    names = ["run_id", *Variant._fields]
    grouped = done.groupby(names, dropna=False)[["episode", "value"]].agg(list).reset_index()
    rows = list(zip(row_tuples(grouped, names), grouped["episode"], grouped["value"], strict=True))
    wanted: dict[tuple[Any, ...], set[Any]] = defaultdict(set)
    for (run_id, _, shots, *_), episodes, _ in rows:
        wanted[found[run_id].benchmark, found[run_id].level, shots].update(episodes)
    values: dict[tuple[Entry, Variant], Episodes] = defaultdict(lambda: defaultdict(dict))
    for (run_id, *variant), episodes, scores in rows:
        run = found[run_id]
        if len(episodes) == len(wanted[run.benchmark, run.level, variant[1]]) and not np.isnan(scores).any():
            values[entries[run_id], Variant(*variant)][run.level][run.seed] = tuple(scores)
    return values


def make_curve(episodes: Episodes) -> Curve:
    """The mean over the episodes of every run."""
    return {level: {seed: float(np.mean(v)) for seed, v in seeds.items()} for level, seeds in episodes.items()}


def failed_adaptations(runs: pd.DataFrame) -> pd.DataFrame:
    """Rows of adaptations that ended without a number; one that another copy of the run finished is none."""
    key = ["run_id", "shots", "adapter"]
    few = runs[runs["setting"].eq(FEW_SHOT).fillna(False)]
    finished = few.loc[few["metric"].notna(), key].drop_duplicates().assign(finished=True)
    failed = few[few["metric"].isna()].sort_values([*key, "started_at"]).drop_duplicates(key)
    merged = failed.merge(finished, on=key, how="left")
    return merged[merged["finished"].isna()].drop(columns="finished")


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
