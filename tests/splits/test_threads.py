"""Small matrices take one thread, large ones what the library takes, and both leave no trace."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import scipy.linalg  # noqa: F401 - its BLAS is watched too
from threadpoolctl import threadpool_info, threadpool_limits

from oodml.splits.threads import SMALL, threads_for


def blas_threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    with threadpool_limits(limits=2, user_api="blas"):
        if set(blas_threads()) != {2}:
            pytest.skip("the linear algebra library has one thread only")
        yield


@pytest.mark.parametrize("size", [1, 100, SMALL])
def test_small_matrices_take_one_thread_and_the_others_come_back(size: int) -> None:
    with threads_for(size):
        assert set(blas_threads()) == {1}
    assert set(blas_threads()) == {2}


@pytest.mark.parametrize("size", [SMALL + 1, 5000])
def test_large_matrices_take_what_the_library_takes(size: int) -> None:
    with threads_for(size):
        assert set(blas_threads()) == {2}
    assert set(blas_threads()) == {2}


def test_threads_come_back_after_an_error() -> None:
    with pytest.raises(RuntimeError, match="inside"), threads_for(100):
        raise RuntimeError("inside")
    assert set(blas_threads()) == {2}


def test_a_library_that_is_loaded_inside_is_limited_as_well() -> None:
    code = (
        "from threadpoolctl import threadpool_info\n"
        "from oodml.splits.threads import threads_for\n"
        "with threads_for(100):\n"
        "    import scipy.linalg\n"
        "    print({pool['num_threads'] for pool in threadpool_info() if pool['user_api'] == 'blas'})\n"
    )
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert out.stdout.strip() == "{1}"
