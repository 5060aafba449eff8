"""Frechet distance of class means: closed forms, the matrix square root, invariances, bad input."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.linalg import sqrtm

from oodml.errors import LadderError
from oodml.splits import frechet_distance
from oodml.splits.space import ClassSpace

Array = NDArray[np.float64]


def normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


def by_square_root(x: Array, y: Array) -> float:
    cov_x, cov_y = np.cov(x.T), np.cov(y.T)
    gap = x.mean(axis=0) - y.mean(axis=0)
    root = np.real(np.asarray(sqrtm(cov_x @ cov_y)))
    return float(gap @ gap + np.trace(cov_x) + np.trace(cov_y) - 2 * np.trace(root))


@pytest.mark.parametrize(("n", "m", "d"), [(40, 50, 6), (30, 12, 10), (300, 200, 20)])
def test_agrees_with_the_matrix_square_root(n: int, m: int, d: int) -> None:
    x, y = normal(0, n, d), 1.5 * normal(1, m, d) + 0.3
    assert frechet_distance(x, y) == pytest.approx(by_square_root(x, y), rel=1e-6)


def test_fewer_classes_than_dimensions_agrees_with_the_regularised_square_root() -> None:
    x, y = normal(2, 6, 20), normal(3, 8, 20) + 1
    ridge = 1e-10 * np.eye(20)
    values = np.linalg.eigvals((np.cov(x.T) + ridge) @ (np.cov(y.T) + ridge))
    gap = x.mean(axis=0) - y.mean(axis=0)
    root = np.sqrt(np.abs(values.real)).sum()
    expected = gap @ gap + np.trace(np.cov(x.T)) + np.trace(np.cov(y.T)) - 2 * root
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-4)


@given(st.integers(0, 10_000), st.integers(2, 30), st.integers(2, 30))
def test_one_dimension_is_the_closed_form(seed: int, n: int, m: int) -> None:
    x, y = normal(seed, n, 1), 3 * normal(seed + 1, m, 1) - 2
    expected = (x.mean() - y.mean()) ** 2 + (x.std(ddof=1) - y.std(ddof=1)) ** 2
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(2, 12), st.integers(1, 16))
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
    assert frechet_distance(x, x[::-1]) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x + offset) == pytest.approx(offset @ offset, rel=1e-7, abs=1e-9)


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


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((3, 5)), "same dimension"),
        (np.zeros((1, 4)), "x must have at least 2 rows"),
        (np.zeros(4), r"x must have shape \(n, d\)"),
        (np.zeros((4, 0)), "d >= 1"),
        (np.array([[0, 0, 0, 0], [0, 0, np.nan, 0]]), "NaN or infinity in 1 of 2 rows, first in row 1"),
        ([["a", "b", "c", "d"]] * 3, "array of numbers"),
    ],
)
def test_bad_input_is_named(x: Array, message: str) -> None:
    with pytest.raises(LadderError, match=message):
        frechet_distance(x, np.ones((3, 4)))


def test_measuring_stays_light() -> None:
    code = (
        "import sys, oodml.splits.ladder; "
        "print([m for m in ('torch', 'pyarrow', 'pandas', 'matplotlib', 'scipy') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
