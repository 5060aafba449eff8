"""What a worker process does: one run at a time, its file written before it says that it is done."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from oodml.checkpoints import Checkpoint
from oodml.records import RunSpec
from oodml.results import write_run
from oodml.runner import Bench, execute


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its status and, if not done, why."""

    spec: RunSpec
    status: str
    error: str
    seconds: float


_bench: Bench | None = None
_runs: Path | None = None


def prepare(bench: Bench, runs: Path, threads: int, driver: int | None = None) -> None:
    """Sets a process up for the runs of one sweep.

    Args:
        bench: Ladder, dataset and network.
        runs: Folder of the run files.
        threads: Threads per run. Sums over threads depend on their number, so a fixed one keeps values the same
            however many workers there are.
        driver: Process id of the sweep that a worker belongs to: it leaves Ctrl-C to it, and ends with it. Passed
            down, because a worker cannot ask for a driver that died while it started. None in the driver itself.
    """
    import torch

    global _bench, _runs
    _bench, _runs = bench, runs
    torch.set_num_threads(threads)
    if driver is not None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_end_with, args=(driver,), daemon=True).start()


def _end_with(parent: int) -> None:
    """Ends this process soon after its parent is gone: a killed sweep leaves no orphans that go on computing."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def work(spec: RunSpec) -> Outcome:
    """Executes a run and writes its file."""
    assert _bench is not None and _runs is not None, "prepare() comes first"
    started = time.perf_counter()
    path, every_s = _runs.parent / "checkpoints" / f"{spec.run_id}.pt", _bench.checkpoint_every
    checkpoint = None if every_s is None else Checkpoint(path, every_s)
    rows = execute(_bench, spec, checkpoint)
    write_run(_runs / f"{spec.run_id}.parquet", rows)
    if checkpoint:
        checkpoint.remove()
    first = rows[0]
    return Outcome(spec, first["status"], first.get("error") or "", time.perf_counter() - started)
