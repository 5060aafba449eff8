from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_metrics import naive_f1

from oodml.metrics.clustering import ami, nmi, pair_f1

Partitions = list[tuple[int, int]]
partitions = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=30)
INTS = np.int64


def entropy(counts: Counter[int] | Counter[tuple[int, int]]) -> float:
    n = sum(counts.values())
    return -math.fsum(c / n * math.log(c / n) for c in counts.values())


def naive_nmi(rows: Partitions) -> float:
    first, second = entropy(Counter(a for a, _ in rows)), entropy(Counter(b for _, b in rows))
    if not first and not second:
        return 1.0
    return (first + second - entropy(Counter(rows))) / ((first + second) / 2)


def expected_information(first: list[int], second: list[int]) -> float:
    """Mean mutual information of two partitions with these sizes, over all ways to draw them."""
    n, total = sum(first), 0.0
    for a in first:
        for b in second:
            for both in range(max(1, a + b - n), min(a, b) + 1):
                share = math.comb(b, both) * math.comb(n - b, a - both) / math.comb(n, a)
                total += share * both / n * math.log(n * both / (a * b))
    return total


def naive_ami(rows: Partitions) -> float:
    first, second = Counter(a for a, _ in rows), Counter(b for _, b in rows)
    if len(first) == len(second) == 1 or len(first) == len(second) == len(rows):
        return 1.0
    information = entropy(first) + entropy(second) - entropy(Counter(rows))
    chance = expected_information(list(first.values()), list(second.values()))
    return (information - chance) / ((entropy(first) + entropy(second)) / 2 - chance)


@settings(max_examples=60, deadline=None)
@given(partitions)
def test_agreement_equals_the_naive_one(rows: Partitions) -> None:
    classes, clusters = np.array(rows, INTS).T
    assert pair_f1(classes, clusters) == pytest.approx(naive_f1(classes.tolist(), clusters.tolist()), abs=1e-12)
    assert nmi(classes, clusters) == pytest.approx(naive_nmi(rows), abs=1e-9)
    if len(set(classes.tolist())) > 1:
        assert ami(classes, clusters) == pytest.approx(naive_ami(rows), abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(partitions, st.permutations(range(5)))
def test_names_of_clusters_do_not_matter_and_f1_is_symmetric(rows: Partitions, names: list[int]) -> None:
    classes, clusters = np.array(rows, INTS).T
    for agreement in (nmi, ami, pair_f1):
        renamed = np.array(names, INTS)[clusters]
        assert agreement(classes, renamed) == pytest.approx(agreement(classes, clusters), abs=1e-9)
    assert pair_f1(clusters, classes) == pytest.approx(pair_f1(classes, clusters), abs=1e-12)


def test_hand_table() -> None:
    # class pairs: 2 x 3 = 6; cluster pairs: 6 + 1 = 7; within both: 3 + 1 = 4
    classes, clusters = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 0, 0, 1, 1])
    assert pair_f1(classes, clusters) == pytest.approx(8 / 13)
    # mutual information ln 2 - (4/6) H(3/4), over the mean of ln 2 and H(4/6)
    inner = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    outer = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))
    assert nmi(classes, clusters) == pytest.approx((math.log(2) - 2 / 3 * inner) / ((math.log(2) + outer) / 2))


def test_extremes() -> None:
    classes = np.repeat(np.arange(4), 5)
    apart, together = np.arange(20), np.zeros(20, INTS)
    for agreement in (nmi, ami, pair_f1):
        assert agreement(classes, (classes + 1) % 4) == pytest.approx(1.0)
    assert pair_f1(classes, apart) == 0.0
    assert pair_f1(apart, apart[::-1].copy()) == 1.0
    assert pair_f1(classes, together) == pytest.approx(2 * 40 / (40 + 190))
    assert nmi(classes, together) == ami(classes, together) == pytest.approx(0.0, abs=1e-12)


def test_f1_counts_more_pairs_than_32_bits_hold() -> None:
    classes = np.arange(200_000) % 2
    assert pair_f1(classes, np.zeros(200_000, INTS)) == pytest.approx(2 / 3, abs=1e-5)
