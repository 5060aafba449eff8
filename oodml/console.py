"""What the commands show while they work: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from oodml.watching import Watcher

if TYPE_CHECKING:
    from oodml.executors.jobs import Outcome

EXIT_INTERRUPTED = 130
out = Console(soft_wrap=False)
err = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """A line on standard output, unwrapped, so that paths can be copied."""
    out.print(text, soft_wrap=True, highlight=False, markup=False)


def warn(text: str) -> None:
    """A line on standard error, unwrapped."""
    err.print(text, soft_wrap=True, markup=False)


@contextmanager
def bars() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Yields a function that turns a description into a (done, total) callback; total 0 means unknown.

    On a terminal it drives a progress bar; elsewhere it prints a line when the work is complete.
    """
    if not err.is_terminal:
        yield _lines
        return
    with _progress() as progress:
        tasks: dict[str, TaskID] = {}

        def bar(description: str) -> Callable[[int, int], None]:
            def update(done: int, total: int) -> None:
                if description not in tasks:  # a stage that is skipped shows no bar
                    tasks[description] = progress.add_task(description)
                progress.update(tasks[description], completed=done, total=total or None)

            return update

        yield bar


def _lines(description: str) -> Callable[[int, int], None]:
    def update(done: int, total: int) -> None:
        if done == total:
            err.print(f"{description}: {total}")

    return update


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=err)


@contextmanager
def interruptible(text: str) -> Iterator[None]:
    """Ctrl-C, or SIGTERM that acts like it, ends the program in an orderly way with a text and the exit code for it."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        warn(text)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGTERM, before)


class SweepDisplay(Watcher):
    """Runs done and remaining time of a sweep."""

    def __init__(self) -> None:
        self.progress = _progress() if err.is_terminal else None
        self.total = self.done = 0
        self.images: TaskID | None = None

    def __enter__(self) -> SweepDisplay:
        if self.progress:
            self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.progress:
            self.progress.stop()

    def packing(self, done: int, total: int) -> None:
        """Shows the decoding of images before the first run."""
        if self.progress:
            if self.images is None:
                self.images = self.progress.add_task("decoding images", total=total)
            self.progress.update(self.images, completed=done)
        else:
            _lines("decoding images")(done, total)

    def stage(self, jobs: int) -> None:
        """Begins a stage with the number of runs to execute, or of jobs that adapt them."""
        self.total, self.done = jobs, 0
        if self.progress and jobs:
            self.task = self.progress.add_task("runs", total=jobs)

    def ended(self, outcome: Outcome) -> None:
        """Notes a finished run; failures stay on screen."""
        self.done += 1
        text = f"{outcome.job.label}: {outcome.status} in {outcome.seconds:.1f} s"
        if self.progress:
            self.progress.update(self.task, completed=self.done, description=outcome.job.label)
            if outcome.status != "done":
                warn(f"{text}: {outcome.error}")
        else:
            tail = f": {outcome.error}" if outcome.error else ""
            sys.stderr.write(f"[{self.done}/{self.total}] {text}{tail}\n")
            sys.stderr.flush()
