"""Executors: jobs in, events out, on this machine or on a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from oodml.watching import NOBODY, Watcher

if TYPE_CHECKING:
    from oodml.executors.jobs import Job, Outcome
    from oodml.executors.places import Places
    from oodml.runner import Bench


def run_jobs(
    bench: Bench, jobs: Sequence[Job], sweep: Path, places: Places, watcher: Watcher = NOBODY
) -> Iterator[Outcome]:
    """Does the jobs, in their order as far as places allow, and yields each outcome once its files are there.

    Args:
        bench: Ladder, dataset and network.
        jobs: The jobs; no two equal.
        sweep: The sweep folder.
        places: Where.
        watcher: Told of the stage, of every start and of every end.

    Raises:
        UsageError: If there is no such place.
        StorageError: If the sweep folder takes no files; the others end at once.
    """
    from oodml.executors.jobs import Outcome

    if places.executor == "ray":
        from oodml.executors.ray_cluster import run_ray as run
    else:
        from oodml.executors.local import run_local as run

    watcher.stage(len(jobs))
    for event in run(bench, jobs, sweep, places):
        if isinstance(event, Outcome):
            watcher.ended(event)
            yield event
        else:
            watcher.started(event)
