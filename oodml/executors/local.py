"""Jobs spread over processes of this machine: a slot is a process that does one job at a time."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import torch
from pebble import ProcessExpired, ProcessPool

from oodml.devices import slot_devices
from oodml.executors.jobs import Job, Outcome, lost
from oodml.executors.places import Places
from oodml.executors.worker import prepare, work
from oodml.run_logs import log_file, note
from oodml.runner import Bench

MAX_CRASHES = 2  # a job whose process dies this often is recorded as failed
LOOK_EVERY_S = 1.0  # seconds between looks at pools whose jobs are silent


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
    slots = [Slot(replace(bench, device=device), sweep, places.threads) for device in devices]
    free, running = list(slots), dict[Future[Outcome], tuple[Slot, Job]]()
    try:
        while waiting or running:
            while waiting and free:
                slot, job = free.pop(), waiting.popleft()
                running[slot.schedule(job, places.timeout)] = slot, job
                yield job
            for future in _ended(running):
                slot, job = running.pop(future)
                free.append(slot)
                try:
                    yield _result(future)
                except TimeoutError:
                    error = f"took longer than --timeout {places.timeout:g} s"
                    yield lost(bench, sweep, job, "timeout", error, places.timeout or 0.0)
                except (ProcessExpired, BrokenProcessPool) as death:
                    slot.renew()
                    crashes[job] += 1
                    if crashes[job] < MAX_CRASHES:
                        note(log_file(sweep, job.name), f"the worker process {_how(death)}")
                        waiting.append(job)
                    else:
                        yield lost(bench, sweep, job, "failed", _cause(death), 0.0)
    finally:  # also Ctrl-C, a full disk, or a caller that stops: the processes end at once
        for slot in slots:
            slot.pool.stop()
        for slot in slots:
            slot.pool.join()


class Slot:
    """A process that is started with its first job.

    After one that killed it comes a pool of its own: a process that dies with a lock of its pool in hand, or without a
    job, leaves a pool that cannot go on.
    """

    def __init__(self, bench: Bench, sweep: Path, threads: int) -> None:
        self._prepared = bench, sweep, threads, os.getpid()
        self.pool = self._new_pool()

    def _new_pool(self) -> ProcessPool:
        spawn = get_context("spawn")  # forked processes and CUDA or threads do not mix
        return ProcessPool(1, initializer=prepare, initargs=self._prepared, context=spawn)

    def schedule(self, job: Job, timeout: float | None) -> Future[Outcome]:
        """Starts a job; the slot has to be free."""
        with _deaf_to_interrupts():
            try:
                return self.pool.schedule(work, (job,), timeout=timeout)
            except RuntimeError:  # killed while it had nothing to do
                self.renew()
                return self.pool.schedule(work, (job,), timeout=timeout)

    def renew(self) -> None:
        """Begins with a new process."""
        self.pool.stop()
        self.pool.join()
        self.pool = self._new_pool()


def _ended(running: Mapping[Future[Outcome], tuple[Slot, Job]]) -> Collection[Future[Outcome]]:
    """The jobs that are over; a pool that breaks in an unlucky moment leaves its job without an answer."""
    while True:
        done = wait(running, timeout=LOOK_EVERY_S, return_when=FIRST_COMPLETED).done
        if found := done or {future for future, (slot, _) in running.items() if not slot.pool.active}:
            return found


def _result(future: Future[Outcome]) -> Outcome:
    if not future.done():
        raise BrokenProcessPool("no answer")
    return future.result()


def _how(death: ProcessExpired | BrokenProcessPool) -> str:
    """How a worker process died, in words."""
    if isinstance(death, BrokenProcessPool):
        return "ended before it began with the job"
    code = death.exitcode
    return f"was killed by {signal.Signals(-code).name}" if code and code < 0 else f"ended with exit code {code}"


def _cause(death: ProcessExpired | BrokenProcessPool) -> str:
    return f"the worker process {_how(death)}, {MAX_CRASHES} times (out of memory?); try fewer --workers"


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
