from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from oodml.errors import UsageError
from oodml.multiplicity import holm
from oodml.ranks import Lent, lend_spread, midranks, rank_range, rank_range_summary, welch

Floats = NDArray[np.float64]


def p_values(samples: list[Floats], lent: Lent | None = None) -> Floats:
    mean = np.array([x.mean() for x in samples])
    std = np.array([x.std(ddof=1) if len(x) > 1 else np.nan for x in samples])
    return welch(mean, std, np.array([len(x) for x in samples]), lent)


def test_welch_equals_scipy() -> None:
    rng = np.random.default_rng(0)
    samples = [rng.normal(i / 2, 1 + i, size=n) for i, n in enumerate((3, 5, 2, 9))]
    p = p_values(samples)
    for i, j in itertools.permutations(range(4), 2):
        assert p[i, j] == pytest.approx(stats.ttest_ind(samples[i], samples[j], equal_var=False).pvalue)


def test_welch_without_spread() -> None:
    p = p_values([np.full(3, 0.7), np.full(2, 0.7), np.full(3, 0.8), np.array([0.1])])
    assert p[0, 1] == 1.0  # equal values, although their means may round differently
    assert p[0, 2] == 0.0
    assert np.isnan(p[0, 3])
    assert np.isnan(p[3, 3])


def test_welch_with_a_lent_spread_by_formula() -> None:
    mean, std, n = np.array([0.5, 0.6, 0.9]), np.array([0.1, 5.0, 7.0]), np.array([4, 1, 1])  # 5 and 7: not read
    p = welch(mean, std, n, Lent(0.2, 6))
    # several and one: variance .1^2 / 4 + .2^2, freedom by Welch and Satterthwaite from 3 and 6
    own, lent = 0.01 / 4, 0.04
    freedom = (own + lent) ** 2 / (own**2 / 3 + lent**2 / 6)
    assert p[0, 1] == pytest.approx(2 * stats.t.sf(0.1 / (own + lent) ** 0.5, freedom))
    # two of one value: twice the variance, and one estimate with its own 6 degrees of freedom
    assert p[1, 2] == pytest.approx(2 * stats.t.sf(0.3 / (2 * lent) ** 0.5, 6))
    np.testing.assert_array_equal(p, p.T)


def test_the_largest_spread_is_lent_and_steady_methods_lend_none() -> None:
    std, n = np.array([0.1, 0.3, 0.0, np.nan, 0.2]), np.array([3, 2, 5, 1, 4])
    assert lend_spread(std, n) == Lent(0.3, 2 + 1 + 3)
    assert lend_spread(std[[0, 1, 2]], n[[0, 1, 2]]) is None  # nobody to lend to
    assert lend_spread(std[[0, 2, 3]], n[[0, 2, 3]]) is None  # one lender is not enough


def test_ranks_by_hand() -> None:
    # a and b cannot be told apart, both are far above c; d has one seed and is lent the spread of the others, .01:
    # it is .31 below a and .39 above c, against .01 * sqrt(1 + 1/3) = .012
    ranks = rank_range({"a": [0.80, 0.81, 0.82], "b": [0.80, 0.82, 0.81], "c": [0.1, 0.11, 0.12], "d": [0.5]})
    assert ranks == {"a": (1, 1, 2), "b": (1, 1, 2), "c": (4, 4, 4), "d": (3, 3, 3)}


def test_one_seed_proves_nothing_where_no_spread_is_known() -> None:
    assert rank_range({"a": [0.9], "b": [0.5], "c": [0.1]}) == {"a": (1, 1, 3), "b": (2, 1, 3), "c": (3, 1, 3)}
    ranks = rank_range({"a": [0.80, 0.81, 0.82], "frozen": [0.1, 0.1], "b": [0.5]})  # one that varies is too few
    assert ranks == {"a": (1, 1, 2), "frozen": (3, 2, 3), "b": (2, 1, 3)}


