from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oodml.multiplicity import holm, holm_adjusted


def test_holm_by_hand() -> None:
    # .01 <= .05/3, .02 <= .05/2, .06 > .05/1; with .03 in place of .02 the second fails and ends the search
    def matrix(a: float, b: float, c: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return np.array([[1, a, b], [a, 1, c], [b, c, 1]])

    assert holm(matrix(0.06, 0.01, 0.02))[np.triu_indices(3, 1)].tolist() == [False, True, True]
    assert holm(matrix(0.04, 0.01, 0.03))[np.triu_indices(3, 1)].tolist() == [False, True, False]
    assert holm(matrix(np.nan, 0.03, np.nan))[np.triu_indices(3, 1)].tolist() == [False, True, False]


def test_adjusted_by_hand_with_gaps_in_any_shape() -> None:
    # four tests: .01 * 4, .02 * 3, then .025 * 2 is less than .06 and takes it, .9 * 1
    found = holm_adjusted([[0.025, np.nan, 0.01], [0.9, 0.02, np.nan]])
    np.testing.assert_allclose(found, [[0.06, np.nan, 0.04], [0.9, 0.06, np.nan]])
    assert holm_adjusted([0.6, 0.7]).tolist() == [1.0, 1.0]
    assert holm_adjusted([]).shape == (0,)
    assert np.isnan(holm_adjusted([np.nan])).all()


@given(st.lists(st.floats(0, 1), max_size=12), st.sampled_from([0.01, 0.05, 0.2]))
def test_adjusted_values_reject_what_the_steps_reject(p: list[float], alpha: float) -> None:
    rejected: set[int] = set()
    for step, test in enumerate(sorted(range(len(p)), key=lambda k: p[k])):
        if p[test] * (len(p) - step) > alpha:
            break
        rejected.add(test)
    assert set(np.flatnonzero(holm_adjusted(p) <= alpha)) == rejected


@given(st.permutations([0.001, 0.02, 0.02, 0.3, 1.0]))
def test_the_order_of_tests_does_not_matter(p: list[float]) -> None:
    expected = {0.001: 0.005, 0.02: 0.08, 0.3: 0.6, 1.0: 1.0}
    assert holm_adjusted(p) == pytest.approx([expected[one] for one in p])
