"""Jobs spread over processes of this machine: a slot is a process that does one job at a time."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import torch
from pebble import ProcessExpired, ProcessPool

from oodml.devices import slot_devices
from oodml.executors.jobs import Job, Outcome
from oodml.executors.places import Places
from oodml.executors.worker import prepare, work
from oodml.runner import Bench

MAX_CRASHES = 2  # a job whose process dies this often is recorded as failed


def run_local(bench: Bench, jobs: Sequence[Job], sweep: Path, places: Places) -> Iterator[Job | Outcome]:
    """Does jobs; yields each job when it starts and its outcome once its files are written.

    One slot without a timeout works in this process, others in processes of their own.

    Args:
        bench: Ladder, dataset and network.
        jobs: The jobs, in the order to start them; no two equal.
        sweep: The sweep folder.
        places: How many at a time, and how long.
    """
    devices = slot_devices(bench.device, places.workers, places.threads)[: max(1, len(jobs))]
    if len(devices) > 1 or places.timeout:
        yield from _in_processes(bench, jobs, sweep, places, devices)
        return
    before = torch.get_num_threads()
    prepare(bench, sweep, places.threads)
    try:
        for job in jobs:
            yield job
            yield work(job)
    finally:
        torch.set_num_threads(before)


def _in_processes(
    bench: Bench, jobs: Sequence[Job], sweep: Path, places: Places, devices: Sequence[str]
) -> Iterator[Job | Outcome]:
    waiting, crashes = deque(jobs), Counter[Job]()
    slots = [_slot(replace(bench, device=device), sweep, places.threads) for device in devices]
    free, running = list(slots), dict[Future[Outcome], tuple[ProcessPool, Job]]()
    try:
        while waiting or running:
            while waiting and free:
                slot, job = free.pop(), waiting.popleft()
                with _deaf_to_interrupts():
                    running[slot.schedule(work, (job,), timeout=places.timeout)] = slot, job
                yield job
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                slot, job = running.pop(future)
                free.append(slot)
                try:
                    yield future.result()
                except TimeoutError:
                    error = f"took longer than --timeout {places.timeout:g} s"
                    yield _lost(bench, sweep, job, "timeout", error, places.timeout or 0.0)
                except ProcessExpired as death:
                    crashes[job] += 1
                    if crashes[job] < MAX_CRASHES:
                        waiting.append(job)
                    else:
                        yield _lost(bench, sweep, job, "failed", _cause(death), 0.0)
    finally:  # also Ctrl-C, a full disk, or a caller that stops: the processes end at once
        for slot in slots:
            slot.stop()
        for slot in slots:
            slot.join()


def _slot(bench: Bench, sweep: Path, threads: int) -> ProcessPool:
    """A process that is started with its first job, and anew after each one that killed it."""
    spawn = get_context("spawn")  # forked processes and CUDA or threads do not mix
    return ProcessPool(1, initializer=prepare, initargs=(bench, sweep, threads, os.getpid()), context=spawn)


def _lost(bench: Bench, sweep: Path, job: Job, status: str, error: str, seconds: float) -> Outcome:
    job.record_loss(bench, sweep, status, error)
    return Outcome(job, status, error, seconds)


def _cause(death: ProcessExpired) -> str:
    """How a worker process died, in words."""
    code = death.exitcode
    how = f"was killed by {signal.Signals(-code).name}" if code and code < 0 else f"ended with exit code {code}"
    return f"the worker process {how}, {MAX_CRASHES} times (out of memory?); try fewer --workers"


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
