"""Control divisions: what a metric does over random divisions of the same classes, which no shift explains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oodml.errors import ResultsError
from oodml.records import Ladder
from oodml.robustness import control_band
from oodml.schema import FEW_SHOT
from oodml.statistics import Estimate

if TYPE_CHECKING:
    import pandas as pd

RANDOM = "random"


@dataclass(frozen=True)
class Control:
    """A sweep over random divisions.

    Attributes:
        divisions: How many there are.
        methods: (method, metric) to the mean over the divisions and the band in which one more would lie.
        overall: Metric to the same of the mean over all methods that have every division.
    """

    divisions: int
    methods: Mapping[tuple[str, str], Estimate]
    overall: Mapping[str, Estimate]


def check_control(ladder: Ladder, of: Sequence[Ladder]) -> None:
    """Whether a ladder is a control of one of others.

    Raises:
        ResultsError: If its divisions are not random, or it divides other data than they do.
    """
    kind = ladder.generator.get("name")
    if kind != RANDOM:
        raise ResultsError(
            f"--control needs a sweep over random divisions, but ladder {ladder.name!r} was made by {kind!r}; make one "
            "with `oodml make-splits DATASET --generator random`"
        )
    if all(ladder.dataset_hash != other.dataset_hash for other in of):
        names = ", ".join(other.name for other in of)
        raise ResultsError(f"--control {ladder.name!r} divides other data than {names}")


def summarise_control(board: pd.DataFrame, selection: str = "last") -> Control:
    """Bands from the leaderboard of a control sweep.

    Args:
        board: Rows of `build_leaderboard`; methods without all divisions are left out.
        selection: Which weights count.
    """
    from oodml.method_labels import label_methods

    rows = board.assign(label=label_methods(board))
    rows = rows[rows["level"].notna() & rows["setting"].ne(FEW_SHOT) & rows["selection"].eq(selection)]
    divisions = rows["level"].nunique()
    methods: dict[tuple[str, str], Estimate] = {}
    overall: dict[str, Estimate] = {}
    for metric, group in rows.groupby("metric"):
        table = group.pivot_table(index="label", columns="level", values="mean", aggfunc="first", observed=True)
        table = table.reindex(columns=sorted(rows["level"].unique())).dropna()
        if len(table):
            overall[str(metric)] = control_band(table.mean().to_numpy())
            methods |= {(str(label), str(metric)): control_band(line.to_numpy()) for label, line in table.iterrows()}
    return Control(divisions, methods, overall)
