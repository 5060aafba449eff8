"""How many threads linear algebra takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

SMALL = 1000  # rows of a square matrix from which a second thread is worth what it costs


@contextmanager
def threads_for(size: int) -> Iterator[None]:
    """One thread for small matrices, as many as the library likes for large ones.

    Thousands of decompositions of a hundred rows spend their time on waking threads: on a busy machine that made them a
    hundred times slower. One thread also rounds the same everywhere.

    Args:
        size: Rows of the matrices to come.
    """
    if size > SMALL:
        yield
        return
    with _controller().limit(limits=1, user_api="blas"):
        yield


@cache
def _controller() -> Any:
    import scipy.linalg  # noqa: F401 - it brings a BLAS of its own, which can be limited only once it is loaded
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
