from __future__ import annotations

import bisect
import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from oodml.errors import UsageError
from oodml.metrics import verification
from oodml.metrics.verification import COARSE_STEPS, FINE_STEPS, PairCounts, fnmr_at_fmr, opis, step_of

Case = tuple[int, list[int], float]
Range = tuple[float, float]
LEVELS = [0.0, 1e-3, 1e-2, 0.05, 0.1, 0.3, 0.5, 0.9, 1.0]


def count_pairs(similarity: NDArray[Any], labels: NDArray[Any]) -> PairCounts:
    """Counts of all ordered pairs of different rows, one pair at a time; labels are 0, 1, ..."""
    fine, coarse = np.zeros((2, FINE_STEPS), np.int64), np.zeros((2, max(labels) + 1, COARSE_STEPS), np.int32)
    steps, rough = step_of(similarity), step_of(similarity, COARSE_STEPS)
    for i, j in itertools.permutations(range(len(labels)), 2):
        kind = int(labels[i] != labels[j])
        fine[kind, steps[i, j]] += 1
        coarse[kind, labels[i], rough[i, j]] += 1
    return PairCounts(fine[0], fine[1], coarse[0], coarse[1])


def table(class_genuine: list[dict[int, int]], class_impostor: list[dict[int, int]]) -> PairCounts:
    """Counts from coarse step to pairs, one mapping per class; the fine counts sit at the same similarities."""
    coarse = np.zeros((2, len(class_genuine), COARSE_STEPS), dtype=np.int64)
    for rows, mappings in zip(coarse, (class_genuine, class_impostor), strict=True):
        for row, mapping in zip(rows, mappings, strict=True):
            row[list(mapping)] = list(mapping.values())
    fine = np.zeros((2, FINE_STEPS), dtype=np.int64)
    fine[:, :: FINE_STEPS // COARSE_STEPS] = coarse.sum(axis=1)
    return PairCounts(fine[0], fine[1], coarse[0], coarse[1])


def thresholds(steps: int) -> list[float]:
    """Similarities from which a pair is accepted: everything, the lower edges, nothing."""
    return [-math.inf, *(-1 + 2 * s / steps for s in range(1, steps)), math.inf]


def pair_values(similarity: NDArray[Any], labels: NDArray[Any], rows: list[int], genuine: bool) -> list[float]:
    """Sorted similarities of the genuine or impostor pairs that start at the rows."""
    pairs = [(i, j) for i in rows for j in range(len(labels)) if i != j and (labels[i] == labels[j]) == genuine]
    return sorted(float(similarity[pair]) for pair in pairs)


def accepted(ranked: list[float], threshold: float) -> float:
    """Share of the sorted similarities at or above a threshold."""
    return (len(ranked) - bisect.bisect_left(ranked, threshold)) / len(ranked)


def lowest(impostor: list[float], steps: int, fmr: float) -> int:
    """Number of the lowest threshold with at most that share of impostor pairs accepted."""
    return next(n for n, t in enumerate(thresholds(steps)) if accepted(impostor, t) <= fmr)


def naive_fnmr(similarity: NDArray[Any], labels: NDArray[Any], fmr: float) -> float:
    genuine, impostor = (pair_values(similarity, labels, list(range(len(labels))), kind) for kind in (True, False))
    return 1 - accepted(genuine, thresholds(FINE_STEPS)[lowest(impostor, FINE_STEPS, fmr)])


def naive_opis(similarity: NDArray[Any], labels: NDArray[Any], fmr_range: Range) -> float:
    everything = pair_values(similarity, labels, list(range(len(labels))), False)
    low, high = (lowest(everything, COARSE_STEPS, fmr) for fmr in reversed(fmr_range))
    classes = [np.flatnonzero(labels == name).tolist() for name in set(labels.tolist())]
    pairs = [[pair_values(similarity, labels, rows, genuine) for genuine in (True, False)] for rows in classes]
    squares = []
    for threshold in thresholds(COARSE_STEPS)[low : high + 1]:
        utilities = []
        for genuine, impostor in filter(all, pairs):
            phi, psi = 1 - accepted(impostor, threshold), accepted(genuine, threshold)
            utilities.append(2 * phi * psi / (phi + psi) if phi + psi else 0.0)
        squares += [(u - sum(utilities) / len(utilities)) ** 2 for u in utilities]
    return sum(squares) / len(squares)


def embedding(seed: int, sizes: list[int], spread: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Cosines between the rows of classes around random centres that spread unequally, and the labels."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    rows = rng.normal(size=(len(sizes), 4))[labels] + rng.normal(size=(len(labels), 4)) * spread * (1 + labels[:, None])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows @ rows.T, labels


CASES = [(0, [3, 4, 5, 6], 0.1), (1, [2, 2, 2, 2, 2, 2], 0.5), (2, [1, 6, 7], 0.3), (3, [5, 1, 1, 5], 2.0)]


@pytest.mark.parametrize("case", CASES)
def test_fnmr_equals_enumerated_thresholds(case: Case) -> None:
    similarity, labels = embedding(*case)
    counts = count_pairs(similarity, labels)
    for fmr in LEVELS:
        assert fnmr_at_fmr(counts, fmr) == pytest.approx(naive_fnmr(similarity, labels, fmr), abs=1e-12)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("fmr_range", [(1e-2, 1e-1), (0.0, 1.0), (0.0, 0.0), (0.2, 0.25)])
def test_opis_equals_enumerated_thresholds(case: Case, fmr_range: Range, monkeypatch: pytest.MonkeyPatch) -> None:
    similarity, labels = embedding(*case)
    counts, expected = count_pairs(similarity, labels), naive_opis(similarity, labels, fmr_range)
    for chunk in (2**20, 1000, 1):
        monkeypatch.setattr(verification, "CHUNK_VALUES", chunk)
        assert opis(counts, fmr_range) == pytest.approx(expected, abs=1e-12)


def test_steps_hold_their_lower_edge_and_clip() -> None:
    values = np.array([-1.5, -1.0, -1 + 2.0**-15, -1e-30, 0.0, np.nextafter(0.5, 0), 0.5, 1.0, 1.0000001])
    half, quarter = FINE_STEPS // 2, FINE_STEPS // 4
    expected = [0, 0, 1, half - 1, half, half + quarter - 1, half + quarter, FINE_STEPS - 1, FINE_STEPS - 1]
    assert step_of(values).tolist() == expected
    assert step_of(np.array([[0.0, 0.5]], dtype=np.float32)).tolist() == [[half, half + quarter]]
    assert step_of(values, COARSE_STEPS).tolist() == [s // (FINE_STEPS // COARSE_STEPS) for s in expected]


def test_fnmr_of_a_hand_table() -> None:
    # step      10  20  30  40
    # genuine    1   2   3   4   accepted from step 11: 9, 21: 7, 31: 4, 41: 0 of 10
    # impostor   5   3   1   1   accepted from step 11: 5, 21: 2, 31: 1, 41: 0 of 10
    counts = table([{10: 1, 20: 2, 30: 3, 40: 4}], [{10: 5, 20: 3, 30: 1, 40: 1}])
    expected = {0.0: 1.0, 0.09: 1.0, 0.1: 0.6, 0.2: 0.3, 0.49: 0.3, 0.5: 0.1, 0.99: 0.1, 1.0: 0.0}
    assert {fmr: fnmr_at_fmr(counts, fmr) for fmr in expected} == pytest.approx(expected)


def test_the_rate_itself_is_allowed_although_it_rounds() -> None:
    assert 0.29 * 100 < 29
    assert [fnmr_at_fmr(table([{30: 1}], [{20: 71, 30: 29}]), rate) for rate in (0.29, 0.2899)] == [0.0, 1.0]


def test_opis_of_a_hand_table() -> None:
    # 6 impostors at step 100, 3 at 101, 1 at 102: FMR .4 at threshold 101, .1 at 102, 0 at 103; accepted there
    #  101: class 0 2/2 genuine, 2/5 impostors, U = 2 * .6 * 1 / 1.6 = .75; class 1 1/2, 2/5, U = .6 / 1.1 = 6/11
    #  102: class 0 2/2, 0/5, U = 1; class 1 0/2, 1/5, U = 0        103: class 0 1/2, 0/5, U = 2/3; class 1 U = 0
    counts = table([{102: 1, 500: 1}, {7: 1, 101: 1}], [{100: 3, 101: 2}, {100: 3, 101: 1, 102: 1}])
    assert opis(counts, (0.1, 0.4)) == pytest.approx((((0.75 - 6 / 11) / 2) ** 2 + 0.25) / 2)
    assert opis(counts, (0.1, 0.1)) == pytest.approx(0.25)
    assert opis(counts, (0.0, 0.1)) == pytest.approx((0.25 + 1 / 9) / 2)


def test_a_class_without_genuine_pairs_is_left_out_but_its_impostors_count_overall() -> None:
    full = table([{102: 2}, {101: 2}, {}], [{100: 2}, {100: 2}, {102: 16}])
    # FMR .8 at thresholds 101 (the utilities are 1 and 1) and 102 (1 and 0), 0 at 103 (0 and 0)
    assert [opis(full, (0.5, fmr)) for fmr in (0.5, 0.8)] == pytest.approx([0.0, 0.25 / 3])


def test_perfect_separation_none_and_identical_classes() -> None:
    labels = np.repeat(np.arange(4), 3)
    counts = count_pairs((labels[:, None] == labels).astype(float), labels)
    assert [fnmr_at_fmr(counts, fmr) for fmr in LEVELS] == [0.0] * len(LEVELS)
    assert opis(counts) == 0.0
    collapsed = count_pairs(np.ones((12, 12)), labels)  # only the threshold above all steps refuses impostors
    assert (fnmr_at_fmr(collapsed, 0.5), fnmr_at_fmr(collapsed, 1.0), opis(collapsed)) == (1.0, 0.0, 0.0)
    identical = table([{900: 3, 1200: 4}] * 3, [{300: 5, 1000: 1, 1300: 1}] * 3)
    assert opis(identical, (0.0, 1.0)) == pytest.approx(0.0, abs=1e-30)


def test_nothing_to_measure() -> None:
    for counts in (table([{5: 3}], [{}]), table([{}, {}], [{5: 3}, {5: 3}]), table([], [])):
        assert np.isnan(fnmr_at_fmr(counts, 0.1))
        assert np.isnan(opis(counts))


def test_counts_beyond_32_bits() -> None:
    assert fnmr_at_fmr(table([{1000: 10**12, 1100: 3 * 10**12}], [{1050: 10**12}]), 0.4) == 0.25
    few = np.tri(2, COARSE_STEPS, 1000, dtype=np.int32)[:, ::-1]
    small, large = (opis(PairCounts(few[0], few[0], few * n, few[::-1] * n)) for n in (1, 2**31 - 1))
    assert large == pytest.approx(small)


@pytest.mark.parametrize("rates", [(-0.1, 0.1), (0.0, 1.1), (0.2, 0.1), (np.nan, 0.1)])
def test_rates_are_checked(rates: Range) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        opis(table([{5: 3}], [{5: 3}]), rates)
    with pytest.raises(UsageError, match="between 0 and 1"):
        fnmr_at_fmr(table([], []), rates[0] - 0.5)


histograms = st.lists(
    st.tuples(*[st.dictionaries(st.integers(0, COARSE_STEPS - 1), st.integers(0, 9), max_size=6)] * 2), max_size=5
)


@settings(max_examples=60, deadline=None)
@given(histograms, st.lists(st.floats(0, 1), min_size=2, max_size=8).map(sorted))
def test_bounds_and_direction(classes: list[tuple[dict[int, int], dict[int, int]]], rates: list[float]) -> None:
    counts = table([genuine for genuine, _ in classes], [impostor for _, impostor in classes])
    fnmr = [fnmr_at_fmr(counts, rate) for rate in rates]
    assert np.isnan(fnmr).all() or (fnmr[0] <= 1 and fnmr[-1] >= 0 and (np.diff(fnmr) <= 0).all())
    assert np.isnan(fnmr).any() == (not (counts.genuine.any() and counts.impostor.any()))
    assert np.isnan(score := opis(counts, (rates[0], rates[-1]))) or 0 <= score <= 0.25 + 1e-15
