"""What a worker process does: one job at a time, its files written before it says that it is done."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from oodml.executors.jobs import Job, Outcome
from oodml.runner import Bench

_bench: Bench | None = None
_sweep: Path | None = None


def prepare(bench: Bench, sweep: Path, threads: int, driver: int | None = None) -> None:
    """Sets a process up for the jobs of one sweep.

    Args:
        bench: Ladder, dataset and network.
        sweep: The sweep folder.
        threads: Threads per job. Sums over threads depend on their number, so a fixed one keeps values the same
            however many workers there are.
        driver: Process id of the sweep that a worker belongs to: it leaves Ctrl-C to it, and ends with it. Passed
            down, because a worker cannot ask for a driver that died while it started. None in the driver itself.
    """
    import torch

    global _bench, _sweep
    _bench, _sweep = bench, sweep
    torch.set_num_threads(threads)
    if driver is not None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_end_with, args=(driver,), daemon=True).start()


def _end_with(parent: int) -> None:
    """Ends this process soon after its parent is gone: a killed sweep leaves no orphans that go on computing."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def work(job: Job) -> Outcome:
    """Does a job in the prepared process."""
    assert _bench is not None and _sweep is not None, "prepare() comes first"
    return job.run(_bench, _sweep)
