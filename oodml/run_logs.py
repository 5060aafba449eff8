"""A log file per job of a sweep: what it printed, and why it failed. A job that ends well in silence leaves none."""

from __future__ import annotations

import ctypes
import faulthandler
import io
import logging
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from oodml.store import explain_os_error

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from oodml.records import RunSpec

LOGS = "logs"  # folder of a sweep
MARK = "== "  # begins the lines that the sweep itself writes
LONGEST_LINE = 10_000  # characters; of a longer one the rest counts as another line
OUTPUTS = (1, 2)  # file descriptors of standard output and standard error


def adapted_name(spec: RunSpec) -> str:
    """Name of the log of what adapts a run: it is shared by the seeds, shots and adapters of a method at a level."""
    return f"adapted-{replace(spec, seed=0).run_id}"


def log_file(sweep: Path, name: str) -> Path:
    """The log of a job."""
    return sweep / LOGS / f"{name}.log"


def see_log(sweep: Path, name: str, error: str) -> str:
    """An error with the log that says more, if there is one."""
    return f"{error}; see {LOGS}/{name}.log" if log_file(sweep, name).exists() else error


def note(file: Path, text: str) -> None:
    """Adds a line of the sweep itself to a log."""
    with _opened(file) as log:
        _note(log, text)


def remove_if_quiet(file: Path) -> None:
    """Deletes a log that holds nothing but lines of the sweep itself."""
    with suppress(OSError):
        with file.open(encoding="utf-8", errors="replace") as log:
            quiet = all(line.startswith(MARK) for line in iter(lambda: log.readline(LONGEST_LINE), ""))
        if quiet:
            file.unlink()


@contextmanager
def logged(file: Path, title: str, *, descriptors: bool) -> Iterator[None]:
    """Appends what is printed inside to a log, and the traceback of an exception that passes.

    Nothing is held back in a buffer, so that a process that is killed leaves what it has printed.

    Args:
        file: The log.
        title: The job in a few words.
        descriptors: Whether file descriptors 1 and 2 are redirected too, which also catches what C code and programs
            print. Only in a process of its own: others would lose their terminal.

    Raises:
        StorageError: If there cannot be such a file.
    """
    with _opened(file) as log:
        _note(log, f"{title} begins")
        outputs = _redirected(log.fileno()) if descriptors else nullcontext()
        if not descriptors:
            log.rich_proxied_file = getattr(sys.stderr, "rich_proxied_file", sys.stderr)
        with outputs, redirect_stdout(log), redirect_stderr(log), _messages(log):
            try:
                yield
            except Exception:
                traceback.print_exc(file=log)
                raise


class _Raw(io.FileIO):
    """A file that forgets what a full disk does not take: a log must not fail the run that it is about."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Bytes written, or given up."""
        with suppress(OSError):
            return super().write(data)
        return memoryview(data).nbytes


class _Log(io.TextIOWrapper):
    """A log as a stream of text. Rich takes it for one of its own and draws on the stream that stands behind it."""

    rich_proxied_file: TextIO


@contextmanager
def _opened(file: Path) -> Iterator[_Log]:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        raw = _Raw(file, "a")
    except OSError as error:
        raise explain_os_error(error, file) from error
    with _Log(raw, encoding="utf-8", errors="backslashreplace", write_through=True) as log:
        yield log


def _note(log: TextIO, text: str) -> None:
    log.write(f"{MARK}{datetime.now(UTC).isoformat(timespec='seconds')} {text}\n")


@contextmanager
def _messages(log: TextIO) -> Iterator[None]:
    """Brings what goes through `logging` to the log, and each warning that an earlier job has shown already."""
    handler = logging.StreamHandler(log)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        with warnings.catch_warnings():  # forgets which ones were shown
            yield
    finally:
        logging.getLogger().removeHandler(handler)


@contextmanager
def _redirected(target: int) -> Iterator[None]:
    """Makes a file of this process's standard output and error; SIGTERM, as of a timeout, writes where it was."""
    _flush()
    before = [os.dup(number) for number in OUTPUTS]
    try:
        for number in OUTPUTS:
            os.dup2(target, number)
        faulthandler.register(signal.SIGTERM, file=target, chain=True)
        yield
    finally:
        faulthandler.unregister(signal.SIGTERM)
        _flush()
        for number, old in zip(OUTPUTS, before, strict=True):
            os.dup2(old, number)
            os.close(old)


def _flush() -> None:
    """Empties the buffers of Python and of the C library, which belong to the file of now."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream:
            stream.flush()
    ctypes.CDLL(None).fflush(None)
