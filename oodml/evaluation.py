"""Scores of a set of embeddings: names of metrics in, one number each out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oodml.devices import pick_device
from oodml.errors import DatasetError, UsageError
from oodml.metrics import Metric, metric_info, metric_names
from oodml.metrics.retrieval import NOT_FOUND, counts_lone, query_values

if TYPE_CHECKING:
    from oodml.ranking.search import Ranks, Side
    from oodml.ranking.space import Distance

COUNTS = ("num_queries", "num_lone", "num_classes")
Progress = Callable[[int, int], None]


@dataclass
class Evaluation:
    """What an evaluation found.

    Attributes:
        scores: Metrics by name in the order asked for, then COUNTS.
        retrieval: The retrieval metrics among them.
        values: Their values per query row, shape (n, number of them); NaN where a row does not count.
        first_hit: Rank of the nearest row of the same class, shape (n,); 0 for lone rows and without a retrieval
            metric, -1 where an approximate search found none.
        classes: Class number of every query row, shape (n,).
        class_names: The label of every class number.
        seconds: How long each part took.
        errors: After an approximate search: approximate less exact value of the retrieval metrics on a sample.
    """

    scores: dict[str, float] = field(default_factory=dict)
    retrieval: tuple[Metric, ...] = ()
    values: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))
    first_hit: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    classes: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    class_names: NDArray[Any] = field(default_factory=lambda: np.empty(0))
    seconds: dict[str, float] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Adds the time that the body takes to a part."""
        started = time.perf_counter()
        yield
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - started

    def take(self, blocks: Iterable[Ranks]) -> None:
        """Fills in the values per query from the ranks of their positives."""
        n = len(self.classes)
        lone = [0.0 if counts_lone(info) else np.nan for info in self.retrieval]
        self.values, self.first_hit = np.tile(np.array(lone), (n, 1)), np.zeros(n, np.int64)
        for block in blocks:
            first = block.ranks[:, 0]
            self.first_hit[block.queries] = np.where(first < NOT_FOUND, first, -1)
            self.values[block.queries] = query_values(block.ranks, block.relevant, self.retrieval)

    def means(self) -> dict[str, float]:
        """The retrieval metrics: means over queries, or over classes first."""
        scores = {}
        for column, metric in enumerate(self.retrieval):
            counted = ~np.isnan(self.values[:, column])
            values, classes = self.values[counted, column], self.classes[counted]
            if metric.macro:
                sums, counts = np.bincount(classes, values), np.bincount(classes)
                values = sums[counts > 0] / counts[counts > 0]
            scores[metric.name] = float(values.mean())
        return scores


def evaluate_embeddings(
    embeddings: ArrayLike,
    labels: ArrayLike,
    *,
    gallery: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
    metrics: str | Sequence[str] = "default",
    distance: Distance = "cosine",
    num_train_classes: int | None = None,
    memory_gib: float = 1.0,
    device: str = "cpu",
) -> dict[str, float]:
    """Every metric of a set of embeddings, exact, in one pass over its pairs and in bounded memory.

    Without a gallery every row is searched among all others and is never its own neighbour. Neighbours are ordered
    by similarity, ties by row number. Rows without another row of their class are no queries (they stay in the gallery
    and are counted).

    Args:
        embeddings: Numbers of any real type, shape (n, d); may be mapped from a file.
        labels: Class of every row, shape (n,), integers or names.
        gallery: Rows to search instead, shape (g, d); metrics that are not about retrieval stay those of `embeddings`.
        gallery_labels: Their classes, shape (g,).
        metrics: "default", "all", a name or a list of these (`oodml.metrics.METRICS`); "recall_at_<k>", "map_at_<k>"
            and "rho_<m>" work for every number, "<retrieval metric>_macro" averages by class. "default" leaves
            clustering out above 2,000 classes, and verification always.
        distance: "cosine", "euclidean", or a function of queries (q, d) and gallery (g, d), torch tensors, that returns
            similarities (q, g), the nearest largest.
        num_train_classes: Number of clusters of "nmi_paper" and "f1_paper".
        memory_gib: Memory to work in, above the input.
        device: "cpu", "cuda", or "auto".

    Returns:
        The metrics by name, NaN where one is not defined (such as distances between classes of a single class), and the
        COUNTS: queries, rows without a positive, and classes.

    Raises:
        UnknownNameError: If there is no such metric or distance.
        DatasetError: If shapes do not fit, a value is not finite, a row is all zeros under cosine, or no query has a
            positive.
        UsageError: If an option is out of range.

    Example:
        >>> evaluate_embeddings([[1, 0], [2, 0], [0, 1], [1, 9]], ["a", "a", "b", "b"], metrics=["map_at_r"])
        {'map_at_r': 1.0, 'num_queries': 4.0, 'num_lone': 0.0, 'num_classes': 2.0}
    """
    return evaluate(**locals()).scores


def evaluate(
    embeddings: ArrayLike,
    labels: ArrayLike,
    *,
    gallery: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
    rows: ArrayLike | None = None,
    metrics: str | Sequence[str] = "default",
    distance: Distance = "cosine",
    num_train_classes: int | None = None,
    memory_gib: float = 1.0,
    device: str = "cpu",
    approximate: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """`evaluate_embeddings` with the values of every query, for intervals and comparisons, and the time it took.

    Arguments and errors are those of `evaluate_embeddings`, and three more. `rows`: numbers of the rows that take part,
    shape (m,), with their labels (m,); the others are not read. `approximate`: search with an index of faiss that looks
    at a part of the gallery only; `Evaluation.errors` says how wrong it was, and metrics that need all pairs are left
    out of "default" and "all". `progress`: called with steps of the search done and in all.
    """
    from oodml.evaluation_input import check_sides
    from oodml.evaluation_parts import other_scores, search
    from oodml.ranking.search import Engine
    from oodml.ranking.space import check_distance

    if not 0 < memory_gib < float("inf"):
        raise UsageError(f"memory_gib must be a positive number, got {memory_gib}")
    queries, stored, known = check_sides(embeddings, labels, gallery, gallery_labels, rows)
    num_classes = len(np.unique(queries.classes))
    engine = Engine(check_distance(distance), pick_device(device), int(memory_gib * 2**30))
    infos = [metric_info(name) for name in metric_names(metrics, num_classes, neighbours_only=approximate)]
    retrieval = tuple(info for info in infos if info.family == "retrieval")
    found = Evaluation(retrieval=retrieval, classes=queries.classes, class_names=known)
    asks = _asking(queries, stored)
    if retrieval and not asks:
        raise DatasetError(_NOTHING.format(len(known)) if stored is None else _FOREIGN)
    scores = search(found, infos, engine, queries, stored, approximate, progress)
    scores |= other_scores(found, infos, queries, engine, num_train_classes)
    counts = (asks, len(queries.classes) - asks, num_classes)
    found.scores = {m.name: scores[m.name] for m in infos} | dict(zip(COUNTS, map(float, counts), strict=True))
    return found


_NOTHING = "none of the {} classes has two rows: there is nothing to find"
_FOREIGN = "the gallery holds no class of the queries: there is nothing to find"


def _asking(queries: Side, stored: Side | None) -> int:
    """Queries with a positive."""
    sizes = np.bincount((queries if stored is None else stored).classes, minlength=int(queries.classes.max()) + 1)
    return int(np.count_nonzero(sizes[queries.classes] > (1 if stored is None else 0)))
