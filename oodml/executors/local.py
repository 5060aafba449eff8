"""Jobs spread over processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

import torch

from oodml.devices import default_workers
from oodml.executors.jobs import Job, Outcome
from oodml.executors.worker import prepare, work
from oodml.runner import Bench

MAX_CRASHES = 2  # a job whose process dies this often is recorded as failed


def run_local(
    bench: Bench,
    jobs: Sequence[Job],
    sweep: Path,
    *,
    workers: int | None,
    threads: int,
) -> Iterator[Outcome]:
    """Executes jobs and yields each outcome once its files are written.

    Args:
        bench: Ladder, dataset and network.
        jobs: The jobs, in the order to start them; no two equal.
        sweep: The sweep folder.
        workers: Number of processes; 1 works in this one, None takes what fits the device.
        threads: CPU threads of each.
    """
    workers = min(workers or default_workers(bench.device), max(1, len(jobs)))
    if workers > 1:
        yield from _in_processes(bench, jobs, sweep, workers, threads)
        return
    before = torch.get_num_threads()
    prepare(bench, sweep, threads)
    try:
        for job in jobs:
            yield work(job)
    finally:
        torch.set_num_threads(before)


def _in_processes(bench: Bench, jobs: Sequence[Job], sweep: Path, workers: int, threads: int) -> Iterator[Outcome]:
    pending, crashes = list(jobs), Counter[Job]()
    while pending:
        with ProcessPoolExecutor(
            min(workers, len(pending)),
            mp_context=multiprocessing.get_context("spawn"),  # forked processes and CUDA or threads do not mix
            initializer=prepare,
            initargs=(bench, sweep, threads, os.getpid()),
        ) as pool:
            with _deaf_to_interrupts():
                futures: dict[Future[Outcome], Job] = {pool.submit(work, job): job for job in pending}
            try:
                for future in as_completed(futures):
                    outcome = future.result()
                    pending.remove(outcome.job)
                    yield outcome
            except BrokenProcessPool:
                crashes.update(pending[:workers])  # those that were running
            except BaseException:  # Ctrl-C, a full disk, or the caller stops: end the workers at once
                for child in multiprocessing.active_children():
                    child.terminate()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        for job in [job for job in pending if crashes[job] >= MAX_CRASHES]:
            pending.remove(job)
            error = f"the worker process died {MAX_CRASHES} times (killed, or out of memory); try fewer --workers"
            job.record_crash(bench, sweep, error)
            yield Outcome(job, "failed", error, 0.0)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes started inside ignore Ctrl-C from their first moment: a terminal sends it to all, one has to act."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
