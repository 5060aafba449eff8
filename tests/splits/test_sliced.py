"""Sliced Wasserstein distance: optimal transport in one dimension, couplings, directions, closed forms."""

from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import wasserstein_distance

from oodml.errors import LadderError
from oodml.splits.sliced import DIRECTIONS, couple, directions, sliced_wasserstein, transport_cost

Array = NDArray[np.float64]
SEEDS = st.integers(0, 10_000)
SIZES = st.integers(2, 9)


def normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


def by_quantiles(x: Array, y: Array) -> float:
    """The integral of the squared difference of the quantile functions, exact on a grid of n m cells."""
    x, y = np.sort(x), np.sort(y)
    cells = len(x) * len(y)
    return float(sum((x[cell // len(y)] - y[cell // len(x)]) ** 2 for cell in range(cells)) / cells)


def test_a_table_by_hand() -> None:
    # {0, 3} and {0, 1, 5}: quantile functions differ by 0 (1/3), 1 (1/6: 0 and 1), 2 (1/6: 3 and 1), 2 (1/3)
    assert sliced_wasserstein([[3.0], [0.0]], [[5.0], [0.0], [1.0]]) == pytest.approx(1 / 6 + 4 / 6 + 4 / 3, rel=1e-12)


@given(SEEDS, SIZES, SIZES)
def test_one_dimension_is_exact_for_any_sizes(seed: int, n: int, m: int) -> None:
    x, y = normal(seed, n), 2 * normal(seed + 1, m) + 1
    value = sliced_wasserstein(x[:, None], y[:, None])
    assert value == pytest.approx(by_quantiles(x, y), rel=1e-9)
    grid = (np.arange(100_000) + 0.5) / 100_000  # a fine grid of quantiles, as numpy takes them
    gaps = np.quantile(x, grid, method="inverted_cdf") - np.quantile(y, grid, method="inverted_cdf")
    assert value == pytest.approx(np.mean(gaps**2), rel=2e-2)


@given(SEEDS, st.integers(2, 5), st.integers(2, 5))
def test_one_dimension_is_the_cheapest_assignment(seed: int, n: int, m: int) -> None:
    x, y = normal(seed, n), 2 * normal(seed + 1, m) + 1
    cost = (np.repeat(x, m)[:, None] - np.repeat(y, n)) ** 2  # n m atoms of equal mass on either side
    expected = cost[linear_sum_assignment(cost)].mean()
    assert sliced_wasserstein(x[:, None], y[:, None]) == pytest.approx(expected, rel=1e-9)


@given(SEEDS, SIZES, SIZES)
def test_it_is_at_least_the_squared_first_order_distance_and_equals_it_for_a_translation(
    seed: int, n: int, m: int
) -> None:
    x, y = normal(seed, n), normal(seed + 1, m) + 1
    assert sliced_wasserstein(x[:, None], y[:, None]) >= wasserstein_distance(x, y) ** 2 - 1e-12
    moved = x + 0.7
    assert sliced_wasserstein(x[:, None], moved[:, None]) == pytest.approx(wasserstein_distance(x, moved) ** 2)


@given(SEEDS, SIZES, SIZES, st.integers(2, 5))
def test_more_dimensions_are_the_mean_over_the_directions(seed: int, n: int, m: int, d: int) -> None:
    x, y = normal(seed, n, d), 2 * normal(seed + 1, m, d) + 1
    some = directions(d).T
    expected = np.mean([by_quantiles(x @ direction, y @ direction) for direction in some])
    assert sliced_wasserstein(x, y) == pytest.approx(expected, rel=1e-9)


@given(SEEDS, SIZES, SIZES, st.integers(1, 6))
def test_it_is_symmetric_and_zero_for_equal_distributions(seed: int, n: int, m: int, d: int) -> None:
    x, y = normal(seed, n, d), normal(seed + 1, m, d) + 0.2
    value, offset = sliced_wasserstein(x, y), 5 * normal(seed + 2, d)
    assert value > 0
    assert sliced_wasserstein(y, x) == pytest.approx(value, rel=1e-9)
    assert sliced_wasserstein(x + offset, y + offset) == pytest.approx(value, rel=1e-9)
    assert sliced_wasserstein(3 * x, 3 * y) == pytest.approx(9 * value, rel=1e-9)
    assert sliced_wasserstein(x, x) == 0
    assert sliced_wasserstein(x, x[::-1]) == 0
    assert sliced_wasserstein(x, np.repeat(x, 3, axis=0)) == pytest.approx(0, abs=1e-20)


@pytest.mark.parametrize("d", [2, 8, 64, 300])
def test_a_difference_of_means_alone_gives_its_square_over_the_dimensions(d: int) -> None:
    x, parts = normal(0, 20, d), []
    for delta in 3 * normal(1, 30, d):
        value = sliced_wasserstein(x, x + delta)
        assert value == pytest.approx(np.mean((delta @ directions(d)) ** 2), rel=1e-9)
        parts.append(value / (delta @ delta / d))
    assert np.mean(parts) == pytest.approx(1, abs=0.05)
    assert np.std(parts) < 2 * np.sqrt(2 / DIRECTIONS)  # 256 directions are exact to about 9 %


def test_two_samples_of_one_distribution_lie_closer_the_more_rows_they_have() -> None:
    few, many = (sliced_wasserstein(normal(2, n, 5), normal(3, n, 5)) for n in (30, 3000))
    assert 0 < many < few / 10


@given(st.integers(1, 60), st.integers(1, 60))
def test_a_coupling_moves_all_mass_in_order(n: int, m: int) -> None:
    at_x, at_y, weights = couple(n, m)
    assert len(weights) == n + m - gcd(n, m)
    assert weights.min() > 0
    assert weights.sum() == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(np.bincount(at_x, weights, minlength=n), np.full(n, 1 / n), rtol=1e-9)
    np.testing.assert_allclose(np.bincount(at_y, weights, minlength=m), np.full(m, 1 / m), rtol=1e-9)
    assert (np.diff(at_x) >= 0).all() and (np.diff(at_y) >= 0).all()  # nothing crosses: that is optimal


def test_the_cost_of_equal_sizes_is_that_of_their_coupling() -> None:
    x, y = np.sort(normal(4, 3, 12)), np.sort(normal(5, 3, 12))
    at_x, at_y, weights = couple(12, 12)
    assert at_x.tolist() == at_y.tolist() == list(range(12))
    assert transport_cost(x, y) == pytest.approx(np.mean((x[:, at_x] - y[:, at_y]) ** 2 @ weights), rel=1e-12)


@pytest.mark.parametrize("d", [1, 2, 50])
def test_directions_are_unit_vectors_and_the_same_in_every_call(d: int) -> None:
    first = directions(d).copy()
    directions.cache_clear()
    again = directions(d)
    assert again.shape == (d, DIRECTIONS)
    assert np.array_equal(first, again)
    np.testing.assert_allclose(np.linalg.norm(again, axis=0), 1, rtol=1e-12)
    with pytest.raises(ValueError, match="read-only"):
        again[0, 0] = 2


def test_directions_point_everywhere() -> None:
    some = directions(3)
    assert np.linalg.norm(some.mean(axis=1)) < 0.15
    np.testing.assert_allclose(some @ some.T / DIRECTIONS, np.eye(3) / 3, atol=0.06)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((3, 5)), r"same dimension, got \(3, 5\) and \(3, 4\)"),
        (np.zeros((1, 4)), "x must have at least 2 rows, got 1"),
        (np.zeros(4), r"x must have shape \(n, d\)"),
        (np.full((3, 4), np.inf), "x holds NaN or infinity in 3 of 3 rows"),
        ([["a"] * 4] * 3, "x must be an array of numbers"),
    ],
)
def test_bad_input_is_named(x: Any, message: str) -> None:
    with pytest.raises(LadderError, match=message):
        sliced_wasserstein(x, np.ones((3, 4)))
