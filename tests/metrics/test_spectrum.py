from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_metrics import naive_rho, unit

from oodml import summaries
from oodml.errors import DatasetError
from oodml.metrics.spectrum import FLOOR, rho, singular_values
from oodml.ranking.search import Side
from oodml.summaries import gram


def side(rows: Any) -> Side:
    return Side(np.asarray(rows), np.arange(len(rows)), np.zeros(len(rows), np.int64))


def spectrum(rows: Any, cosine: bool = True, budget: int = 2**30) -> Any:
    return singular_values(gram(side(rows), cosine, budget))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 30), st.integers(1, 20), st.sampled_from([-3, -1, 1, 2, 10]))
def test_rho_equals_that_of_the_singular_values(seed: int, n: int, d: int, m: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(n, d)) + 0.5
    for cosine, matrix in ((True, unit(rows)), (False, rows)):
        found = rho(spectrum(rows, cosine), m)
        assert found == pytest.approx(naive_rho(matrix, m), rel=1e-4, abs=1e-6, nan_ok=True)
        assert math.isnan(found) == (abs(m) > min(n, d))


@pytest.mark.parametrize(("n", "d"), [(7, 3), (3, 7), (5, 5), (40, 8)])
@pytest.mark.parametrize("chunk", [1, 3, 1024])
def test_singular_values_of_tall_and_wide_rows_in_chunks(
    n: int, d: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summaries, "CHUNK", chunk)
    rows = np.random.default_rng(n).normal(size=(n, d))
    expected = np.linalg.svd(rows, compute_uv=False)
    found = spectrum(rows, False)
    np.testing.assert_allclose(found / found[0], expected / expected[0], rtol=1e-9)
    np.testing.assert_allclose(spectrum(rows), np.linalg.svd(unit(rows), compute_uv=False), rtol=1e-5)


def test_hand_table() -> None:
    sigma = np.array([4.0, 2.0, 2.0])
    assert rho(sigma, 1) == pytest.approx((math.log(2 / 3) + 2 * math.log(4 / 3)) / 3)
    assert rho(sigma, -1) == pytest.approx(math.log(3 / 2) / 2 + math.log(3 / 4) / 2)
    assert rho(sigma, 2) == rho(sigma, 3) == rho(sigma, -2) == 0.0
    assert math.isnan(rho(sigma, 4))


@pytest.mark.parametrize("m", [1, 2, -1])
def test_orthonormal_rows_are_flat(m: int) -> None:
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(20, 6)))[0]
    assert rho(spectrum(basis, False), m) == pytest.approx(0.0, abs=1e-12)
    assert rho(spectrum(np.eye(9)), m) == 0.0


def test_unused_dimensions_count_as_the_floor() -> None:
    rows = np.zeros((50, 4))
    rows[:, :2] = np.random.default_rng(1).normal(size=(50, 2))
    sigma = spectrum(rows, False)
    q = np.maximum(sigma / sigma.sum(), FLOOR)
    assert q[2] == q[3] == FLOOR == 2**-23
    assert rho(sigma, 1) == pytest.approx(np.mean(np.log(0.25 / q)))
    assert 5 < rho(sigma, 1) < 10


def test_rows_that_are_all_zeros_have_no_spectrum() -> None:
    assert math.isnan(rho(spectrum(np.zeros((4, 3)), False), 1))


@pytest.mark.parametrize("power", [-1060, 0, 900])
def test_no_scale_overflows(power: int) -> None:
    rows = np.random.default_rng(2).integers(-9, 10, (30, 5))
    assert rho(spectrum(np.ldexp(rows.astype(float), power), False), 1) == pytest.approx(naive_rho(rows, 1), rel=1e-9)


def test_bad_rows_are_named_in_their_own_numbers() -> None:
    rows = np.ones((9, 3))
    chosen = Side(rows, np.array([1, 5, 8]), np.zeros(3, np.int64))
    rows[5, 1], rows[2] = np.nan, np.inf
    for cosine in (True, False):
        with pytest.raises(DatasetError, match="embedding row 5 has a value that is not finite"):
            gram(chosen, cosine, 2**30)
    rows[5] = 0
    with pytest.raises(DatasetError, match="embedding row 5 is all zeros"):
        gram(chosen, True, 2**30)
    assert gram(chosen, False, 2**30).shape == (3, 3)


def test_a_spectrum_beyond_the_memory_is_refused() -> None:
    with pytest.raises(DatasetError, match="spectrum of 90 rows of 80 numbers"):
        gram(side(np.ones((90, 80))), True, 24 * 80 * 80 - 1)
    assert gram(side(np.ones((90, 80))), True, 24 * 80 * 80).shape == (80, 80)
