from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from oodml.errors import UsageError
from oodml.statistics import ags, holm, rank_range, t_interval, welch

# Shift of the published splits; recall@1 per split (+-.005) and AGS (+-.003) read off the published figures.
CUB = [19.16, 28.49, 52.62, 72.20, 92.48, 120.38, 136.45, 152.04, 173.94]
CARS = [8.59, 14.33, 32.18, 43.58, 63.29, 86.48, 101.17, 123.03]
SOP = [3.43, 24.59, 53.47, 99.38, 135.53, 155.25, 189.81, 235.10]
PUBLISHED = [
    (CUB, [0.765, 0.722, 0.658, 0.654, 0.633, 0.615, 0.600, 0.577, 0.586], 0.636),
    (CUB, [0.789, 0.751, 0.692, 0.687, 0.673, 0.662, 0.646, 0.629, 0.630], 0.677),
    (CARS, [0.839, 0.830, 0.813, 0.789, 0.756, 0.699, 0.674, 0.648], 0.745),
    (CARS, [0.879, 0.868, 0.856, 0.832, 0.805, 0.774, 0.746, 0.726], 0.802),
    (SOP, [0.795, 0.785, 0.775, 0.761, 0.745, 0.727, 0.707, 0.697], 0.746),
]


def test_interval_of_ten_values() -> None:
    mean, std, low, high = t_interval(np.arange(10))
    assert mean == 4.5
    assert std == pytest.approx(3.0277, abs=1e-4)
    assert high - mean == pytest.approx(2.166, abs=5e-4)
    assert mean - low == pytest.approx(high - mean)


@pytest.mark.parametrize(("n", "confidence"), [(2, 0.95), (3, 0.9), (30, 0.99)])
def test_interval_equals_scipy(n: int, confidence: float) -> None:
    x = np.random.default_rng(n).normal(size=n)
    low, high = stats.t.interval(confidence, n - 1, loc=x.mean(), scale=stats.sem(x))
    assert t_interval(x, confidence)[2:] == pytest.approx((low, high))


def test_interval_of_one_value_and_of_none() -> None:
    one, none = t_interval([0.25]), t_interval([])
    assert one[0] == 0.25
    assert np.isnan(one[1:]).all()
    assert np.isnan(none).all()


def test_confidence_is_checked() -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        t_interval([1, 2], confidence=95)


@pytest.mark.parametrize(("shift", "values", "published"), PUBLISHED)
def test_published_ags(shift: list[float], values: list[float], published: float) -> None:
    x = np.array(shift)
    assert ags((x - x[0]) / (x[-1] - x[0]), values) == pytest.approx(published, abs=2e-3)


def test_ags_by_hand_and_in_any_order() -> None:
    # .25 * (.8 + .6) / 2 + .75 * (.6 + .2) / 2 = .175 + .3
    assert ags([0, 0.25, 1], [0.8, 0.6, 0.2]) == pytest.approx(0.475)
    assert ags([1, 0, 0.25], [0.2, 0.8, 0.6]) == pytest.approx(0.475)


@given(st.lists(st.floats(0, 1), max_size=8), st.floats(0, 1))
def test_ags_of_a_constant_is_the_constant(inner: list[float], value: float) -> None:
    shift = [0.0, *inner, 1.0]
    assert ags(shift, [value] * len(shift)) == pytest.approx(value, abs=1e-12)


def test_ags_of_an_unknown_value_is_unknown() -> None:
    assert np.isnan(ags([0, 0.5, 1], [0.5, np.nan, 0.5]))


@pytest.mark.parametrize(("shift", "values"), [([0.0], [0.5]), ([0, 1], [0.5]), ([0, 0.9], [1, 1]), ([3, 8], [1, 1])])
def test_ags_needs_a_scaled_ladder(shift: list[float], values: list[float]) -> None:
    with pytest.raises(UsageError, match="AGS needs"):
        ags(shift, values)


def test_welch_equals_scipy() -> None:
    rng = np.random.default_rng(0)
    samples = [rng.normal(i / 2, 1 + i, size=n) for i, n in enumerate((3, 5, 2, 9))]
    p = welch(samples)
    for i, j in itertools.permutations(range(4), 2):
        assert p[i, j] == pytest.approx(stats.ttest_ind(samples[i], samples[j], equal_var=False).pvalue)


def test_welch_without_spread() -> None:
    p = welch([np.full(3, 0.7), np.full(2, 0.7), np.full(3, 0.8), np.array([0.1])])
    assert p[0, 1] == 1.0  # equal values, although their means may round differently
    assert p[0, 2] == 0.0
    assert np.isnan(p[0, 3])


def test_holm_by_hand() -> None:
    # .01 <= .05/3, .02 <= .05/2, .06 > .05/1; with .03 in place of .02 the second fails and ends the search
    def matrix(a: float, b: float, c: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return np.array([[1, a, b], [a, 1, c], [b, c, 1]])

    assert holm(matrix(0.06, 0.01, 0.02))[np.triu_indices(3, 1)].tolist() == [False, True, True]
    assert holm(matrix(0.04, 0.01, 0.03))[np.triu_indices(3, 1)].tolist() == [False, True, False]
    assert holm(matrix(np.nan, 0.03, np.nan))[np.triu_indices(3, 1)].tolist() == [False, True, False]


def test_ranks_by_hand() -> None:
    # a and b cannot be told apart, both are far above c; d has one seed, so nothing is known about it
    ranks = rank_range({"a": [0.80, 0.81, 0.82], "b": [0.80, 0.82, 0.81], "c": [0.1, 0.11, 0.12], "d": [0.5]})
    assert ranks == {"a": (1, 1, 3), "b": (1, 1, 3), "c": (4, 3, 4), "d": (3, 1, 4)}


def test_ranks_of_a_metric_where_lower_is_better() -> None:
    groups = {"a": [0.1, 0.11, 0.12], "b": [0.8, 0.81, 0.82]}
    assert rank_range(groups, higher_is_better=False) == {"a": (1, 1, 1), "b": (2, 2, 2)}
    assert rank_range(groups) == {"a": (2, 2, 2), "b": (1, 1, 1)}


def test_a_single_method_and_an_empty_one() -> None:
    assert rank_range({"a": [0.5, 0.6]}) == {"a": (1, 1, 1)}
    with pytest.raises(UsageError, match="'b' has no value"):
        rank_range({"a": [0.5], "b": []})


samples = st.lists(st.sampled_from([0.1, 0.2, 0.5, 0.50001, 0.9]), min_size=1, max_size=5)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcdefg"), samples, min_size=1))
def test_a_rank_lies_within_its_range_and_order_does_not_matter(groups: dict[str, list[float]]) -> None:
    ranks = rank_range(groups)
    for name, (rank, low, high) in ranks.items():
        assert 1 <= low <= rank <= high <= len(groups)
        if len(groups[name]) == 1:
            assert (low, high) == (1, len(groups))
    assert min(rank for rank, _, _ in ranks.values()) == 1
    assert rank_range(dict(reversed(groups.items()))) == ranks
