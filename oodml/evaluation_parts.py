"""The metrics that are not about retrieval: each part is computed if a metric asks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from oodml.approximate import approximate_ranks, sampled_errors
from oodml.clusters import kmeans
from oodml.errors import DatasetError, UsageError
from oodml.metrics import Metric
from oodml.metrics.clustering import ami, nmi, pair_f1
from oodml.metrics.spectrum import rho, singular_values
from oodml.metrics.verification import fnmr_at_fmr, opis
from oodml.pair_statistics import Uniformity, Verification
from oodml.ranking.layout import by_class
from oodml.ranking.search import Engine, Side
from oodml.summaries import class_spread, double_blocks, gram

if TYPE_CHECKING:
    from oodml.evaluation import Evaluation


class PairScores:
    """Uniformity and verification: what is gathered from the cosines of all pairs."""

    def __init__(self, infos: Sequence[Metric], side: Side, budget: int) -> None:
        self._names = [info for info in infos if info.name == "uniformity" or info.family == "verification"]
        self._uniformity = Uniformity() if any(info.name == "uniformity" for info in self._names) else None
        wanted = any(info.family == "verification" for info in self._names)
        self._verification = Verification(by_class(side.classes)[0], budget) if wanted else None

    def __bool__(self) -> bool:
        return bool(self._names)

    def see(self, similar: Tensor, rows: slice, columns: slice, mirrored: bool) -> None:
        """Adds a tile of cosines."""
        for statistic in (self._uniformity, self._verification):
            if statistic is not None:
                statistic.see(similar, rows, columns, mirrored)

    def scores(self) -> dict[str, float]:
        """The metrics by name."""
        found: dict[str, float] = {}
        if self._uniformity is not None:
            found["uniformity"] = self._uniformity.value()
        if self._verification is not None:
            counts = self._verification.counts()
            for info in self._names:
                if info.family == "verification":
                    found[info.name] = opis(counts) if info.k is None else fnmr_at_fmr(counts, 10.0**-info.k)
        return found


def search(
    found: Evaluation,
    infos: Sequence[Metric],
    engine: Engine,
    queries: Side,
    stored: Side | None,
    approximate: bool,
    progress: Callable[[int, int], None] | None,
) -> dict[str, float]:
    """Retrieval and the statistics over pairs, in one pass where both are about the same pairs."""
    pairs = PairScores(infos, queries, engine.budget)
    shared = pairs and found.retrieval and stored is None and engine.distance == "cosine"
    with found.timed("search"):
        if found.retrieval and approximate:
            found.take(approximate_ranks(queries, stored, engine, found.retrieval))
            found.errors = sampled_errors(found, queries, stored, engine)
        elif found.retrieval and stored is None:
            found.take(engine.within(queries, pairs.see if shared else None, progress))
        elif found.retrieval and stored is not None:
            found.take(engine.between(queries, stored, progress))
        else:
            found.take(())
        if pairs and not shared:
            Engine("cosine", engine.device, engine.budget).watch_pairs(queries, pairs.see)
    return found.means() | pairs.scores()


def other_scores(
    found: Evaluation, infos: Sequence[Metric], side: Side, engine: Engine, num_train_classes: int | None
) -> dict[str, float]:
    """Spread, spectrum, alignment and clustering, as far as they are asked for."""
    scores: dict[str, float] = {}
    unit = engine.distance == "cosine"
    spread = [m.name for m in infos if m.family == "spread" or m.name == "alignment"]
    if spread:
        with found.timed("spread"):
            table = class_spread(side)
            scores |= {name: getattr(table, name)() for name in spread}
    spectrum = [m for m in infos if m.family == "spectrum"]
    if spectrum:
        with found.timed("spectrum"):
            sigma = singular_values(gram(side, unit, engine.budget))
            scores |= {m.name: rho(sigma, m.k or 0) for m in spectrum}
    clustering = [m.name for m in infos if m.family == "clustering"]
    if clustering:
        with found.timed("kmeans"):
            scores |= _clustering(clustering, side, engine, num_train_classes)
    return scores


_AGREEMENT: dict[str, Callable[..., float]] = {"nmi": nmi, "ami": ami, "f1": pair_f1}


def _clustering(names: Sequence[str], side: Side, engine: Engine, num_train_classes: int | None) -> dict[str, float]:
    rows = _in_memory(side, engine)
    classes = np.unique(side.classes, return_inverse=True)[1].astype(np.int64)
    scores: dict[str, float] = {}
    for suffix, count in (("", int(classes.max()) + 1), ("_paper", num_train_classes)):
        wanted = [name for name in names if name.endswith("_paper") == bool(suffix)]
        if not wanted:
            continue
        if count is None or count < 1:
            raise UsageError(f"{wanted[0]} needs the number of training classes, got {count}")
        clusters = kmeans(rows, count, engine.device)
        scores |= {name: _AGREEMENT[name.removesuffix("_paper")](classes, clusters) for name in wanted}
    return scores


def _in_memory(side: Side, engine: Engine) -> NDArray[np.float32]:
    """The rows as k-means takes them: at once, in single precision, in their own order."""
    n, d = len(side.numbers), side.values.shape[1]
    if 4 * n * d > engine.budget:
        raise DatasetError(
            f"k-means of {n} rows of {d} numbers needs {4 * n * d / 2**30:.1f} GiB; "
            "allow more memory or leave the clustering metrics out"
        )
    rows = np.empty((n, d), np.float32)
    start = 0
    for block in double_blocks(side, engine.distance == "cosine"):
        rows[start : start + len(block)] = block
        start += len(block)
    return rows
