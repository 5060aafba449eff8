"""Square tiles and row by row: the same ranks as the naive ranking, whatever the sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from naive_metrics import cosines, euclidean
from ranked import naive_ranks, ranks_within, rowwise, side, symmetric

from oodml import directions
from oodml.ranking import positives
from oodml.ranking import rows as rows_module
from oodml.ranking import rowwise as rowwise_module
from oodml.ranking.rowwise import Rowwise
from oodml.ranking.search import Engine
from oodml.ranking.symmetric import SymmetricRanks

SIZES = [[2, 2], [1, 1, 3], [20, 2, 1, 7], [5] * 8, [1, 30, 3, 3], [33], [1] * 9 + [2]]
NAIVE = {"cosine": cosines, "euclidean": euclidean}


def scattered(sizes: list[int], d: int = 6) -> tuple[Any, Any]:
    rng = np.random.default_rng(sum(sizes))
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return rng.normal(size=(len(labels), d)) + labels[:, None] % 3, labels


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("sizes", SIZES)
def test_tiles_of_every_size_give_the_naive_ranks(
    sizes: list[int], distance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, labels = scattered(sizes)
    expected = naive_ranks(NAIVE[distance](x), labels.tolist())
    least = 1 if len(x) < 15 else 4
    for tile, band, keep in [(least, 1, True), (5, 3, False), (7, 256, True), (len(x), 4, True), (99, 5, False)]:
        monkeypatch.setattr(positives, "BAND", band)
        assert symmetric(x, labels, tile, distance, keep=keep) == expected, (tile, band)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("sizes", SIZES)
def test_rows_in_blocks_of_every_size_give_the_naive_ranks(
    sizes: list[int], distance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, labels = scattered(sizes)
    expected = naive_ranks(NAIVE[distance](x), labels.tolist())
    least = 1 if len(x) < 15 else 5
    for width, budget, values, keep in [
        (least, 1, 1, True),
        (7, 4000, 30, False),
        (8, 10**9, 10**6, True),
        (4096, 3000, 90, True),
    ]:
        monkeypatch.setattr(rowwise_module, "WIDTH", width)
        monkeypatch.setattr(positives, "BAND_VALUES", values)
        assert rowwise(x, labels, budget, distance, keep=keep) == expected, (width, budget)


@pytest.mark.parametrize("chunk", [1, 4, 7])
def test_reading_in_chunks_changes_nothing(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels = scattered([20, 2, 1, 7])
    x[5], x[17] = x[2], 2 * x[2]  # copies in different chunks
    expected = ranks_within(x, labels)
    for module in (directions, rows_module):
        monkeypatch.setattr(module, "CHUNK", chunk)
    assert ranks_within(x, labels) == expected
    assert ranks_within(x, labels, budget=100) == expected  # too little to keep the rows


@pytest.mark.parametrize("budget", [1, 1000, 5000, 10**5])
def test_memory_chooses_the_way_and_not_the_ranks(budget: int) -> None:
    x, labels = scattered([20, 2, 1, 7])
    assert ranks_within(x, labels, budget=budget) == naive_ranks(cosines(x), labels.tolist())


def ways_taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    taken: list[str] = []
    ways: list[tuple[str, Any]] = [("tiles", SymmetricRanks), ("rows", Rowwise)]
    for name, way in ways:

        def run(self: Any, progress: Any = None, name: str = name, real: Any = way.run) -> Any:
            taken.append(name)
            return real(self, progress)

        monkeypatch.setattr(way, "run", run)
    return taken


def test_tiles_are_taken_unless_rows_repeat_positives_are_many_or_the_distance_is_a_function(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = ways_taken(monkeypatch)
    x, labels = scattered([20, 2, 1, 7])
    repeated = x.copy()
    repeated[3] = repeated[9]
    for values, distance, budget in (
        (x, "cosine", 2**30),
        (x, "euclidean", 2**30),
        (repeated, "cosine", 2**30),
        (x, "cosine", 30 * 20 * 24),
        (x, lambda a, b: a @ b.t(), 2**30),
    ):
        ranks_within(values, labels, distance, budget)
    assert taken == ["tiles", "tiles", "rows", "rows", "rows"]


def test_progress_ends_at_all_steps_both_ways() -> None:
    x, labels = scattered([20, 2, 1, 7])
    for steps in (collect_steps(symmetric, x, labels, 4), collect_steps(rowwise, x, labels, 2000)):
        assert [done for done, _ in steps] == sorted({done for done, _ in steps})
        assert len({total for _, total in steps}) == 1
        assert steps[-1][0] == steps[-1][1]
        assert len(steps) > 2


def collect_steps(way: Any, x: Any, labels: Any, size: int) -> list[tuple[int, int]]:
    steps: list[tuple[int, int]] = []
    way(x, labels, size, progress=lambda done, total: steps.append((done, total)))
    return steps


@pytest.mark.parametrize(("way", "size"), [(symmetric, s) for s in (2, 7, 30, 64)] + [(rowwise, s) for s in (1, 4000)])
def test_every_pair_is_shown_once_or_by_its_mirror_image(way: Any, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rowwise_module, "WIDTH", 11)
    x, labels = scattered([20, 2, 1, 7])
    seen = np.full((30, 30), np.nan)

    def watch(similar: torch.Tensor, rows: slice, columns: slice, mirrored: bool) -> None:
        assert np.isnan(seen[rows, columns]).all()
        seen[rows, columns] = similar
        if mirrored:
            seen[columns, rows] = similar.t()

    way(x, labels, size, watch=watch)
    order = np.argsort(np.array([20, 2, 1, 7])[labels] * 1000 + np.arange(30), kind="stable")
    np.testing.assert_allclose(seen, cosines(x)[np.ix_(order, order)], atol=1e-6)


def test_pairs_can_be_watched_without_ranks() -> None:
    x, labels = scattered([20, 2, 1, 7])
    pairs = []
    Engine(budget=4000).watch_pairs(side(x, labels), lambda s, a, b, m: pairs.append(s.numel() * (1 + m)))
    assert sum(pairs) == 900
    assert len(pairs) > 3
