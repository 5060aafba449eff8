"""The tasks of a sweep on a Ray cluster: handed over, watched, their files committed."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from oodml import store
from oodml.errors import OodmlError, StorageError
from oodml.executors.jobs import AdaptJob, Job, Outcome, lost
from oodml.executors.places import Places
from oodml.executors.ray_connection import RETRIES
from oodml.executors.ray_needs import Needs
from oodml.executors.ray_results import check_installation, commit, reason_of
from oodml.executors.ray_task import SEEN_BY, Board, Delivery, Order, do, specs_of
from oodml.kept_models import model_path
from oodml.run_logs import LOGS
from oodml.runner import Bench

AHEAD = 2  # jobs more than fit: no slot waits for the driver, and an autoscaler sees that there is more to do
LOOK_EVERY_S = 0.25  # seconds between looks at jobs that are silent


class Crew:
    """The tasks of a sweep on a cluster.

    Args:
        ray: The package, connected.
        bench: Ladder, dataset and network.
        sweep: The sweep folder.
        places: How many at a time, and how long.
        needs: What a job takes.
    """

    def __init__(self, ray: Any, bench: Bench, sweep: Path, places: Places, needs: Needs) -> None:
        self.ray, self.bench, self.sweep, self.places, self.needs = ray, bench, sweep.absolute(), places, needs
        self.running: dict[Any, int] = {}
        self._begun: dict[int, tuple[float, str]] = {}  # when the time of a job is over, and its node
        token = uuid4().hex
        for folder in (self.sweep / SEEN_BY).parent, self.sweep / LOGS:
            store.make_folder(folder)
        store.write_text(self.sweep / SEEN_BY, token)
        own = replace(bench, device="cuda") if needs.gpus else bench  # Ray says which GPU that is
        self._order = ray.put(Order(own, places.threads, Path.cwd(), self.sweep, token))
        # max_calls=0: a process does many jobs, also on a GPU, where Ray would start a new one for each
        self._task = ray.remote(max_retries=RETRIES, max_calls=0, **needs.options)(do)
        self._board = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Board).remote()
        self._news = self._board.take.remote()

    def has_room(self) -> bool:
        """Whether another job would have a place, or nearly."""
        most = self.needs.slots(self.ray.nodes()) + AHEAD
        return len(self.running) < min(most, self.places.workers or most)

    def hand_over(self, number: int, job: Job) -> None:
        """Gives a job to Ray."""
        models = {}
        for spec in specs_of(job) if isinstance(job, AdaptJob) else ():
            with suppress(FileNotFoundError):  # the job says it of its run
                models[spec.run_id] = self.ray.put(model_path(self.sweep, spec.run_id).read_bytes())
        task = self._task.options(name=job.label)
        self.running[task.remote([self._order], number, job, models, self._board)] = number

    def over(self) -> list[tuple[int, Any, bool]]:
        """Jobs that are over, and those that took too long, which are ended; none after some time of waiting.

        Returns:
            Number and reference of each, and whether it took too long.
        """
        ready, _ = self.ray.wait(list(self.running), timeout=LOOK_EVERY_S)
        found = [(self.running.pop(reference), reference, False) for reference in ready]
        for reference in self._overdue():
            self.ray.cancel(reference, force=True)
            found.append((self.running.pop(reference), reference, True))
        return found

    def _overdue(self) -> list[Any]:
        now = time.monotonic()
        late = {ref: self._begun[n] for ref, n in self.running.items() if n in self._begun and self._begun[n][0] < now}
        alive = {node["NodeID"] for node in self.ray.nodes() if node["Alive"]} if late else set()
        for reference, (_, node) in late.items():
            if node not in alive:  # Ray repeats it elsewhere, where its time begins anew
                del self._begun[self.running[reference]]
        return [r for r, (_, node) in late.items() if node in alive and not self.ray.wait([r], timeout=0)[0]]

    def begun(self) -> list[int]:
        """Jobs that run and have begun, or begun anew, since the last call."""
        if not self.ray.wait([self._news], timeout=0)[0]:
            return []
        try:
            nodes: dict[int, str] = self.ray.get(self._news)
        except self.ray.exceptions.RayActorError:  # its node died; it is back, and tells of the next ones
            nodes = {}
        self._news = self._board.take.remote()
        running = set(self.running.values())
        end = time.monotonic() + (self.places.timeout or math.inf)
        found = {number: (end, node) for number, node in nodes.items() if number in running}
        self._begun |= found
        return sorted(found)

    def outcome(self, number: int, reference: Any, job: Job, late: bool) -> Outcome:
        """Commits what a job has left, or records why there is nothing."""
        self._begun.pop(number, None)
        limit = self.places.timeout or 0.0
        if late:
            return lost(self.bench, self.sweep, job, "timeout", f"took longer than --timeout {limit:g} s", limit)
        try:
            delivery: Delivery = self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:
            check_installation(error)
            raise
        except self.ray.exceptions.RayError as error:
            return lost(self.bench, self.sweep, job, "failed", reason_of(error), 0.0)
        if delivery.outcome is None:
            raise (StorageError if delivery.storage else OodmlError)(delivery.refusal)
        commit(self.sweep, delivery.files)
        return replace(delivery.outcome, job=job)

    def dismiss(self, *, cancel: bool) -> None:
        """Ends what still runs; the cluster may be gone already, since Ctrl-C in a terminal goes to all processes.

        Args:
            cancel: Whether the connection outlives the sweep. One that does not takes its jobs along, and Ray 2.60 ends
                the whole program at once if it is asked to cancel a job that is just over.
        """
        for reference in self.running if cancel else ():
            with suppress(Exception):
                self.ray.cancel(reference, force=True)
        with suppress(Exception):
            self.ray.kill(self._board)
        (self.sweep / SEEN_BY).unlink(missing_ok=True)
