"""What a sweep tells those who watch it: the terminal, trackers, tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oodml.executors.jobs import Job, Outcome


class Watcher:
    """Hears what happens in a sweep, in the process that drives it. Override what is of interest."""

    def packing(self, done: int, total: int) -> None:
        """Images decoded so far, of so many that were not in the cache."""

    def stage(self, jobs: int) -> None:
        """A stage begins: the runs that are trained, or the jobs that adapt them."""

    def started(self, job: Job) -> None:
        """A job begins, not for the first time if its process died before."""

    def ended(self, outcome: Outcome) -> None:
        """A job is over and its files are there."""


NOBODY = Watcher()


class Watchers(Watcher):
    """Passes what it hears on to several, in their order."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self.watchers = tuple(watchers)

    def packing(self, done: int, total: int) -> None:
        """Passes it on."""
        for watcher in self.watchers:
            watcher.packing(done, total)

    def stage(self, jobs: int) -> None:
        """Passes it on."""
        for watcher in self.watchers:
            watcher.stage(jobs)

    def started(self, job: Job) -> None:
        """Passes it on."""
        for watcher in self.watchers:
            watcher.started(job)

    def ended(self, outcome: Outcome) -> None:
        """Passes it on."""
        for watcher in self.watchers:
            watcher.ended(outcome)
