"""Ranks by query row, out of both ways of ranking."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from naive_metrics import naive_hits, ranks_of

from oodml.ranking.layout import by_class
from oodml.ranking.positives import Positives, Targets
from oodml.ranking.rows import Rows, survey
from oodml.ranking.rowwise import Rowwise
from oodml.ranking.search import Engine, Ranks, Side
from oodml.ranking.space import Distance
from oodml.ranking.symmetric import SymmetricRanks
from oodml.ranking.tiles import Watch

ByQuery = dict[int, list[int]]


def side(values: Any, classes: Any) -> Side:
    numbers = np.unique(np.asarray(classes), return_inverse=True)[1]
    return Side(np.asarray(values), np.arange(len(numbers)), numbers.astype(np.int64))


def rows_of(values: Any, classes: Any, distance: Distance = "cosine", keep: bool = True) -> tuple[Rows, Any]:
    given = side(values, classes)
    layout, _ = by_class(given.classes)
    return Rows(given.values, layout.order, survey({"embedding": given.table}, distance), "cpu", keep), layout


def by_query(blocks: Iterable[Ranks]) -> ByQuery:
    found = {}
    for block in blocks:
        for query, ranks, relevant in zip(block.queries, block.ranks, block.relevant, strict=True):
            assert int(query) not in found
            found[int(query)] = ranks[:relevant].tolist()
    return found


def ranks_within(values: Any, classes: Any, distance: Distance = "cosine", budget: int = 2**30) -> ByQuery:
    return by_query(Engine(distance, "cpu", budget).within(side(values, classes)))


def symmetric(
    values: Any,
    classes: Any,
    tile: int,
    distance: Distance = "cosine",
    *,
    keep: bool = True,
    watch: Watch | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ByQuery:
    """By square tiles; needs rows that differ."""
    rows, layout = rows_of(values, classes, distance, keep)
    return _placed(SymmetricRanks(rows, layout, tile, watch).run(progress), layout.order)


def rowwise(
    values: Any,
    classes: Any,
    budget: int = 2**30,
    distance: Distance = "cosine",
    *,
    keep: bool = True,
    watch: Watch | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ByQuery:
    """Row by row."""
    rows, layout = rows_of(values, classes, distance, keep)
    targets = Targets(layout.starts[layout.group], layout.sizes[layout.group] - 1, np.arange(len(rows)))
    blocks = Rowwise(rows, rows, targets, budget, rows.first_copies(), watch).run(progress)
    return _placed(blocks, layout.order)


def _placed(blocks: Iterator[tuple[slice, Positives]], order: Any) -> ByQuery:
    found = {}
    for part, positives in blocks:
        ranks = positives.ranks()
        for number, query in enumerate(order[part].tolist()):
            if positives.relevant[number]:
                found[query] = ranks[number, : positives.relevant[number]].tolist()
    return found


def naive_ranks(similarity: Any, labels: Sequence[Any], gallery_labels: Sequence[Any] | None = None) -> ByQuery:
    hits = naive_hits(similarity, labels, gallery_labels)
    return {query: ranks_of(own) for query, own in enumerate(hits) if any(own)}
