from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import stats

from oodml.comparisons import critical_difference, differences_by_level, paired_differences
from oodml.errors import UsageError
from oodml.multiplicity import holm_adjusted

Floats = NDArray[np.float64]
NAN = np.nan

# Ranks of four variants of a decision tree on 14 data sets: Demsar 2006, table 6 (best is 1).
DEMSAR = np.array(
    [
        [4, 3, 2, 1],
        [1, 2, 3, 4],
        [4, 1, 2, 3],
        [4, 1, 3, 2],
        [4, 2, 3, 1],
        [1, 2.5, 4, 2.5],
        [3, 2, 4, 1],
        [2.5, 2.5, 4, 1],
        [4, 3, 2, 1],
        [2.5, 2.5, 2.5, 2.5],
        [4, 2.5, 1, 2.5],
        [3, 2, 4, 1],
        [4, 1, 2, 3],
        [3, 1, 4, 2],
    ]
)
TREES = ("C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf")


def example() -> tuple[Floats, NDArray[np.int64]]:
    """Four methods, three levels of four seeds each."""
    rng = np.random.default_rng(0)
    levels = np.repeat([0, 3, 7], 4)
    return rng.normal(size=(4, 12)) + np.linspace(0, 2, 4)[:, None] * (1 + levels), levels


def test_differences_by_hand() -> None:
    # b - a: .1, .2, .3 -> mean .2, s = .1, t = .2 / (.1 / sqrt 3) = 3.4641, 2 degrees of freedom
    found = paired_differences([[0.5, 0.6, 0.7], [0.6, 0.8, 1.0]], ["a", "b"])
    assert (found.first, found.second, found.n.tolist()) == (("a",), ("b",), [3])
    assert found.difference == pytest.approx([0.2])
    assert found.high - found.difference == pytest.approx([4.302653 * 0.1 / 3**0.5], rel=1e-6)
    assert found.p == pytest.approx([2 * stats.t.sf(3.4641016, 2)])
    np.testing.assert_array_equal(found.p_holm, found.p)


def test_differences_of_one_level_equal_scipy() -> None:
    values, _ = example()
    found = paired_differences(values, "abcd", confidence=0.9)
    assert list(zip(found.first, found.second, strict=True)) == list(itertools.combinations("abcd", 2))
    for k, (i, j) in enumerate(itertools.combinations(range(4), 2)):
        peer = stats.ttest_rel(values[j], values[i])
        assert found.p[k] == pytest.approx(peer.pvalue)
        assert (found.low[k], found.high[k]) == pytest.approx(tuple(peer.confidence_interval(0.9)))
    np.testing.assert_array_equal(found.p_holm, holm_adjusted(found.p))


def test_differences_over_levels_by_loops() -> None:
    values, levels = example()
    values[1, [0, 5, 6, 7]] = NAN  # b: 3 seeds at level 0, 1 at level 3, 4 at level 7
    found = paired_differences(values, "abcd", levels=levels)
    assert found.n.tolist() == [8, 12, 12, 8, 8, 12]
    for k, (i, j) in enumerate(itertools.combinations(range(4), 2)):
        means, squares, freedom, inverse = [], 0.0, 0, 0.0
        for level in (0, 3, 7):
            gaps = [values[j, b] - values[i, b] for b in np.flatnonzero(levels == level)]
            gaps = [gap for gap in gaps if not np.isnan(gap)]
            means.append(sum(gaps) / len(gaps))
            squares += sum((gap - means[-1]) ** 2 for gap in gaps)
            freedom += len(gaps) - 1
            inverse += 1 / len(gaps)
        error = (squares / freedom * inverse) ** 0.5 / 3
        assert found.difference[k] == pytest.approx(np.mean(means))
        assert found.high[k] - found.difference[k] == pytest.approx(stats.t.ppf(0.975, freedom) * error)
        assert found.p[k] == pytest.approx(2 * stats.t.sf(abs(np.mean(means)) / error, freedom))


def test_what_differs_between_levels_is_no_scatter_of_seeds() -> None:
    # b is better by .3 at the one level and worse by .1 at the other, for every seed up to .001
    gaps = np.array([0.3, 0.301, 0.299, -0.1, -0.101, -0.099])
    values = np.stack([np.full(6, 0.5), 0.5 + gaps])
    by_seed = paired_differences(values, ["a", "b"], levels=[0, 0, 0, 1, 1, 1])
    mixed = paired_differences(values, ["a", "b"])
    np.testing.assert_allclose([by_seed.difference, mixed.difference], 0.1)
    assert by_seed.p[0] < 1e-6
    assert mixed.p[0] > 0.2


