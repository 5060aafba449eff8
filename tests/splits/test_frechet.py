"""Frechet distance of two sides: closed forms, the matrix square root, both ways to compute it, bad input."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.linalg import sqrtm

from oodml.errors import LadderError
from oodml.splits import frechet_distance
from oodml.splits.frechet import from_moments, of_rows, symmetric_factor
from oodml.splits.moments import Moments
from oodml.splits.space import ClassSpace

Array = NDArray[np.float64]
SEEDS = st.integers(0, 10_000)


def normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


def by_square_root(x: Array, y: Array) -> float:
    """The definition, with the matrix square root taken inside the space that x spans: elsewhere S_x S_y is 0."""
    gap = x.mean(axis=0) - y.mean(axis=0)
    _, sizes, axes = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    basis = axes[sizes > 1e-10 * sizes[0]].T
    root = np.real(np.asarray(sqrtm(np.cov((x @ basis).T) @ np.cov((y @ basis).T))))
    traces = np.trace(np.cov(x.T)) + np.trace(np.cov(y.T))
    return float(gap @ gap + traces - 2 * np.trace(root))


@pytest.mark.parametrize(
    ("n", "m", "d"),
    [
        pytest.param(40, 50, 6, id="both-have-more-rows-than-dimensions"),
        pytest.param(30, 12, 10, id="both-just-more"),
        pytest.param(300, 200, 20, id="both-far-more"),
        pytest.param(12, 60, 12, id="one-as-many"),
        pytest.param(8, 60, 20, id="one-fewer"),
        pytest.param(8, 21, 20, id="one-fewer-the-other-just-more"),
        pytest.param(8, 12, 20, id="both-fewer"),
    ],
)
def test_agrees_with_the_matrix_square_root(n: int, m: int, d: int) -> None:
    x, y = normal(0, n, d), 1.5 * normal(1, m, d) + 0.3
    expected = by_square_root(x, y)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(y, x) == pytest.approx(expected, rel=1e-6)
    assert from_moments(Moments.of(x), Moments.of(y)) == pytest.approx(expected, rel=1e-6)
    assert of_rows(x, y) == pytest.approx(expected, rel=1e-6)


def test_fewer_classes_than_dimensions_agrees_with_the_regularised_square_root() -> None:
    x, y = normal(2, 6, 20), normal(3, 8, 20) + 1
    ridge = 1e-10 * np.eye(20)
    values = np.linalg.eigvals((np.cov(x.T) + ridge) @ (np.cov(y.T) + ridge))
    gap = x.mean(axis=0) - y.mean(axis=0)
    root = np.sqrt(np.abs(values.real)).sum()
    expected = gap @ gap + np.trace(np.cov(x.T)) + np.trace(np.cov(y.T)) - 2 * root
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-4)


@given(SEEDS, st.integers(2, 30), st.integers(2, 30))
def test_one_dimension_is_the_closed_form(seed: int, n: int, m: int) -> None:
    x, y = normal(seed, n, 1), 3 * normal(seed + 1, m, 1) - 2
    expected = (x.mean() - y.mean()) ** 2 + (x.std(ddof=1) - y.std(ddof=1)) ** 2
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def cross(spreads: Array, dimensions: int, centre: float) -> Array:
    """Two points on each axis whose sample covariance is diagonal, `spreads` on it (standard deviations)."""
    arms = np.diag(spreads) * np.sqrt((2 * len(spreads) - 1) / 2)
    return np.pad(np.concatenate([arms, -arms]), ((0, 0), (0, dimensions - len(spreads)))) + centre


@given(st.lists(st.tuples(*[st.floats(0, 9)] * 2), min_size=1, max_size=6), st.integers(0, 20), st.floats(-3, 3))
def test_diagonal_covariances_are_the_closed_form(spreads: list[tuple[float, float]], more: int, offset: float) -> None:
    # |offset|^2 + sum_i (a_i - b_i)^2, with more rows than dimensions or, by dimensions of no spread, with fewer
    a, b = np.array(spreads).T
    d = len(spreads) + more
    x, y = cross(a, d, 0.0), cross(b, d, offset)
    np.testing.assert_allclose(np.atleast_2d(np.cov(x.T)), np.diag(np.pad(a, (0, more)) ** 2), atol=1e-9)
    expected = d * offset**2 + ((a - b) ** 2).sum()
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert frechet_distance(Moments.of(x), Moments.of(y)) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(SEEDS, st.integers(2, 12), st.integers(2, 12), st.integers(1, 16))
@settings(deadline=None)
def test_invariances(seed: int, n: int, m: int, d: int) -> None:
    x, y = normal(seed, n, d), normal(seed + 1, m, d) * 2 + 1
    value = frechet_distance(x, y)
    rotation = np.linalg.qr(normal(seed + 2, d, d))[0]
    offset = normal(seed + 3, d)
    assert value >= 0
    assert frechet_distance(y, x) == pytest.approx(value, rel=1e-9, abs=1e-9)
    assert frechet_distance(x @ rotation + offset, y @ rotation + offset) == pytest.approx(value, rel=1e-8)
    assert frechet_distance(3 * x, 3 * y) == pytest.approx(9 * value, rel=1e-9)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, np.random.default_rng(seed).permutation(x)) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x + offset) == pytest.approx(offset @ offset, rel=1e-7, abs=1e-9)


@given(SEEDS, st.integers(2, 30), st.integers(2, 30), st.integers(1, 16))
def test_moments_may_stand_for_rows(seed: int, n: int, m: int, d: int) -> None:
    x, y = normal(seed, n, d), normal(seed + 1, m, d) * 2 + 1
    value = frechet_distance(x, y)
    near = pytest.approx(value, rel=1e-6, abs=1e-6)
    assert frechet_distance(Moments.of(x), Moments.of(y)) == near
    assert frechet_distance(Moments.of(x), y) == near
    assert frechet_distance(x, Moments.of(y)) == near
    assert from_moments(Moments.of(y), Moments.of(x)) == near


def degenerate(kind: str, seed: int, n: int, d: int) -> Array:
    """Rows whose covariance is not of full rank though there are more rows than dimensions."""
    rows = normal(seed, n, d) + 1
    if kind == "constant columns":
        rows[:, ::2] = 0.1 * seed
    if kind == "equal columns":
        rows[:, -1] = rows[:, 0]
    if kind == "repeated rows":
        rows = np.repeat(rows[:3], n // 3, axis=0)
    if kind == "one point":
        rows[:] = rows[0]
    if kind == "a zero":
        rows[:] = 0
    return rows


KINDS = ["full rank", "constant columns", "equal columns", "repeated rows", "one point", "a zero"]


@pytest.mark.parametrize("left", KINDS)
@pytest.mark.parametrize("right", KINDS)
def test_both_ways_agree_whatever_the_rank(left: str, right: str) -> None:
    x, y = degenerate(left, 5, 30, 6), degenerate(right, 6, 42, 6)
    by_rows, by_moments = of_rows(x, y), from_moments(Moments.of(x), Moments.of(y))
    assert by_moments == pytest.approx(by_rows, rel=1e-6, abs=1e-9)
    assert by_rows >= 0
    assert frechet_distance(x, x[::-1]) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(Moments.of(y), Moments.of(y[::-1])) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("n", "m"), [(5, 40), (40, 5), (5, 7), (20, 20), (21, 20)])
def test_both_ways_agree_with_fewer_rows_than_dimensions(n: int, m: int) -> None:
    x, y = normal(7, n, 20) * np.linspace(3, 0.1, 20), normal(8, m, 20) + 0.2
    assert from_moments(Moments.of(x), Moments.of(y)) == pytest.approx(of_rows(x, y), rel=1e-6)


@given(SEEDS, st.integers(1, 8), st.integers(1, 8))
def test_the_factor_of_a_covariance_squares_to_it_and_has_its_rank(seed: int, d: int, rank: int) -> None:
    root = normal(seed, d, min(rank, d))
    factor = symmetric_factor(root @ root.T)
    assert factor.shape == (d, min(rank, d))
    np.testing.assert_allclose(factor @ factor.T, root @ root.T, atol=1e-9)


@pytest.mark.parametrize(("classes", "d"), [(12, 3), (12, 12), (12, 500), (60, 40)])
def test_class_space_measures_as_the_direct_form_does(classes: int, d: int) -> None:
    means = normal(4, classes, d) + 100  # far from the origin, where a plain Gram matrix would lose digits
    names = [f"c{row:02d}" for row in range(classes)]
    space = ClassSpace(means, names)
    assert space.points.shape == (classes, min(classes, d))
    order = np.random.default_rng(5).permutation(classes)
    train, test = order[: classes // 2], order[classes // 2 : -1]
    assert space.shift(train, test) == pytest.approx(frechet_distance(means[train], means[test]), rel=1e-9)


def test_class_space_sorts_names_with_their_means() -> None:
    means = normal(6, 10, 4)
    names = list("jihgfedcba")
    space = ClassSpace(means, names)
    assert space.names == tuple("abcdefghij")
    assert space.names_of(space.rows(["c", "a"])) == ("a", "c")
    np.testing.assert_allclose(space.points, means[::-1] - means.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(space.squares, [point @ point for point in space.points], rtol=1e-12)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((3, 5)), "same dimension"),
        (np.zeros((1, 4)), "x must have at least 2 rows"),
        (np.zeros(4), r"x must have shape \(n, d\)"),
        (np.zeros((4, 0)), "d >= 1"),
        (np.array([[0, 0, 0, 0], [0, 0, np.nan, 0]]), "NaN or infinity in 1 of 2 rows, first in row 1"),
        ([["a", "b", "c", "d"]] * 3, "array of numbers"),
        (Moments.of(np.zeros((3, 5))), "same dimension, got 5 and 4"),
        (Moments.of(np.zeros((1, 4))), "at least 2 rows, got 1"),
    ],
)
def test_bad_input_is_named(x: Any, message: str) -> None:
    with pytest.raises(LadderError, match=message):
        frechet_distance(x, np.ones((3, 4)))


def test_measuring_stays_light() -> None:
    code = (
        "import sys, oodml.splits.ladder; "
        "print([m for m in ('torch', 'pyarrow', 'pandas', 'matplotlib', 'scipy') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
