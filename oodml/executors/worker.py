"""What a worker process does: one job at a time, its files written before it says that it is done."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

from oodml.executors.jobs import Job, Outcome
from oodml.run_logs import log_file, logged, remove_if_quiet, see_log
from oodml.runner import Bench

_bench: Bench | None = None
_sweep: Path | None = None
_own_process = False


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

    global _bench, _sweep, _own_process
    _bench, _sweep, _own_process = bench, sweep, driver is not None
    torch.set_num_threads(threads)
    if driver is not None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        faulthandler.enable(file=2)  # standard error, which is the log of the job at the moment of the crash
        threading.Thread(target=_end_with, args=(driver,), daemon=True).start()


def _end_with(parent: int) -> None:
    """Ends this process soon after its parent is gone: a killed sweep leaves no orphans that go on computing."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def work(job: Job) -> Outcome:
    """Does a job in the prepared process."""
    assert _bench is not None and _sweep is not None, "prepare() comes first"
    return run_logged(job, _bench, _sweep, own_process=_own_process)


def run_logged(job: Job, bench: Bench, sweep: Path, *, own_process: bool) -> Outcome:
    """Does a job with its log; the error of one that fails names the log.

    Args:
        job: The job.
        bench: Ladder, dataset and network.
        sweep: The sweep folder.
        own_process: Whether all that this process prints belongs to the job, see `logged`.
    """
    file = log_file(sweep, job.name)
    with logged(file, job.label, descriptors=own_process):
        outcome = job.run(bench, sweep)
    if outcome.status == "done":
        remove_if_quiet(file)
        return outcome
    return replace(outcome, error=see_log(sweep, job.name, outcome.error))
