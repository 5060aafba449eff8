"""Hands runs to trackers in a thread of its own, so that no tracker can delay, stop or fail a sweep."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from oodml import registry
from oodml.console import warn
from oodml.job_files import rows_of
from oodml.trackers import TRACKERS
from oodml.trackers.base import Tracker, tracked_run
from oodml.watching import Watcher, Watchers

if TYPE_CHECKING:
    from oodml.executors.jobs import Outcome

PATIENCE_S = 60.0  # how long the end of a sweep waits for its trackers
HURRY_S = 5.0  # the same after Ctrl-C or an error


@contextmanager
def tracked(names: Sequence[str], sweep: Path, watcher: Watcher) -> Iterator[Watcher]:
    """The watcher and the trackers as one watcher, for as long as a sweep lasts.

    Args:
        names: Keys of TRACKERS.
        sweep: The sweep folder.
        watcher: Who watches besides.
    """
    if not names:
        yield watcher
        return
    with Tracking(names, sweep) as tracking:
        yield Watchers([watcher, tracking])


class Tracking(Watcher):
    """Gives the rows of every run that ends to the trackers; one that fails is left out from then on.

    Args:
        names: Keys of TRACKERS.
        sweep: The sweep folder.
        patience_s: How long the end waits for what is not handed over yet.
    """

    def __init__(self, names: Sequence[str], sweep: Path, patience_s: float = PATIENCE_S) -> None:
        self.sweep, self.patience_s = sweep, patience_s
        self._wanted = tuple(dict.fromkeys(names))
        self._open: dict[str, Tracker] = {}
        self._waiting: SimpleQueue[list[dict[str, Any]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Tracking:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if not self._thread:
            return
        self._waiting.put(None)
        patience = self.patience_s if kind is None else min(self.patience_s, HURRY_S)
        self._thread.join(patience)
        if self._thread.is_alive():
            names, left = ", ".join(self._open or self._wanted), max(1, self._waiting.qsize() - 1)
            warn(f"tracker {names}: not through after {patience:g} s, the last {left} runs may be missing there")

    def stage(self, jobs: int) -> None:
        """Opens the trackers, before the first job."""
        if jobs and self._wanted and not self._thread:
            self._thread = threading.Thread(target=self._work, name="trackers", daemon=True)
            self._thread.start()

    def ended(self, outcome: Outcome) -> None:
        """Hands the rows of the job over."""
        if self._thread:
            for rows in rows_of(outcome.job, self.sweep):
                self._waiting.put(rows)

    def _work(self) -> None:
        for name in self._wanted:
            self._try(name, partial(self._start, name))
        for rows in iter(self._waiting.get, None):
            run = tracked_run(rows)
            for name, tracker in list(self._open.items()):
                self._try(name, partial(tracker.log, run))
        for name, tracker in list(self._open.items()):
            self._try(name, tracker.close)

    def _start(self, name: str) -> None:
        self._open[name] = registry.resolve(TRACKERS[name][0])(self.sweep)

    def _try(self, name: str, action: Callable[[], None]) -> None:
        """Does something with a tracker; any failure is told once and switches it off."""
        try:
            action()
        except (Exception, SystemExit) as error:  # code of others, over a network: anything may happen
            self._open.pop(name, None)
            warn(f"tracker {name} is switched off, the sweep goes on without it: {type(error).__name__}: {error}")
