"""Whether the order of a ladder's levels depends on the network or the measure: every shift again with others."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from oodml.errors import LadderError, UnknownNameError
from oodml.records import Ladder

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class ClassFeatures:
    """Features of some images by one embedder.

    Attributes:
        embedder: Its name.
        features: One row an image, shape (n, d).
        labels: Class of every row, an index into `class_names`, shape (n,).
        class_names: Names of the classes; the ladder's have to be among them.
    """

    embedder: str
    features: NDArray[np.floating[Any]]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class ShiftRow:
    """The shift of every level by one embedder and one measure.

    Attributes:
        embedder: Name of the embedder.
        measure: Name of the measure, e.g. "fid".
        statistics: "class-means" or "images".
        shifts: One per level.
        spearman: Rank correlation with the ladder's own shifts; NaN where all shifts are the same.
        kendall: Likewise, Kendall's tau-b.
        stored: Whether these are the ladder's own, as its file has them.
    """

    embedder: str
    measure: str
    statistics: str
    shifts: tuple[float, ...]
    spearman: float
    kendall: float
    stored: bool = False


@dataclass(frozen=True)
class Comparison:
    """Rows of shifts, the ladder's own first."""

    ladder: Ladder
    rows: tuple[ShiftRow, ...]

    def spearman(self) -> NDArray[np.float64]:
        """Spearman's rank correlation of every row with every other, shape (rows, rows)."""
        return np.array([[rank_correlations(a.shifts, b.shifts)[0] for b in self.rows] for a in self.rows])

    def frame(self) -> pd.DataFrame:
        """One row per embedder, measure and level."""
        import pandas as pd

        from oodml.schema import VERSIONS

        levels = self.ladder.levels
        return pd.DataFrame(
            [
                {
                    "schema_version": VERSIONS["shifts"],
                    "ladder": self.ladder.name,
                    "ladder_hash": self.ladder.ladder_hash,
                    "embedder": row.embedder,
                    "measure": row.measure,
                    "statistics": row.statistics,
                    "stored": row.stored,
                    "level": level.index,
                    "level_name": level.name,
                    "shift": shift,
                    "ladder_shift": level.shift,
                    "spearman": row.spearman,
                    "kendall": row.kendall,
                    "num_levels": len(levels),
                }
                for row in self.rows
                for level, shift in zip(levels, row.shifts, strict=True)
            ]
        )


def rank_correlations(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """Spearman's rho and Kendall's tau-b of two rows; NaN where one of them does not vary.

    Example:
        >>> rho, tau = rank_correlations([1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 4.0])
        >>> round(rho, 6), round(tau, 6)
        (0.8, 0.666667)
    """
    from scipy import stats

    if min(np.ptp(a), np.ptp(b)) == 0 or not np.isfinite([*a, *b]).all():
        return math.nan, math.nan
    return float(stats.spearmanr(a, b).statistic), float(stats.kendalltau(a, b).statistic)


def compare_shift(
    ladder: Ladder,
    embedders: Sequence[ClassFeatures],
    *,
    measures: Sequence[str] | None = None,
    statistics: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Recomputes the shift of every level with other embedders and measures.

    Args:
        ladder: The ladder.
        embedders: Their features; classes are matched by name.
        measures: Names of measures; None takes the ladder's own.
        statistics: "class-means" or "images"; None takes the ladder's own.
        progress: Called with (rows done, rows in all).

    Raises:
        UnknownNameError: If there is no such measure or statistics.
        LadderError: If a class of the ladder has no features, or a level cannot be measured.
    """
    from oodml.splits.measures import MEASURES, STATISTICS, level_shifts

    measures = list(dict.fromkeys(measures or [ladder.distance]))
    statistics = statistics or ladder.statistics
    for measure in measures:
        if measure not in MEASURES:
            raise UnknownNameError("measure", measure, MEASURES)
    if statistics not in STATISTICS:
        raise UnknownNameError("--statistics", statistics, STATISTICS)
    own = tuple(level.shift for level in ladder.levels)
    name = str(ladder.embedder.get("name") or "ladder")
    rows = [ShiftRow(name, ladder.distance, ladder.statistics, own, *rank_correlations(own, own), stored=True)]
    total = len(embedders) * len(measures)
    for found in embedders:
        _check_classes(ladder, found)
        for measure in measures:
            shifts = tuple(
                level_shifts(
                    ladder, found.features, found.labels, found.class_names, measure=measure, statistics=statistics
                )
            )
            rows.append(ShiftRow(found.embedder, measure, statistics, shifts, *rank_correlations(shifts, own)))
            if progress:
                progress(len(rows) - 1, total)
    return Comparison(ladder, tuple(rows))


def _check_classes(ladder: Ladder, found: ClassFeatures) -> None:
    wanted = {name for level in ladder.levels for name in (*level.train, *level.test)}
    missing = sorted(wanted - set(found.class_names))
    if missing:
        named = ", ".join(map(repr, missing[:5])) + (" and others" if len(missing) > 5 else "")
        raise LadderError(
            f"{found.embedder} lacks {len(missing)} of the {len(wanted)} classes of ladder {ladder.name!r}: {named}; "
            "class names have to be those of the ladder"
        )
