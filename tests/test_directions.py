from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from oodml import directions
from oodml.directions import fingerprints, first_copies, unit_rows
from oodml.errors import DatasetError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e-30, 1.0, 1e30, 1e160, 1e300])
def test_unit_rows_survive_any_scale(scale: float) -> None:
    unit = unit_rows(np.array([[3.0, 4.0], [-4.0, 0.0]]) * scale)
    assert unit.dtype == np.float32
    np.testing.assert_allclose(unit, [[0.6, 0.8], [-1.0, 0.0]], rtol=1e-7)


def test_rows_of_very_different_scales_stand_side_by_side() -> None:
    unit = unit_rows(np.array([[3e300, 4e300], [3e-310, 4e-310], [6.0, 8.0], [5e-324, 0.0]]))
    np.testing.assert_allclose(unit, [[0.6, 0.8]] * 3 + [[1.0, 0.0]], rtol=1e-7)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int64, np.float16, np.float32, np.float64])
def test_unit_rows_of_any_type_are_those_of_double_precision(dtype: Any) -> None:
    rows = (RNG.integers(0, 2, (20, 9)) + np.eye(20, 9, dtype=int) > 0).astype(dtype)
    rows[~rows.any(axis=1)] = 1
    double = rows.astype(np.float64)
    expected = (double / np.sqrt((double**2).sum(axis=1, keepdims=True))).astype(np.float32)
    np.testing.assert_array_equal(unit_rows(rows), expected)


def test_the_most_negative_integers_do_not_wrap() -> None:
    np.testing.assert_allclose(unit_rows(np.array([[-128, -128]], np.int8)), [[-(0.5**0.5)] * 2], rtol=1e-7)


def test_minus_zero_becomes_zero() -> None:
    assert not np.signbit(unit_rows(np.array([[-0.0, 2.0], [-1e-300, 1e300]]))).any()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0.0, 0.0], "is all zeros"),
        ([0.0, -0.0], "is all zeros"),
        ([1.0, np.nan], "not finite"),
        ([np.inf, 1.0], "not finite"),
        ([-np.inf, np.nan], "not finite"),
    ],
)
def test_a_row_without_a_direction_is_named(row: list[float], message: str) -> None:
    rows = np.ones((6, 2))
    rows[4] = row
    with pytest.raises(DatasetError, match=f"row 4 .*{message}"):
        unit_rows(rows)
    with pytest.raises(DatasetError, match=f"row 77 .*{message}"):
        unit_rows(rows, np.array([5, 6, 7, 8, 77, 9]))


def test_fingerprints_are_equal_for_equal_rows_and_differ_else() -> None:
    rows = RNG.integers(-1, 2, (2000, 7)).astype(np.float32)
    prints = fingerprints(rows)
    assert prints.dtype == np.uint64
    assert len(np.unique(prints)) == len(np.unique(rows, axis=0))
    np.testing.assert_array_equal(fingerprints(np.asfortranarray(rows[::-1])), prints[::-1])


def naive_first_copies(rows: Any) -> list[int]:
    listed = rows.tolist()
    return [listed.index(row) for row in listed]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 30), st.integers(1, 3), st.sampled_from([1, 4, 1024]))
def test_first_copies_are_those_of_a_search(seed: int, n: int, d: int, chunk: int) -> None:
    rows = np.random.default_rng(seed).integers(0, 3, (n, d)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(directions, "CHUNK", chunk)
        found = first_copies(fingerprints(rows), lambda numbers: rows[numbers])
    expected = naive_first_copies(rows)
    assert (list(range(n)) if found is None else found.tolist()) == expected
    assert (found is None) == (expected == list(range(n)))


def test_equal_fingerprints_of_different_rows_are_no_copies() -> None:
    rows = np.array([[1.0], [2.0], [1.0], [3.0]], np.float32)
    found = first_copies(np.zeros(4, np.uint64), lambda numbers: rows[numbers])
    assert found is not None
    assert found.tolist() == [0, 1, 0, 3]
    assert first_copies(np.zeros(2, np.uint64), lambda numbers: rows[numbers]) is None


def test_only_suspects_are_read() -> None:
    read: list[int] = []

    def rows_at(numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        read.extend(numbers.tolist())
        return np.ones((len(numbers), 1), np.float32)

    found = first_copies(np.array([5, 7, 5, 9], np.uint64), rows_at)
    assert read == [0, 2]
    assert found is not None
    assert found.tolist() == [0, 1, 0, 3]
