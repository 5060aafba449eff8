"""Ctrl-C that arrives: a library that waits in its own code may swallow it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Check = Callable[[], None]
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def insistent() -> Iterator[Check]:
    """Yields a check that raises KeyboardInterrupt if a signal came whose handler was called to no effect.

    Outside the main thread there are no signals, and nothing is checked.
    """
    came: list[int] = []

    def check() -> None:
        if came:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def remember(number: int, frame: FrameType | None) -> None:
        came.append(number)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number, handler in before.items():
        if callable(handler):  # what is ignored, or ends the program at once, stays so
            signal.signal(number, remember)
    try:
        yield check
    finally:
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, handler)
