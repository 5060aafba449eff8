from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from oodml.errors import DatasetError
from oodml.metrics import retrieval
from oodml.metrics.retrieval import QueryScores, map_at_r, query_scores, recall_at, unit_rows

GOLDEN = Path(__file__).parents[1] / "golden" / "retrieval_reference.npz"


def naive(similarity: NDArray[Any], labels: NDArray[Any]) -> dict[int, tuple[int, float]]:
    """Row of every query -> (rank of the first hit, average precision at R), by loops over sorted rows."""
    found = {}
    n = len(labels)
    for i in range(n):
        gallery = sorted((j for j in range(n) if j != i), key=lambda j: (-similarity[i, j], j))
        hits = [labels[j] == labels[i] for j in gallery]
        if any(hits):
            r = sum(hits)
            precisions = [sum(hits[: k + 1]) / (k + 1) for k in range(r) if hits[k]]
            found[i] = (hits.index(True) + 1, sum(precisions) / r)
    return found


def assert_equals_naive(scores: QueryScores, similarity: NDArray[Any], labels: NDArray[Any], depth: int) -> None:
    expected = naive(similarity, labels)
    assert scores.queries.tolist() == sorted(expected)
    assert scores.num_lone == len(labels) - len(expected)
    assert scores.num_classes == len(set(labels.tolist()))
    for row, first, precision in zip(scores.queries.tolist(), scores.first_hit, scores.average_precision, strict=True):
        assert precision == pytest.approx(expected[row][1], abs=1e-12)
        # beyond the depth a rank may read "too deep"; up to it, it is exact
        assert first == expected[row][0] or min(first, expected[row][0]) > depth


# Vectors of 4 or 16 signs have length 2 or 4: float32 holds every cosine exactly, and ties abound.
signs = st.integers(2, 30).flatmap(
    lambda n: st.tuples(
        st.sampled_from([4, 16]).flatmap(
            lambda d: hnp.arrays(np.float32, (n, d), elements=st.sampled_from([-1.0, 1.0]))
        ),
        hnp.arrays(np.int64, n, elements=st.integers(0, 5)),
        st.integers(1, 12),
    )
)


@settings(max_examples=80, deadline=None)
@given(signs)
def test_ties_and_duplicates_equal_the_naive_ranking(
    case: tuple[NDArray[np.float32], NDArray[np.int64], int],
) -> None:
    embeddings, labels, depth = case
    scores = query_scores(embeddings, labels, depth)
    assert_equals_naive(scores, embeddings @ embeddings.T, labels, depth)


@pytest.mark.parametrize("sizes", [[2, 2], [1, 1, 3], [40, 2, 1, 7], [20] * 6, [1, 90, 3, 3]])
@pytest.mark.parametrize("block", [1, 300, 2**23])
def test_random_vectors_equal_the_naive_ranking(sizes: list[int], block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "BLOCK_VALUES", block)
    rng = np.random.default_rng(len(sizes))
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    embeddings = rng.normal(size=(len(labels), 7)) + labels[:, None] % 3
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    assert_equals_naive(query_scores(embeddings, labels, 4), unit @ unit.T, labels, 4)


def test_hand_table() -> None:
    # angles in degrees: a 0, a 10, b 12, a 40, b 90, c 180; neighbours by angle
    #  row 0 (a, R=2): 1 a, 2 b            first 1, AP (1/1) / 2 = .5
    #  row 1 (a, R=2): 2 b, 0 a            first 2, AP (1/2) / 2 = .25
    #  row 2 (b, R=1): 1 a; then 0, 3, 4   first 4, AP 0
    #  row 3 (a, R=2): 2 b, 1 a            first 2, AP (1/2) / 2 = .25
    #  row 4 (b, R=1): 3 a; then 2         first 2, AP 0
    #  row 5 (c): lone
    angles = np.radians([0, 10, 12, 40, 90, 180])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    scores = query_scores(embeddings, np.array(list("aababc")), depth=4)
    assert scores.queries.tolist() == [0, 1, 2, 3, 4]
    assert scores.first_hit.tolist() == [1, 2, 4, 2, 2]
    np.testing.assert_allclose(scores.average_precision, [0.5, 0.25, 0, 0.25, 0])
    assert [recall_at(scores, k) for k in (1, 2, 3, 4)] == [0.2, 0.8, 0.8, 1.0]
    assert map_at_r(scores) == pytest.approx(0.2)
    assert (scores.num_lone, scores.num_classes) == (1, 3)


