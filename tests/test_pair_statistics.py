"""What is gathered from tiles of cosines, against a count pair by pair."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_metrics import naive_other
from ranked import side

from oodml import pair_statistics
from oodml.metrics.verification import COARSE_STEPS, FINE_STEPS, PairCounts
from oodml.pair_statistics import Uniformity, Verification
from oodml.ranking.layout import by_class
from oodml.ranking.search import Engine

TILES = [(30, 30), (1, 30), (7, 11)]


def layout_of(classes: Any) -> Any:
    return by_class(np.unique(classes, return_inverse=True)[1])[0]


def naive_counts(similar: Any, group: Any) -> PairCounts:
    fine, coarse = np.zeros((2, FINE_STEPS), np.int64), np.zeros((2, max(group) + 1, COARSE_STEPS), np.int64)
    for i, j in permutations(range(len(group)), 2):
        kind, cosine = int(group[i] == group[j]), float(similar[i, j])
        for table, steps in ((fine[kind], FINE_STEPS), (coarse[kind, group[i]], COARSE_STEPS)):
            table[min(max(math.floor((cosine + 1) * steps / 2), 0), steps - 1)] += 1
    return PairCounts(fine[1], fine[0], coarse[1], coarse[0])


def assert_equal(found: PairCounts, expected: PairCounts) -> None:
    for name in ("genuine", "impostor", "class_genuine", "class_impostor"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)


def symmetric_matrix(n: int, seed: int = 0) -> Any:
    """Cosines in steps of 1/1024, so that sums with 1 are exact, on and beyond the borders too."""
    half = np.random.default_rng(seed).integers(-1026, 1027, (n, n)) / 1024
    return np.triu(half) + np.triu(half, 1).T


def show(see: Any, similar: Any, height: int, width: int, mirrored: bool) -> None:
    """Tiles of the whole matrix, or of its upper half where a tile stands for its mirror image as well."""
    n, tiles = len(similar), torch.tensor(similar, dtype=torch.float32)
    for a in range(0, n, height):
        for b in range(a if mirrored else 0, n, width):
            rows, columns = slice(a, min(n, a + height)), slice(b, min(n, b + width))
            see(tiles[rows, columns], rows, columns, mirrored and a != b)


@pytest.mark.parametrize(("rows", "columns"), [(256, 4096), (3, 5)])
@pytest.mark.parametrize(("height", "width", "mirrored"), [*((*t, False) for t in TILES), (8, 8, True), (4, 4, True)])
def test_counts_equal_the_naive_ones_for_every_tile(
    height: int, width: int, mirrored: bool, rows: int, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair_statistics, "ROWS", rows)
    monkeypatch.setattr(pair_statistics, "COLUMNS", columns)
    layout = layout_of(np.repeat([0, 1, 2, 3], [12, 1, 9, 8]))
    similar = symmetric_matrix(30)
    verification, uniformity = Verification(layout), Uniformity()
    for statistic in (verification, uniformity):
        show(statistic.see, similar, height, width, mirrored)
    assert_equal(verification.counts(), naive_counts(similar, layout.group))
    mean = np.mean([math.exp(4 * similar[i, j] - 4) for i, j in permutations(range(30), 2)])
    assert uniformity.value() == pytest.approx(min(0.0, math.log(mean)), rel=1e-6)


def test_tiles_are_left_as_they_are() -> None:
    similar = torch.rand(9, 9)
    before = similar.clone()
    Uniformity().see(similar, slice(0, 9), slice(0, 9), False)
    Verification(layout_of([0] * 4 + [1] * 5)).see(similar, slice(0, 9), slice(0, 9), False)
    assert torch.equal(similar, before)


@pytest.mark.parametrize("budget", [1000, 10**4, 2**30])
@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize("rank", [False, True])
def test_the_engine_shows_every_pair_once(budget: int, copies: bool, rank: bool) -> None:
    # rows of four signs: every cosine is a multiple of 1/2, exact
    rng = np.random.default_rng(1)
    rows = rng.choice([-1, 1], (40, 4)) if copies else np.unique(rng.choice([-1, 0, 1], (90, 4)), axis=0)
    rows = rows[(rows**2).sum(axis=1) == (4 if copies else 1)] if copies else rows[(rows**2).sum(axis=1) == 1]
    labels = rng.integers(0, 4, len(rows))
    labels[:2] = [0, 0]
    given_ = side(rows, labels)
    layout = by_class(given_.classes)[0]
    verification, uniformity = Verification(layout), Uniformity()

    def see(*tile: Any) -> None:
        verification.see(*tile)
        uniformity.see(*tile)

    engine = Engine("cosine", "cpu", budget)
    if rank:
        list(engine.within(given_, see))
    else:
        engine.watch_pairs(given_, see)
    placed = rows[layout.order]
    similar = placed @ placed.T / (placed[0] ** 2).sum()
    assert_equal(verification.counts(), naive_counts(similar, layout.group))
    assert uniformity.value() == pytest.approx(naive_other("uniformity", rows, labels.tolist()), rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 25), st.sampled_from([100, 2000, 2**30]))
def test_uniformity_equals_that_of_explicit_pairs(seed: int, n: int, budget: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(n, 3)) + 0.3
    found = Uniformity()
    Engine("cosine", "cpu", budget).watch_pairs(side(rows, [0] * n), found.see)
    assert found.value() == pytest.approx(naive_other("uniformity", rows, [0] * n), rel=1e-5, abs=1e-6)


def test_uniformity_of_opposite_rows_keeps_its_digits_and_its_bounds() -> None:
    for rows, expected in (([[0.3, 0.2], [-0.3, -0.2]], -8.0), ([[0.1, 0.7]] * 9, 0.0)):
        found = Uniformity()
        Engine().watch_pairs(side(rows, [0] * len(rows)), found.see)
        assert -8 <= found.value() <= 0
        assert found.value() == pytest.approx(expected, abs=1e-5)
    assert math.isnan(Uniformity().value())


def test_a_class_without_pairs_of_its_own_has_zeros() -> None:
    layout = layout_of([0, 1, 2])
    found = Verification(layout)
    found.see(torch.zeros(3, 3), slice(0, 3), slice(0, 3), False)
    counts = found.counts()
    assert counts.class_genuine.sum() == counts.genuine.sum() == 0
    assert counts.class_impostor.sum(axis=1).tolist() == [2, 2, 2]
    assert counts.impostor[FINE_STEPS // 2] == 6
