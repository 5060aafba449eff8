"""faiss, imported where it is used, with as many threads as torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from oodml.errors import MissingPackageError


@contextmanager
def faiss_for(purpose: str) -> Iterator[Any]:
    """The module, with torch's number of CPU threads while the body runs.

    Raises:
        MissingPackageError: If it is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise MissingPackageError("faiss", purpose, "pip install faiss-cpu") from error
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(torch.get_num_threads())
    try:
        yield faiss
    finally:
        faiss.omp_set_num_threads(threads)
