from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from oodml.errors import UsageError
from oodml.rank_correlation import correlate_ranks, spearman

TIED = np.array([[0.1, 0.5, 0.5, 0.9, 0.3, 0.2], [3, 1, 2, 2, 2, 9], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]])


@pytest.mark.parametrize("kind", ["spearman", "kendall"])
def test_correlations_equal_scipy(kind: str) -> None:
    found = correlate_ranks(TIED, kind=kind)
    np.testing.assert_allclose(np.diag(found), 1.0)
    for i, j in itertools.permutations(range(3), 2):
        peer = stats.spearmanr(TIED[i], TIED[j]) if kind == "spearman" else stats.kendalltau(TIED[i], TIED[j])
        assert found[i, j] == pytest.approx(peer.statistic)


def test_rows_without_order_have_no_correlation() -> None:
    for kind in ("spearman", "kendall"):
        found = correlate_ranks([[1.0, 2.0, 3.0], [0.3, 0.3, 0.1 + 0.2]], kind=kind)
        assert np.isnan(found).tolist() == [[False, True], [True, True]]
    with pytest.raises(UsageError, match="'pearson'; known"):
        correlate_ranks(TIED, kind="pearson")


def test_exact_p_by_hand() -> None:
    # of the 24 orders of four only two correlate by 1 or -1; of the 6 orders of three every one by .5 or more
    assert spearman([1, 2, 3, 4], [10, 20, 30, 40]) == pytest.approx((1.0, 2 / 24))
    assert spearman([1, 2, 3], [1, 3, 2]) == pytest.approx((0.5, 1.0))
    # exchanging neighbours gives 1 - 6 * 2 / 60 = .8: as far or farther are 3 such exchanges, the order, and reverses
    assert spearman([1, 2, 3, 4], [2, 1, 3, 4]) == pytest.approx((0.8, 8 / 24))


def test_exact_p_with_ties_equals_a_permutation_test() -> None:
    x, y = TIED[:2].tolist()
    values = [stats.spearmanr(x, order).statistic for order in itertools.permutations(y)]
    found, p = spearman(x, y)
    assert p == pytest.approx(np.mean(np.abs(values) >= abs(found) - 1e-9))


def test_p_of_many_values_equals_scipy() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 30))
    peer = stats.spearmanr(x, y)
    assert spearman(x, y) == pytest.approx((peer.statistic, peer.pvalue))
    assert spearman(x, -x) == (-1.0, 0.0)


def test_too_few_values_and_equal_ones() -> None:
    assert np.isnan([spearman([1, 2], [1, 2]), spearman([1, 2, 3], [4, 4, 4]), spearman([], [])]).all()


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=3, max_size=7))
def test_units_directions_and_order_do_not_matter(pairs: list[tuple[int, int]]) -> None:
    x, y = np.array(pairs, dtype=float).T
    found = spearman(x, y)
    assert spearman(np.exp(x), 3 * y - 1) == pytest.approx(found, nan_ok=True)
    assert spearman(x[::-1], y[::-1]) == pytest.approx(found, nan_ok=True)
    assert spearman(-x, y) == pytest.approx((-found[0], found[1]), nan_ok=True)
    assert np.isnan(found[1]) or 0 < found[1] <= 1
