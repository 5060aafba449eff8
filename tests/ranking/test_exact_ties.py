"""Rows of few bits tie in masses: their ranks against a ranking in whole numbers and fractions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_metrics import exact_cosine, rank_bounds
from ranked import ByQuery, naive_ranks, ranks_within, rowwise, symmetric

DIMENSIONS = [3, 8, 12, 32, 64, 100]


def bits(seed: int, d: int, n: int, share: float, low: int) -> Any:
    rows = np.where(np.random.default_rng(seed).random((n, d)) < share, 1, low)
    rows[~rows.any(axis=1), 0] = 1
    return rows


def unlike(rows: Any) -> Any:
    """The rows without those that are a multiple of an earlier one."""
    seen: dict[tuple[int, ...], int] = {}
    for number, row in enumerate(rows // np.gcd.reduce(rows, axis=1)[:, None]):
        seen.setdefault(tuple(row.tolist()), number)
    return rows[sorted(seen.values())]


def assert_as_exact(found: ByQuery, rows: Any, labels: list[int]) -> None:
    """By exact cosines; equal ones of rows of different length may come in either order."""
    listed = rows.astype(int).tolist()
    length = [sum(v * v for v in row) for row in listed]
    for query, label in enumerate(labels):
        others = [j for j in range(len(labels)) if j != query]
        own = [j for j in others if labels[j] == label]
        assert (query in found) == bool(own)
        if own:
            exact = {j: exact_cosine(listed[query], listed[j]) for j in others}
            bounds = rank_bounds(exact.__getitem__, length.__getitem__, own, others)
            assert (bounds[:, 0] <= found[query]).all() and (found[query] <= bounds[:, 1]).all(), query


bit_rows = st.builds(
    bits,
    st.integers(0, 2**32 - 1),
    st.sampled_from(DIMENSIONS),
    st.integers(2, 28),
    st.sampled_from([0.1, 0.5, 0.9]),
    st.sampled_from([-1, 0]),
)


@settings(max_examples=40, deadline=None)
@given(bit_rows, st.sampled_from([np.int8, np.float16, np.float64]), st.sampled_from([1500, 2**30]), st.integers(1, 6))
def test_one_bit_embeddings_rank_by_exact_cosine_then_row_number(
    rows: Any, dtype: Any, budget: int, classes: int
) -> None:
    labels = (np.arange(len(rows)) * 7 // 3 % classes).tolist()
    assert_as_exact(ranks_within(rows.astype(dtype), labels, budget=budget), rows, labels)


@settings(max_examples=25, deadline=None)
@given(bit_rows, st.integers(1, 4), st.integers(1, 9))
def test_both_ways_agree_where_similarities_tie(rows: Any, classes: int, tile: int) -> None:
    rows = unlike(rows)
    labels = (np.arange(len(rows)) % classes).tolist()
    by_tiles, by_rows = symmetric(rows, labels, tile), rowwise(rows, labels, 700 * tile)
    assert by_tiles == by_rows
    assert_as_exact(by_tiles, rows, labels)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int8])
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_bits_of_any_type_rank_by_hamming_distance(dtype: Any, distance: str) -> None:
    # 16 of 32 bits are set in every row, so that Hamming distance orders like both
    rng = np.random.default_rng(3)
    rows = np.array([rng.permutation(np.arange(32) < 16) for _ in range(50)])
    hamming = (rows[:, None] ^ rows).sum(axis=2)
    labels = rng.integers(0, 5, 50).tolist()
    assert ranks_within(rows.astype(dtype), labels, distance) == naive_ranks((-hamming).tolist(), labels)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(DIMENSIONS), st.sampled_from([1, 3, 9, 100]), st.integers(-40, 40))
def test_whole_numbers_rank_by_exact_euclidean_distance(seed: int, d: int, most: int, power: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.integers(-most, most + 1, (25, d))
    squared = ((rows[:, None] - rows) ** 2).sum(axis=2)
    labels = rng.integers(0, 4, 25).tolist()
    assert ranks_within(rows * 2.0**power, labels, "euclidean") == naive_ranks((-squared).tolist(), labels)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([3, 8, 32, 64]), st.sampled_from([2, 7, 127]))
def test_rows_of_equal_length_and_whole_numbers_tie_exactly(seed: int, d: int, most: int) -> None:
    # permutations of one row with some signs turned: one length, and dot products that often agree
    rng = np.random.default_rng(seed)
    first = rng.integers(-most, most + 1, d)
    first[0] = most
    rows = np.array([rng.permutation(first) * rng.choice([-1, 1], d) for _ in range(24)]).astype(np.int8)
    dots = rows.astype(int) @ rows.T.astype(int)
    labels = rng.integers(0, 4, 24).tolist()
    assert ranks_within(rows, labels) == naive_ranks(dots.tolist(), labels)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("budget", [1, 20_000, 40_000, 2**30])  # kernels differ by the number of queries at a time
@pytest.mark.parametrize(("half", "d"), [(33, 64), (67, 17), (101, 256), (52, 3)])
def test_exact_copies_tie_although_matrix_products_round_the_last_columns_differently(
    half: int, d: int, budget: int, distance: str
) -> None:
    # every row twice, in two classes: the query's copy is nearest, then come pairs of copies, the lower number first
    rng = np.random.default_rng(half)
    rows = rng.normal(size=(half, d)).astype(np.float32)
    order = rng.permutation(2 * half)
    labels = np.repeat([0, 1], half)[order]
    place = np.argsort(order)
    copy_of = place[(order + half) % (2 * half)]
    found = ranks_within(np.concatenate([rows, rows])[order], labels, distance, budget)
    for query, ranks in found.items():
        assert [rank // 2 for rank in ranks] == list(range(1, half))
        own = [p for p in range(2 * half) if labels[p] == labels[query] and p != query]
        assert sum(rank % 2 == 0 for rank in ranks) == sum(p < copy_of[p] for p in own)


def test_copies_of_any_length_tie_under_cosine() -> None:
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(30, 7))
    rows[20:] = rows[5:15] * rng.choice([0.25, 2.0, 1024.0], (10, 1))
    labels = rng.integers(0, 3, 30).tolist()
    source = np.where(np.arange(30) < 20, np.arange(30), np.arange(30) - 15)
    unit = rows[source] / np.linalg.norm(rows[source], axis=1, keepdims=True)
    similar = np.array([[float(np.sum(a * b)) for b in unit] for a in unit])
    assert ranks_within(rows, labels) == naive_ranks(similar.tolist(), labels)


def test_a_collapsed_embedding_ranks_by_row_number() -> None:
    labels = [0, 1, 1, 0, 1]
    for distance in ("cosine", "euclidean"):
        found = ranks_within(np.full((5, 3), 0.3), labels, distance)
        assert found == naive_ranks(np.ones((5, 5)).tolist(), labels)
        assert found[0] == [3]


def test_minus_zero_is_zero() -> None:
    rows = np.array([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.3], [0.0, 1.0], [1.0, -0.0]])
    labels = [0, 1, 0, 0, 1]
    assert ranks_within(rows, labels) == ranks_within(rows + 0.0, labels)