def test_gaps_leave_no_aggregate_and_one_seed_no_interval() -> None:
    values = [[0.1, 0.2, 0.3, 0.4], [0.2, 0.3, NAN, NAN], [0.3, NAN, 0.5, NAN]]
    found = paired_differences(values, "abc", levels=[0, 0, 1, 1])
    np.testing.assert_allclose(found.difference, [NAN, 0.2, NAN])  # b has nothing at level 1
    assert found.n.tolist() == [2, 2, 1]
    assert np.isnan([found.low, found.high, found.p, found.p_holm]).all()  # a and c: one seed at every level
    lone = paired_differences([[0.1], [0.4]], "ab")
    assert lone.difference == pytest.approx([0.3])
    assert np.isnan([lone.low, lone.p, lone.p_holm]).all()
    never = paired_differences([[0.1, NAN], [NAN, 0.4]], "ab")
    assert (never.n.tolist(), np.isnan(never.difference).tolist()) == ([0], [True])


def test_constant_differences_are_certain() -> None:
    values = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    values[1] += [1e-16, -1e-16, 0.0]
    found = paired_differences(values, "abc")
    assert found.p.tolist() == [1.0, 0.0, 0.0]
    np.testing.assert_allclose(found.low, [0, 0.3, 0.3], atol=1e-12)


def test_level_by_level_corrects_for_all_levels() -> None:
    values, levels = example()
    found = differences_by_level(values, "abcd", levels)
    assert list(found) == [0, 3, 7]
    for level, one in found.items():
        alone = paired_differences(values[:, levels == level], "abcd")
        np.testing.assert_array_equal(one.p, alone.p)
        np.testing.assert_array_equal(one.low, alone.low)
    together = holm_adjusted(np.concatenate([one.p for one in found.values()]))
    np.testing.assert_array_equal(np.concatenate([one.p_holm for one in found.values()]), together)


@pytest.mark.parametrize(
    ("shape", "names", "levels"),
    [((2, 3), "abc", None), ((2, 3), "ab", [0, 1]), ((2,), "ab", None), ((2, 0), "ab", [])],
)
def test_shapes_of_a_comparison_are_checked(shape: tuple[int, ...], names: str, levels: list[int] | None) -> None:
    with pytest.raises(UsageError, match="got shapes"):
        paired_differences(np.zeros(shape), names, levels=levels)


@settings(deadline=None, max_examples=50)
@given(
    hnp.arrays(np.float64, (4, 6), elements=st.sampled_from([0.1, 0.3, 0.35, 0.9, NAN])),
    st.permutations(range(4)),
    st.permutations(range(6)),
)
def test_the_order_of_methods_and_blocks_does_not_matter(values: Floats, order: list[int], blocks: list[int]) -> None:
    levels = np.array([0, 0, 0, 1, 1, 1])
    plain = paired_differences(values, "abcd", levels=levels)
    moved = paired_differences(
        values[order][:, blocks] + 2, ["abcd"[k] for k in order], levels=levels[blocks]
    )  # shifted by a constant as well
    places = {pair: k for k, pair in enumerate(zip(moved.first, moved.second, strict=True))}
    for k, (a, b) in enumerate(zip(plain.first, plain.second, strict=True)):
        sign, place = (1, places[a, b]) if (a, b) in places else (-1, places[b, a])
        low, high = (moved.low, moved.high)[::sign]
        here = [plain.difference[k], plain.low[k], plain.high[k], plain.p[k], plain.p_holm[k], plain.n[k]]
        there = [sign * moved.difference[place], sign * low[place], sign * high[place]]
        there += [moved.p[place], moved.p_holm[place], moved.n[place]]
        np.testing.assert_allclose(there, here, atol=1e-9)


def test_the_published_example_of_a_critical_difference() -> None:
    # Demsar 2006, section 3.2.2: chi-squared 9.28 without correction for ties, CD 2.569 sqrt(4 * 5 / (6 * 14)) = 1.25
    found = critical_difference(DEMSAR, TREES, higher_is_better=False)
    assert found.methods == ("C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5")
    assert found.mean_ranks == pytest.approx((1.964, 2.0, 2.893, 3.143), abs=5e-4)
    assert found.cd == pytest.approx(1.25, abs=5e-3)
    assert (found.groups, found.n) == (((0, 3),), 14)
    assert found.p == pytest.approx(stats.friedmanchisquare(*np.transpose(DEMSAR)).pvalue)
    # at .1 the ends differ: CD 2.291 sqrt(5 / 21) = 1.12
    wider = critical_difference(DEMSAR, TREES, higher_is_better=False, alpha=0.1)
    assert wider.cd == pytest.approx(1.12, abs=5e-3)
    assert wider.groups == ((0, 2), (2, 3))