def test_a_lent_spread_is_reported() -> None:
    mean, std = [0.8, 0.5, 0.1, 0.4], [0.01, 0.02, 0.01, np.nan]
    assert rank_range_summary(mean, std, [3, 3, 3, 1]).lent == Lent(0.02, 6)
    assert rank_range_summary(mean[:3], std[:3], [3, 3, 3]).lent is None


def test_ranks_of_a_metric_where_lower_is_better() -> None:
    groups = {"a": [0.1, 0.11, 0.12], "b": [0.8, 0.81, 0.82]}
    assert rank_range(groups, higher_is_better=False) == {"a": (1, 1, 1), "b": (2, 2, 2)}
    assert rank_range(groups) == {"a": (2, 2, 2), "b": (1, 1, 1)}


def test_a_single_method_and_an_empty_one() -> None:
    assert rank_range({"a": [0.5, 0.6]}) == {"a": (1, 1, 1)}
    assert rank_range({}) == {}
    with pytest.raises(UsageError, match="'b' has no value"):
        rank_range({"a": [0.5], "b": []})


@pytest.mark.parametrize(
    ("mean", "std", "n", "message"),
    [
        ([0.5, 0.6], [0.1], [2, 2], "got shapes"),
        ([0.5, 0.6], [0.1, 0.1], [2, 0], "without a value"),
        ([0.5, np.nan], [0.1, 0.1], [2, 2], "without a value"),
        ([0.5, 0.6], [0.1, np.nan], [2, 2], "standard deviation"),
    ],
)
def test_summaries_are_checked(mean: list[float], std: list[float], n: list[int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        rank_range_summary(mean, std, n)


def test_equal_methods_are_seldom_told_apart() -> None:
    # equal methods, half of them with one seed, whose spreads differ by a factor of exp(.45) = 1.6
    rng, n, wrong, with_mean = np.random.default_rng(1), np.repeat([3, 1], 10), 0, 0
    for _ in range(300):
        spread = np.exp(0.45 * rng.normal(size=20))
        mean, std = spread * rng.normal(size=20) / n**0.5, spread * (rng.chisquare(2, 20) / 2) ** 0.5
        found = rank_range_summary(mean, std, n)
        wrong += bool((found.high - found.low < 19).any())
        with_mean += bool(holm(welch(mean, std, n, Lent(float((std[:10] ** 2).mean() ** 0.5), 20))).any())
    assert wrong / 300 <= 0.05
    assert with_mean / 300 > 0.1  # why the largest spread is lent, not the mean one


def test_midranks_equal_scipy_and_ties_forgive_rounding() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 4, (3, 5, 9)).astype(float)
    np.testing.assert_array_equal(midranks(x, higher_is_better=False), stats.rankdata(x, axis=-1))
    np.testing.assert_array_equal(midranks(x), stats.rankdata(-x, axis=-1))
    assert midranks(np.array([0.1 + 0.2, 0.3, 0.5])).tolist() == [2.5, 2.5, 1.0]


samples = st.lists(st.sampled_from([0.1, 0.2, 0.5, 0.50001, 0.9]), min_size=1, max_size=5)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcdefg"), samples, min_size=1))
def test_a_rank_lies_within_its_range_and_order_does_not_matter(groups: dict[str, list[float]]) -> None:
    ranks = rank_range(groups)
    for rank, low, high in ranks.values():
        assert 1 <= low <= rank <= high <= len(groups)
    assert min(rank for rank, _, _ in ranks.values()) == 1
    assert rank_range(dict(reversed(groups.items()))) == ranks
    moved = {name: [3 * v + 7 for v in values] for name, values in groups.items()}
    assert rank_range(moved) == ranks


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcdefg"), samples, min_size=1))
def test_summaries_give_the_ranks_of_the_values(groups: dict[str, list[float]]) -> None:
    mean = [float(np.mean(v)) for v in groups.values()]
    std = [float(np.std(v, ddof=1)) if len(v) > 1 else 0.3 for v in groups.values()]  # .3: spread of something else
    found = rank_range_summary(mean, std, [len(v) for v in groups.values()])
    assert list(zip(found.rank, found.low, found.high, strict=True)) == list(rank_range(groups).values())
