"""What a sweep costs beside its runs: starting, writing, recognising what is done, reading it back.

    python benchmarks/bookkeeping.py               # 1, 100 and 1,000 empty runs; 10,000 files; a plan of 100,000 runs
    python benchmarks/bookkeeping.py --small       # a hundredth of it

Empty runs go through the executor with as many processes as cores; the peer is the standard library's process pool
doing the same. Files are read by `read_runs` and, the peer, by pandas one by one. Everything happens in a temporary
folder.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import oodml
from oodml import schema, store
from oodml.compaction import keep_packed
from oodml.dataset_ref import DatasetRef
from oodml.datasets import load_dataset
from oodml.executors import run_jobs
from oodml.executors.jobs import Outcome
from oodml.executors.places import Places
from oodml.make_splits import ladder_from_dataset
from oodml.plan import load_specs, save_plan
from oodml.prepared_sweep import Prepared, SweepOptions, missing, prepare_sweep
from oodml.results import write_run
from oodml.runner import Bench, identity_columns

ROWS = 100  # per run: 10,000 runs are a million rows


@dataclass(frozen=True)
class EmptyRun:
    """A job without work: its rows are written, and that is all."""

    number: int

    @property
    def label(self) -> str:
        """Its number."""
        return f"empty run {self.number}"

    def run(self, bench: Bench, sweep: Path) -> Outcome:
        """Writes as many rows as a run has."""
        write_run(sweep / "runs" / f"{self.number}.parquet", empty_rows(str(self.number)))
        return Outcome(self, "done", "", 0.0)

    def record_loss(self, bench: Bench, sweep: Path, status: str, error: str) -> None:
        """Not expected here."""
        raise RuntimeError(error)


def empty_rows(run_id: str, **columns: Any) -> list[dict[str, Any]]:
    """Rows of a run with a config of the usual length."""
    common = {"run_id": run_id, "status": "done", "config": "c" * 900, "method": "margin", "setting": "zero_shot"}
    return [{**common, **columns, "metric": f"metric_{i}", "value": i / ROWS} for i in range(ROWS)]


def write_alone(sweep: Path, number: int) -> None:
    """What an empty run does, for the peer."""
    write_run(sweep / "runs" / f"{number}.parquet", empty_rows(str(number)))


@contextmanager
def timed(what: str, times: dict[str, float]) -> Iterator[None]:
    """Puts the seconds of a block into `times`."""
    started = time.perf_counter()
    yield
    times[what] = time.perf_counter() - started


def empty_runs(folder: Path, bench: Bench, count: int) -> None:
    """Seconds per empty run, ours and the standard library's."""
    times: dict[str, float] = {}
    workers = os.cpu_count() or 1
    ours, peer = folder / f"ours{count}", folder / f"peer{count}"
    with timed("ours", times):
        outcomes = run_jobs(bench, [EmptyRun(i) for i in range(count)], ours, Places(workers=workers))
        done = sum(outcome.status == "done" for outcome in keep_packed(outcomes, ours))
    assert done == count == oodml.read_runs(ours)["run_id"].nunique()
    with timed("peer", times), ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        list(pool.map(write_alone, [peer] * count, range(count)))
    report(f"{count:,} empty runs, per run", times["ours"] / count, times["peer"] / count)


def reading(folder: Path, count: int) -> None:
    """Seconds for many run files, as they are and packed."""
    runs, times = folder / "files" / "runs", dict[str, float]()
    table = schema.table(schema.RUN, columns_of(empty_rows("x")))
    for number in range(count):
        named = table.set_column(1, schema.RUN.field(1), [[str(number)] * ROWS])
        store.write_table(runs / f"{number}.parquet", named, small=True)
    with timed("ours", times):
        frame = oodml.read_runs(runs.parent)
    with timed("peer", times):
        peer = pd.concat([pd.read_parquet(path) for path in sorted(runs.iterdir())])
    assert len(frame) == len(peer) == count * ROWS
    report(f"{count:,} run files ({len(frame):,} rows) read", times["ours"], times["peer"])
    with timed("compact", times):
        oodml.compact(runs.parent)
    with timed("packed", times):
        packed = oodml.read_runs(runs.parent)
    assert len(packed) == len(frame)
    report("the same, packed", times["packed"], times["peer"])
    print(f"{'packing them':45s} {times['compact']:9.2f} s")


def columns_of(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Rows as columns."""
    return {name: [row.get(name) for row in rows] for row in rows[:1] for name in row}


def recognising(folder: Path, prepare: Callable[[int], Prepared], count: int) -> None:
    """Seconds until a sweep knows that all its runs are done, from the resolved options on."""
    prepared, times = prepare(count // 2), dict[str, float]()  # two levels
    status = {name: [] for name in ("run_id", "status")} | {"file": []}
    for spec in prepared.specs:
        status["run_id"].append(spec.run_id)
        status["status"].append("done")
        status["file"].append(f"runs/{spec.run_id}")
    from oodml.parts import PART

    store.write_table(prepared.out / "parts" / "all.parquet", schema.table(PART, status))
    save_plan(prepared.out / "plan.parquet", prepared.specs, prepared.bench.ladder.name)
    with timed("plan", times):
        fresh = prepare(count // 2)
    with timed("missing", times):
        todo = missing(fresh)
    with timed("peer", times):
        load_specs(prepared.out / "plan.parquet")
    assert not todo and len(fresh.specs) == count
    print(f"{f'plan of {count:,} runs: made':45s} {times['plan']:9.2f} s")
    print(f"{'   recognised as done':45s} {times['missing']:9.2f} s")
    print(f"{'   read back from its file':45s} {times['peer']:9.2f} s")


def report(what: str, ours: float, peer: float) -> None:
    """One line: our seconds, the peer's, and the ratio."""
    print(f"{what:45s} {ours:9.4f} s   peer {peer:9.4f} s   ratio {ours / peer:5.2f}")


def bench_of(folder: Path) -> Callable[[int], Prepared]:
    """A function that prepares a sweep of two levels with so many seeds, on a few vectors."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(12), 8)
    path = folder / "vectors.npz"
    np.savez(path, embeddings=random.normal(size=(96, 4)) + labels[:, None], labels=labels)
    spec = f"embeddings:{path}"
    ladder = ladder_from_dataset(load_dataset(spec), spec, levels=2, episodes=1, null_draws=5)

    def prepare(seeds: int) -> Prepared:
        options = SweepOptions(methods=["margin"], seeds=range(seeds))
        return prepare_sweep(ladder, DatasetRef(spec), options, folder / "plan")

    return prepare


def main() -> None:
    """Parses the options and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a hundredth of the sizes")
    scale = 100 if parser.parse_args().small else 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare = bench_of(folder)
        bench = prepare(1).bench
        assert identity_columns(bench, prepare(1).specs[0])  # the dataset is open
        for count in (1, 100, 1000 // scale):
            empty_runs(folder, replace(bench), count)
        reading(folder, 10_000 // scale)
        recognising(folder, prepare, 100_000 // scale)


if __name__ == "__main__":
    main()
