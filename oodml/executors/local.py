"""Runs spread over processes of this machine."""

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

from oodml.executors.worker import Outcome, prepare, work
from oodml.records import RunSpec
from oodml.results import write_run
from oodml.runner import Bench, identity_columns

MAX_CRASHES = 2  # a run whose process dies this often is recorded as failed


def run_local(
    bench: Bench,
    specs: Sequence[RunSpec],
    runs: Path,
    *,
    workers: int,
    threads: int,
) -> Iterator[Outcome]:
    """Executes runs and yields each outcome once its file is written.

    Args:
        bench: Ladder, dataset and network.
        specs: The runs, in the order to start them.
        runs: Folder of the run files.
        workers: Number of processes; 1 works in this one.
        threads: CPU threads of each.
    """
    if workers > 1:
        yield from _in_processes(bench, specs, runs, workers, threads)
        return
    before = torch.get_num_threads()
    prepare(bench, runs, threads)
    try:
        for spec in specs:
            yield work(spec)
    finally:
        torch.set_num_threads(before)


def _in_processes(bench: Bench, specs: Sequence[RunSpec], runs: Path, workers: int, threads: int) -> Iterator[Outcome]:
    pending, crashes = list(specs), Counter[str]()
    while pending:
        with ProcessPoolExecutor(
            min(workers, len(pending)),
            mp_context=multiprocessing.get_context("spawn"),  # forked processes and CUDA or threads do not mix
            initializer=prepare,
            initargs=(bench, runs, threads, os.getpid()),
        ) as pool:
            with _deaf_to_interrupts():
                futures: dict[Future[Outcome], RunSpec] = {pool.submit(work, spec): spec for spec in pending}
            try:
                for future in as_completed(futures):
                    outcome = future.result()
                    pending.remove(outcome.spec)
                    yield outcome
            except BrokenProcessPool:
                crashes.update(spec.run_id for spec in pending[:workers])  # those that were running
            except BaseException:  # Ctrl-C, a full disk, or the caller stops: end the workers at once
                for child in multiprocessing.active_children():
                    child.terminate()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        for spec in [spec for spec in pending if crashes[spec.run_id] >= MAX_CRASHES]:
            pending.remove(spec)
            yield _record_crash(bench, spec, runs)


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


def _record_crash(bench: Bench, spec: RunSpec, runs: Path) -> Outcome:
    error = f"the worker process died {MAX_CRASHES} times (killed, or out of memory); try fewer --workers"
    write_run(
        runs / f"{spec.run_id}.parquet",
        [{**identity_columns(bench, spec), "status": "failed", "error": error}],
    )
    return Outcome(spec, "failed", error, 0.0)
