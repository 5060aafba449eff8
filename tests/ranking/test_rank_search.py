"""Ranks in a gallery, under every distance, and where chosen rows are queries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from naive_metrics import cosines, euclidean
from ranked import by_query, naive_ranks, ranks_within, side

from oodml.errors import DatasetError
from oodml.ranking import rowwise as rowwise_module
from oodml.ranking.search import Engine, Side

RNG = np.random.default_rng(7)


def manhattan(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return -torch.cdist(x, y, p=1)


def lopsided(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """How far x lies above y: the distance of (x, y) says nothing about that of (y, x)."""
    return -(x[:, None] - y).clamp(min=0).sum(dim=2)


def loop(function: Any, x: Any, y: Any) -> list[list[float]]:
    return [[float(function(torch.tensor(a)[None], torch.tensor(b)[None])) for b in y] for a in x]


def between(queries: Any, labels: Any, gallery: Any, stored: Any, distance: Any, budget: int = 2**30) -> Any:
    both = side(np.concatenate([queries, gallery]), [*labels, *stored])
    split = len(labels)
    sides = [
        Side(v, np.arange(len(v)), c) for v, c in ((queries, both.classes[:split]), (gallery, both.classes[split:]))
    ]
    return by_query(Engine(distance, "cpu", budget).between(sides[0], sides[1]))


@pytest.mark.parametrize("budget", [1, 3000, 2**30])
@pytest.mark.parametrize(("distance", "naive"), [("cosine", cosines), ("euclidean", euclidean)])
def test_queries_find_their_classes_in_another_set(
    distance: str, naive: Any, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rowwise_module, "WIDTH", 11)
    queries, gallery = RNG.normal(size=(14, 5)), RNG.normal(size=(33, 5))
    labels, stored = RNG.integers(0, 7, 14).tolist(), RNG.integers(2, 6, 33).tolist()
    labels[:2] = [0, 99]  # first and last of all classes, and not in the gallery
    found = between(queries, labels, gallery, stored, distance, budget)
    assert found == naive_ranks(naive(queries, gallery), labels, stored)
    assert 0 not in found and 1 not in found


def test_a_copy_of_the_query_in_the_gallery_is_a_neighbour() -> None:
    rows = RNG.normal(size=(12, 4))
    labels = [0, 1, 2] * 4
    found = between(rows, labels, rows.copy(), labels, "cosine")
    assert found == naive_ranks(cosines(rows, rows), labels, labels)
    assert all(ranks[0] == 1 and len(ranks) == 4 for ranks in found.values())
    assert all(len(ranks) == 3 for ranks in ranks_within(rows, labels).values())


def test_copies_within_a_gallery_tie() -> None:
    half, queries = RNG.normal(size=(35, 9)), RNG.normal(size=(6, 9))
    stored = [0] * 35 + [1] * 35
    found = between(queries, [0, 1] * 3, np.concatenate([half, half]), stored, "cosine")
    assert found == {query: list(range(1 + query % 2, 71, 2)) for query in range(6)}


@pytest.mark.parametrize("distance", [manhattan, lopsided])
@pytest.mark.parametrize("budget", [1, 2**30])
def test_a_function_can_be_the_distance(distance: Any, budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rowwise_module, "WIDTH", 7)
    rows = RNG.integers(-5, 6, (26, 3)).astype(np.float32)  # exact, with ties and copies
    labels = RNG.integers(0, 4, 26).tolist()
    assert ranks_within(rows, labels, distance, budget) == naive_ranks(loop(distance, rows, rows), labels)
    queries = RNG.integers(-5, 6, (9, 3)).astype(np.float32)
    found = between(queries, labels[:9], rows, labels, distance, budget)
    assert found == naive_ranks(loop(distance, queries, rows), labels[:9], labels)


def test_a_network_can_be_the_distance() -> None:
    network = torch.nn.Bilinear(4, 4, 1)

    def score(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        q, g = len(x), len(y)
        pairs = network(x.repeat_interleave(g, 0), y.repeat(q, 1)).view(q, g)
        assert isinstance(pairs, torch.Tensor)
        return pairs

    rows = RNG.normal(size=(12, 4)).astype(np.float32)
    labels = [0, 1, 2] * 4
    assert ranks_within(rows, labels, score) == naive_ranks(
        score(torch.tensor(rows), torch.tensor(rows)).tolist(), labels
    )


@pytest.mark.parametrize(
    ("distance", "message"),
    [
        (lambda x, y: (x @ y.t())[:, :-1], r"5 by 5 rows .* got the shape \(5, 4\)$"),
        (lambda x, y: x @ y.t() * torch.nan, "values that are not finite"),
        (lambda x, y: x @ y.t() * torch.inf, "values that are not finite"),
        (lambda x, y: (x @ y.t()).numpy(), "should return a torch tensor, got ndarray"),
        (lambda x, y: None, "should return a torch tensor, got NoneType"),
    ],
)
def test_a_distance_that_returns_something_else_is_refused(distance: Any, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        ranks_within(RNG.normal(size=(5, 3)), [0, 0, 1, 1, 1], distance)


def test_chosen_rows_can_be_the_queries() -> None:
    rows, labels = RNG.normal(size=(25, 4)), RNG.integers(0, 6, 25).tolist()
    only = np.array([3, 20, 11])
    everything = ranks_within(rows, labels)
    found = by_query(Engine().within(side(rows, labels), only=only))
    assert found == {query: everything[query] for query in (3, 11, 20)}


def test_euclidean_ranks_hold_far_from_the_origin() -> None:
    rows = (RNG.normal(size=(90, 6)) + 1000).astype(np.float32)
    labels = RNG.integers(0, 12, 90).tolist()
    assert ranks_within(rows, labels, "euclidean") == naive_ranks(euclidean(rows), labels)