def test_a_collapsed_embedding_ranks_by_row_number() -> None:
    # every similarity ties: the neighbours of a row are rows 0, 1, 2, ... without itself
    labels = np.array([0, 1, 1, 0, 1])
    scores = query_scores(np.full((5, 3), 0.3), labels)
    assert_equals_naive(scores, np.ones((5, 5)), labels, 8)
    assert scores.first_hit.tolist() == [3, 2, 2, 1, 2]


def test_exact_duplicates_tie_although_matrix_products_round_them_differently() -> None:
    rng = np.random.default_rng(0)
    half = rng.normal(size=(201, 64)).astype(np.float32)
    embeddings = np.concatenate([half, half])
    labels = rng.integers(0, 40, len(embeddings))
    unit = unit_rows(half)
    similarity = np.tile(unit.astype(np.float64) @ unit.T.astype(np.float64), (2, 2))
    assert_equals_naive(query_scores(embeddings, labels, 8), similarity, labels, 8)


def test_a_duplicate_in_another_class_is_a_neighbour_and_the_query_is_not() -> None:
    # row 0 (class 0) finds 1, 3, 2; row 1 (class 1) 0, 3, 2; row 2 (class 0) 3, then 0 before 1, which tie;
    # row 3 (class 1) 2, 0, 1
    embeddings = np.array([[1.0, 0], [1, 0], [0, 1], [0.1, 1]])
    assert query_scores(embeddings, np.array([0, 1, 0, 1])).first_hit.tolist() == [3, 2, 2, 3]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(-20, 20))
def test_rows_may_be_permuted_and_scaled(seed: int, power: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 8, 60)
    embeddings = rng.normal(size=(60, 5)) + labels[:, None]
    order = rng.permutation(60)
    plain = query_scores(embeddings, labels)
    moved = query_scores(embeddings[order] * 2.0**power, labels[order])
    assert map_at_r(moved) == pytest.approx(map_at_r(plain), abs=1e-12)
    for k in (1, 2, 4, 8):
        assert recall_at(moved, k) == pytest.approx(recall_at(plain, k), abs=1e-12)


def test_published_recall_is_reproduced() -> None:
    # the published recall keeps lone queries as misses in the denominator: n times ours over the queries
    golden = np.load(GOLDEN)
    scores = query_scores(golden["embeddings"], golden["labels"])
    share = len(scores.queries) / len(golden["labels"])
    for k in (1, 2, 4, 8):
        assert recall_at(scores, k) * share == pytest.approx(float(golden[f"recall_at_{k}"]), abs=1e-12)


def test_perfect_clusters_score_one() -> None:
    labels = np.repeat(np.arange(6), 5)
    scores = query_scores(np.eye(6)[labels] + 0.01, labels)
    assert recall_at(scores, 1) == 1.0
    assert map_at_r(scores) == 1.0


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1.0, 1e30, 1e300])
def test_unit_rows_survive_any_scale(scale: float) -> None:
    unit = unit_rows(np.array([[3.0, 4.0], [-4.0, 0.0]]) * scale)
    assert unit.dtype == np.float32
    np.testing.assert_allclose(unit, [[0.6, 0.8], [-1.0, 0.0]], rtol=1e-6)


def test_a_zero_row_is_named_also_beyond_the_first_chunk() -> None:
    embeddings = np.ones((9, 2))
    embeddings[7] = 0
    with pytest.raises(DatasetError, match="row 7 is all zeros"):
        unit_rows(embeddings, chunk=4)
