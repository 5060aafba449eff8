"""Retrieval by an approximate index, and how wrong it was on a sample of queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oodml.directions import CHUNK
from oodml.errors import DatasetError, UsageError
from oodml.faiss_library import faiss_for
from oodml.metrics import Metric
from oodml.metrics.base import MACRO
from oodml.metrics.retrieval import NOT_FOUND, query_values
from oodml.ranking.rows import Rows, survey
from oodml.ranking.search import Engine, Ranks, Side
from oodml.seeds import numpy_generator

if TYPE_CHECKING:
    from oodml.evaluation import Evaluation

Ints = NDArray[np.int64]
SAMPLE = 1000  # queries that are searched exactly as well
MAX_DEPTH = 4096
PROBED = 16  # one list in so many is searched, at least LEAST_PROBED
LEAST_PROBED = 8


def approximate_ranks(
    queries: Side, gallery: Side | None, engine: Engine, metrics: Sequence[Metric]
) -> Iterator[Ranks]:
    """Ranks of the positives among the neighbours that an inverted file of faiss returns; NOT_FOUND for the rest.

    The gallery is divided into about 4 sqrt(n) lists by k-means; a query is compared, exactly, with the rows of the
    nearest sixteenth of the lists.

    Args:
        queries: The queries.
        gallery: Where they search; None for among themselves, each without itself.
        engine: Distance and memory.
        metrics: Retrieval metrics that are to be computed: they say how many neighbours are needed.

    Raises:
        UsageError: If the distance is neither cosine nor Euclidean.
        DatasetError: If the gallery, or the neighbours needed, are too many.
    """
    if not isinstance(engine.distance, str):
        raise UsageError("a distance given as a function cannot be approximated; leave approximate out")
    stored = queries if gallery is None else gallery
    sizes = np.bincount(stored.classes, minlength=int(max(queries.classes.max(), stored.classes.max())) + 1)
    relevant = sizes[queries.classes] - (1 if gallery is None else 0)
    depth = min(len(stored.classes), _depth(metrics, int(relevant.max())) + (1 if gallery is None else 0))
    space = survey({"embedding": queries.table, "gallery": stored.table}, engine.distance)
    space = replace(space, coarse=False)  # the index takes unit rows
    asking = Rows(queries.values, queries.numbers, space, "cpu", keep=False)
    with faiss_for("--approximate") as faiss:
        index = _index(faiss, Rows(stored.values, stored.numbers, space, "cpu", keep=False), engine)
        for start in range(0, len(asking), CHUNK):
            places = np.arange(start, min(len(asking), start + CHUNK))
            near = index.search(asking.block(start, start + len(places)).rows.numpy(), depth)[1]
            own = places if gallery is None else np.full(len(places), -2)
            asks = np.flatnonzero(relevant[places] > 0)
            hits = (stored.classes[near] == queries.classes[places, None]) & (near >= 0) & (near != own[:, None])
            before = np.cumsum((near == own[:, None]), axis=1)  # the query itself takes no rank
            yield _ranks(places[asks], hits[asks], before[asks], relevant[places[asks]])


def sampled_errors(found: Evaluation, queries: Side, gallery: Side | None, engine: Engine) -> dict[str, float]:
    """Approximate less exact value of every retrieval metric on a random sample of the queries that have a positive.

    The sample is the same for the same number of queries. Macro variants have the error of their plain metric.
    """
    asking = np.flatnonzero(found.first_hit)
    if len(asking) > SAMPLE:
        asking = np.sort(numpy_generator("approximate", len(asking)).choice(asking, SAMPLE, replace=False))
    blocks = engine.within(queries, only=asking) if gallery is None else engine.between(_part(queries, asking), gallery)
    exact = np.empty((len(found.classes), len(found.retrieval)))
    for block in blocks:
        rows = block.queries if gallery is None else asking[block.queries]
        exact[rows] = query_values(block.ranks, block.relevant, found.retrieval)
    error = (found.values[asking] - exact[asking]).mean(axis=0)
    return {metric.name: float(value) for metric, value in zip(found.retrieval, error, strict=True)}


def _depth(metrics: Sequence[Metric], relevant: int) -> int:
    """Neighbours that the metrics look at."""
    deepest = {"map_at_r": relevant, "map_at_c_paper": relevant + 1, "map_at_1000_paper": 1000}
    depth = max((m.k or deepest[m.name.removesuffix(MACRO)] for m in metrics), default=1)
    if depth > MAX_DEPTH:
        raise DatasetError(
            f"{depth} neighbours of every query are too many for an approximate search (at most {MAX_DEPTH}); "
            "ask for metrics that look at fewer, such as recall_at_1"
        )
    return depth


def _index(faiss: Any, rows: Rows, engine: Engine) -> Any:
    """A filled index of rows in their order."""
    n, d = len(rows), rows.dimension
    lists = max(1, min(int(4 * n**0.5), n // 39))
    training = np.sort(numpy_generator("lists", n).permutation(n)[: 64 * lists])
    needed = 4 * d * (n + len(training))
    if needed > engine.budget:
        raise DatasetError(f"an index of {n} rows of {d} numbers needs {needed / 2**30:.1f} GiB; allow more memory")
    coarse = faiss.IndexFlatIP(d) if rows.space.distance == "cosine" else faiss.IndexFlatL2(d)
    kind = faiss.METRIC_INNER_PRODUCT if rows.space.distance == "cosine" else faiss.METRIC_L2
    index = faiss.IndexIVFFlat(coarse, d, lists, kind)
    table = np.empty((len(training), d), np.float32)
    for at in range(0, len(training), CHUNK):
        table[at : at + CHUNK] = rows.at(training[at : at + CHUNK]).rows.numpy()
    index.train(table)
    for block in rows.blocks():
        index.add(block.rows.numpy())
    index.nprobe = min(lists, max(LEAST_PROBED, lists // PROBED))
    return index


def _ranks(queries: Ints, hits: NDArray[np.bool_], before: Ints, relevant: Ints) -> Ranks:
    """Ranks of the hits, NOT_FOUND for positives that are missing; shape (b, largest number of positives)."""
    ranks = np.full((len(queries), int(relevant.max(initial=1))), NOT_FOUND)
    row, column = np.nonzero(hits)
    place = (np.cumsum(hits, axis=1) - 1)[row, column]
    ranks[row, place] = column + 1 - before[row, column]
    return Ranks(queries, ranks, relevant)


def _part(side: Side, chosen: Ints) -> Side:
    return Side(side.values, side.numbers[chosen], side.classes[chosen])