@pytest.mark.parametrize(
    ("k", "q_05", "q_10"),
    [(2, 1.960, 1.645), (3, 2.343, 2.052), (4, 2.569, 2.291), (5, 2.728, 2.459), (7, 2.949, 2.693), (10, 3.164, 2.920)],
)
def test_published_critical_values(k: int, q_05: float, q_10: float) -> None:
    # Demsar 2006, table 5a
    values = np.random.default_rng(k).random((9, k))
    for alpha, q in ((0.05, q_05), (0.1, q_10)):
        found = critical_difference(values, "abcdefghij"[:k], alpha=alpha)
        assert found.cd == pytest.approx(q * (k * (k + 1) / (6 * 9)) ** 0.5, rel=5e-4)


def test_critical_difference_by_hand_with_ties() -> None:
    # ranks of a, b, c: 1 2 3, 1.5 1.5 3, 1 3 2: means 1.1667, 2.1667, 2.6667
    values = [[0.9, 0.8, 0.7], [0.5, 0.5, 0.1], [0.9, 0.1, 0.2]]
    found = critical_difference(values, ["a", "b", "c"])
    assert found.methods == ("a", "b", "c")
    assert found.mean_ranks == pytest.approx((3.5 / 3, 6.5 / 3, 8 / 3))
    assert found.p == pytest.approx(stats.friedmanchisquare(*np.transpose(values)).pvalue)
    assert critical_difference(values, ["a", "b", "c"], higher_is_better=False).methods == ("c", "b", "a")


def test_two_methods_and_methods_that_always_tie() -> None:
    # ranks 1 and 2 in 20 blocks: CD 1.96 sqrt(2 * 3 / 120) = .438; chi-squared 20 with one degree of freedom
    found = critical_difference([[0.2, 0.1]] * 20, ["a", "b"])
    assert (found.mean_ranks, found.groups) == ((1.0, 2.0), ())
    assert found.cd == pytest.approx(0.4383, abs=1e-4)
    assert found.p == pytest.approx(stats.chi2.sf(20, 1))
    tied = critical_difference([[0.2, 0.2, 0.2]] * 2, ["z", "a", "m"])
    assert (tied.methods, tied.mean_ranks) == (("a", "m", "z"), (2.0, 2.0, 2.0))
    assert (tied.groups, tied.p) == (((0, 2),), 1.0)


def test_groups_overlap_and_hold_each_other_never() -> None:
    # 12 methods in one order in 60 blocks: ranks 1 to 12, CD = 3.268 sqrt(12 * 13 / 360) = 2.15: runs of three
    found = critical_difference([np.arange(12.0, 0, -1)] * 60, "abcdefghijkl")
    assert found.cd == pytest.approx(2.151, abs=1e-3)
    assert found.groups == tuple((k, k + 2) for k in range(10))


@pytest.mark.parametrize(
    ("values", "names", "message"),
    [
        ([[0.1, 0.2]], "ab", "at least two blocks"),
        ([[0.1], [0.2]], "a", "at least two blocks"),
        ([[0.1, 0.2], [0.1, 0.2]], "abc", "for 3 methods"),
        ([[0.1, 0.2], [0.1, NAN]], "ab", "'b' lacks a value"),
    ],
)
def test_a_critical_difference_needs_a_full_table(values: list[list[float]], names: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        critical_difference(values, names)
    with pytest.raises(UsageError, match="alpha"):
        critical_difference([[0.1, 0.2]] * 2, "ab", alpha=5)


@settings(deadline=None, max_examples=50)
@given(
    hnp.arrays(np.float64, (5, 4), elements=st.sampled_from([0.1, 0.3, 0.35, 0.9])),
    st.permutations(range(4)),
    st.permutations(range(5)),
)
def test_only_the_order_within_a_block_counts(values: Floats, order: list[int], blocks: list[int]) -> None:
    plain = critical_difference(values, "abcd")
    scaled = values * np.arange(1, 6)[:, None] - np.arange(5)[:, None]  # every block in a unit of its own
    moved = critical_difference(scaled[blocks][:, order], ["abcd"[k] for k in order])
    assert (moved.methods, moved.groups, moved.cd) == (plain.methods, plain.groups, plain.cd)
    assert moved.mean_ranks == pytest.approx(plain.mean_ranks)
    assert moved.p == pytest.approx(plain.p)
    assert sum(plain.mean_ranks) == pytest.approx(10)
    turned = critical_difference(-values, "abcd", higher_is_better=False)
    assert turned.mean_ranks == plain.mean_ranks
