"""What the commands show while they work: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
