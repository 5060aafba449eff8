"""Work in a process beside this one: drawing figures keeps one core busy for as long as it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from typing import Any

Result = Callable[[], Any]
Start = Callable[..., Result]


@contextmanager
def beside(processes: int) -> Iterator[Start]:
    """Yields a function that starts another with its arguments, and returns what gives its result.

    Args:
        processes: 1 does the work when its result is asked for; with more it begins at once, in a process of its own.
            Function and arguments are then pickled.
    """
    if processes < 2:
        yield partial
        return
    with ProcessPoolExecutor(processes - 1, mp_context=get_context("spawn")) as pool:
        yield lambda function, *arguments: pool.submit(function, *arguments).result
