"""Kernel distances: triple loops, tables by hand, no bias over all relabellings, invariances, width, bad input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from math import comb, dist, exp
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from oodml.errors import LadderError
from oodml.splits import kernels
from oodml.splits.kernels import BLOCK, SAMPLE, kid, median_distance, mmd

Array = NDArray[np.float64]
Kernel = Callable[[Sequence[float], Sequence[float]], float]
SEEDS = st.integers(0, 10_000)


def normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


def cubic(a: Sequence[float], b: Sequence[float]) -> float:
    return float((sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3)


def gaussian(width: float) -> Kernel:
    def kernel(a: Sequence[float], b: Sequence[float]) -> float:
        return exp(-sum((p - q) ** 2 for p, q in zip(a, b, strict=True)) / (2 * width**2))

    return kernel


def by_loops(x: Array, y: Array, kernel: Kernel) -> float:
    def within(side: list[list[float]]) -> float:
        pairs = [kernel(a, b) for i, a in enumerate(side) for j, b in enumerate(side) if i != j]
        return sum(pairs) / len(pairs)

    left, right = x.tolist(), y.tolist()
    across = [kernel(a, b) for a in left for b in right]
    return within(left) + within(right) - 2 * sum(across) / len(across)


def median_by_loops(rows: Array) -> float:
    return float(np.median([dist(a, b) for a, b in combinations(rows.tolist(), 2)]))


def test_tables_by_hand() -> None:
    # k(a, b) = (ab + 1)^3: within {0, 2} 1, within {1, 1} 8, across 1, 1, 27, 27 with mean 14: 1 + 8 - 28 = -19
    assert kid([[0.0], [2.0]], [[1.0], [1.0]]) == pytest.approx(-19, rel=1e-12)
    # squared distances: within 4 and 0, across 1, 1, 1, 1; width 1: exp(-2) + 1 - 2 exp(-1/2)
    assert mmd([[0.0], [2.0]], [[1.0], [1.0]], bandwidth=1.0) == pytest.approx(exp(-2) + 1 - 2 * exp(-0.5), rel=1e-12)


@given(SEEDS, st.integers(2, 7), st.integers(2, 7), st.integers(1, 5))
def test_kid_and_mmd_are_the_means_over_pairs(seed: int, n: int, m: int, d: int) -> None:
    x, y = normal(seed, n, d), 2 * normal(seed + 1, m, d) + 0.5
    assert kid(x, y) == pytest.approx(by_loops(x, y, cubic), rel=1e-9, abs=1e-9)
    assert mmd(x, y, bandwidth=1.7) == pytest.approx(by_loops(x, y, gaussian(1.7)), rel=1e-9, abs=1e-9)
    width = median_by_loops(np.concatenate([x, y]))
    assert mmd(x, y) == pytest.approx(by_loops(x, y, gaussian(width)), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("measure", [kid, mmd])
@pytest.mark.parametrize("size", [2, 3, 4])
def test_the_mean_over_all_relabellings_is_zero(measure: Callable[[Array, Array], float], size: int) -> None:
    rows = normal(0, 8, 3) * [3, 1, 0.2] + [1, 0, -1]
    values = []
    for chosen in combinations(range(8), size):
        mask = np.isin(np.arange(8), chosen)
        values.append(measure(rows[mask], rows[~mask]))
    assert len(values) == comb(8, size)
    assert np.std(values) > 1e-3  # the relabellings do differ
    assert np.mean(values) == pytest.approx(0, abs=1e-9)


@given(SEEDS, st.integers(2, 12), st.integers(2, 12), st.integers(1, 8))
def test_both_are_symmetric_and_blind_to_the_order_of_rows(seed: int, n: int, m: int, d: int) -> None:
    x, y = normal(seed, n, d), normal(seed + 1, m, d) + 0.3
    for measure in (kid, mmd):
        value = pytest.approx(measure(x, y), rel=1e-9, abs=1e-9)
        assert measure(y, x) == value
        assert measure(x[::-1], np.roll(y, 1, axis=0)) == value


@given(SEEDS, st.integers(2, 12), st.integers(1, 8))
def test_mmd_ignores_rotation_translation_and_scale_and_kid_rotation(seed: int, n: int, d: int) -> None:
    x, y = normal(seed, n, d), normal(seed + 1, n + 1, d) + 0.3
    rotation, offset = np.linalg.qr(normal(seed + 2, d, d))[0], 10 * normal(seed + 3, d)
    assert mmd(x @ rotation + offset, y @ rotation + offset) == pytest.approx(mmd(x, y), rel=1e-8, abs=1e-8)
    assert mmd(7 * x, 7 * y) == pytest.approx(mmd(x, y), rel=1e-8, abs=1e-8)  # the median follows the scale
    assert kid(x @ rotation, y @ rotation) == pytest.approx(kid(x, y), rel=1e-8, abs=1e-8)


def test_kid_depends_on_the_origin() -> None:
    # {0, 2} and {1, 1} as above, one further: within {1, 3} 64, within {2, 2} 125, across 27, 27, 343, 343, mean 185
    assert kid([[1.0], [3.0]], [[2.0], [2.0]]) == pytest.approx(64 + 125 - 2 * 185, rel=1e-12)
    x, y = normal(1, 30, 4), normal(2, 30, 4) + 1
    assert kid(x + 5, y + 5) > 2 * kid(x, y) > 0


def test_equal_distributions_lie_about_zero_apart_and_different_ones_do_not() -> None:
    x, near, far = normal(3, 300, 5), normal(4, 300, 5), normal(5, 300, 5) + 1
    for measure in (kid, mmd):
        assert abs(measure(x, near)) < 0.05 * measure(x, far)


@given(SEEDS, st.integers(2, 20), st.integers(1, 5))
def test_the_default_width_is_the_median_distance_of_all_rows(seed: int, n: int, d: int) -> None:
    rows = 3 * normal(seed, n, d) + 2
    assert median_distance(rows) == pytest.approx(median_by_loops(rows), rel=1e-6, abs=1e-6)


def test_the_median_of_many_rows_is_that_of_an_even_sample() -> None:
    line = np.arange(3.0 * SAMPLE)[:, None]  # the median distance of n even places on a line is (1 - sqrt(1/2)) n
    assert median_distance(line) == pytest.approx((1 - np.sqrt(0.5)) * len(line), rel=2e-3)


@pytest.mark.parametrize("d", [1, 7, 64, 513])
@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1000.1])
def test_constant_rows_lie_nowhere_apart(value: float, d: int) -> None:
    x, y = np.full((9, d), value), np.full((6, d), value)
    assert median_distance(x) == 1.0
    assert mmd(x, y) == pytest.approx(0, abs=1e-6)
    assert kid(x, y) == pytest.approx(0, abs=1e-12 * (1 + value**2) ** 3)


def test_the_width_is_one_where_most_rows_are_equal() -> None:
    rows = np.full((20, 64), 0.1)
    rows[:2] = normal(6, 2, 64)
    assert median_distance(rows) == 1.0


@pytest.mark.parametrize(("n", "m"), [(7, 7), (8, 15), (30, 2), (21, 20)])
def test_blocks_do_not_change_the_estimate(monkeypatch: pytest.MonkeyPatch, n: int, m: int) -> None:
    x, y = normal(7, n, 3), normal(8, m, 3) + 1
    whole = kid(x, y), mmd(x, y)
    monkeypatch.setattr(kernels, "BLOCK", 7)
    assert (kid(x, y), mmd(x, y)) == pytest.approx(whole, rel=1e-12)


def test_more_rows_than_a_block_give_the_direct_formula() -> None:
    x, y = normal(9, BLOCK + 60, 2), normal(10, 50, 2) + 1

    def mean(a: Array, b: Array) -> float:
        values = (a @ b.T / 2 + 1) ** 3
        if a is not b:
            return float(values.mean())
        return float((values.sum() - np.trace(values)) / (len(a) * (len(a) - 1)))

    assert kid(x, y) == pytest.approx(mean(x, x) + mean(y, y) - 2 * mean(x, y), rel=1e-9)


@pytest.mark.parametrize("measure", [kid, mmd])
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros((3, 5)), r"same dimension, got \(3, 4\) and \(3, 5\)"),
        (np.zeros((1, 4)), "y must have at least 2 rows, got 1"),
        (np.zeros(4), r"y must have shape \(n, d\)"),
        (np.full((3, 4), np.nan), "y holds NaN or infinity in 3 of 3 rows"),
        ([["a"] * 4] * 3, "y must be an array of numbers"),
    ],
)
def test_bad_input_is_named(measure: Callable[[Any, Any], float], y: Any, message: str) -> None:
    with pytest.raises(LadderError, match=message):
        measure(np.ones((3, 4)), y)
