"""Jobs as tasks of a Ray cluster. Ray places them, and repeats those whose process or node died; the driver commits."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from oodml.executors.jobs import Job, Outcome
from oodml.executors.places import Places
from oodml.executors.ray_connection import connected, import_ray
from oodml.executors.ray_crew import Crew
from oodml.executors.ray_needs import Needs
from oodml.runner import Bench


def run_ray(bench: Bench, jobs: Sequence[Job], sweep: Path, places: Places) -> Iterator[Job | Outcome]:
    """Does jobs on a cluster; yields each job when it begins and its outcome once its files are here.

    Args:
        bench: Ladder, dataset and network.
        jobs: The jobs, in the order to hand them over; no two equal.
        sweep: The sweep folder.
        places: The cluster, what a job takes of it, and how long it may.

    Raises:
        MissingPackageError: If Ray is not installed.
        UsageError: If there is no cluster at the address, or none of its nodes can do such a job.
        StorageError: If a node or the sweep folder takes no files; the others end at once.
    """
    if not jobs:
        return
    needs = Needs.of(bench.device, places)
    stays = import_ray().is_initialized()
    with connected(places) as ray:
        needs.check(ray.nodes())
        crew = Crew(ray, bench, sweep, places, needs)
        try:
            yield from _drive(crew, jobs)
        finally:  # also Ctrl-C, a full disk, or a caller that stops
            crew.dismiss(cancel=stays)


def _drive(crew: Crew, jobs: Sequence[Job]) -> Iterator[Job | Outcome]:
    waiting, told = deque(range(len(jobs))), set[int]()
    while waiting or crew.running:
        while waiting and crew.has_room():
            number = waiting.popleft()
            crew.hand_over(number, jobs[number])
        over = crew.over()
        for number in crew.begun():
            told.add(number)
            yield jobs[number]
        for number, reference, late in over:
            if number not in told:
                yield jobs[number]
            yield crew.outcome(number, reference, jobs[number], late)
