"""An evaluation query by query: the table, intervals of its metrics, and the difference of two embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from oodml import schema
from oodml.errors import DatasetError, UsageError
from oodml.evaluation import Evaluation
from oodml.metrics.bootstrap import class_intervals, paired_differences
from oodml.store import write_table

COMPARISON = ("metric", "first", "second", "difference", "low", "high", "p")


def query_table(evaluation: Evaluation, ids: Sequence[str]) -> pd.DataFrame:
    """One row per query row.

    Args:
        evaluation: What `oodml.evaluation.evaluate` returned.
        ids: Name of every query row.

    Returns:
        Columns `row`, `id`, `class`, `first_hit` (rank of the nearest row of the class, null for lone rows and where an
        approximate search found none) and one per retrieval metric that averages queries (null where the row does not
        count): its mean is the score.

    Raises:
        UsageError: If no retrieval metric was computed, or there are more or fewer ids than query rows.
    """
    if not evaluation.retrieval:
        raise UsageError("a table per query needs a retrieval metric, such as map_at_r")
    n = len(evaluation.classes)
    if len(ids) != n:
        raise UsageError(f"the table needs one id per query row: {n} rows, {len(ids)} ids")
    columns = {
        "row": np.arange(n, dtype=np.int64),
        "id": pd.array([str(name) for name in ids], dtype="str"),
        "class": pd.array(_names(evaluation).tolist(), dtype="str"),
        "first_hit": pd.array(evaluation.first_hit, dtype="Int64"),
    }
    for metric, values in zip(evaluation.retrieval, evaluation.values.T, strict=True):
        if not metric.macro:
            columns[metric.name] = values
    table = pd.DataFrame(columns)
    table.loc[evaluation.first_hit <= 0, "first_hit"] = pd.NA
    return table


def write_query_table(table: pd.DataFrame, path: Path) -> None:
    """Writes a `query_table` as Parquet.

    Raises:
        StorageError: If the folder or disk does not take the file.
    """
    import pyarrow as pa

    types = {"row": pa.int64(), "id": pa.string(), "class": pa.string(), "first_hit": pa.int64()}
    fields = [(name, types.get(name, pa.float64())) for name in table.columns]
    # Where a value does not count the file says null, not NaN.
    write_table(path, schema.table(schema.schema_of("queries", fields), {name: table[name] for name in table.columns}))


def score_intervals(
    evaluation: Evaluation, draws: int = 1000, confidence: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Lower and upper bound of every retrieval metric over resampled classes; nan with fewer than two that count.

    Raises:
        UsageError: If draws or confidence are out of range.
    """
    found: dict[str, tuple[float, float]] = {}
    for macro, columns in _averages(evaluation):
        values = evaluation.values[:, columns]
        bounds = class_intervals(values, evaluation.classes, macro=macro, draws=draws, confidence=confidence)
        for column, (low, high) in zip(columns, bounds.tolist(), strict=True):
            found[evaluation.retrieval[column].name] = (low, high)
    return {metric.name: found[metric.name] for metric in evaluation.retrieval}


def compare_evaluations(
    first: Evaluation, second: Evaluation, draws: int = 1000, confidence: float = 0.95
) -> pd.DataFrame:
    """How much better a second embedding of the same queries is, with both scored on the same resampled classes.

    Args:
        first: An evaluation.
        second: Another one with the same retrieval metrics.
        draws: Number of draws.
        confidence: Coverage of the intervals.

    Returns:
        One row per retrieval metric with the columns COMPARISON: both scores, second less first with its interval, and
        the two-sided p-value of no difference.

    Raises:
        DatasetError: If they are not of the same queries in the same order.
        UsageError: If their retrieval metrics differ, or draws or confidence are out of range.
    """
    _check_same_queries(first, second)
    rows = {}
    for macro, columns in _averages(first):
        one, two = first.values[:, columns], second.values[:, columns]
        found = paired_differences(one, two, first.classes, macro=macro, draws=draws, confidence=confidence)
        parts = (found.difference.tolist(), found.low.tolist(), found.high.tolist(), found.p.tolist())
        for column, numbers in zip(columns, zip(*parts, strict=True), strict=True):
            name = first.retrieval[column].name
            rows[name] = (name, first.scores[name], second.scores[name], *numbers)
    table = pd.DataFrame([rows[metric.name] for metric in first.retrieval], columns=list(COMPARISON))
    return table.astype(dict.fromkeys(COMPARISON[1:], np.float64))


def _averages(evaluation: Evaluation) -> Iterator[tuple[bool, list[int]]]:
    """Columns of the values by how they are averaged: over queries, or over classes first."""
    for macro in (False, True):
        columns = [column for column, metric in enumerate(evaluation.retrieval) if metric.macro == macro]
        if columns:
            yield macro, columns


def _names(evaluation: Evaluation) -> NDArray[np.str_]:
    return np.asarray(evaluation.class_names)[evaluation.classes].astype(np.str_)


def _check_same_queries(first: Evaluation, second: Evaluation) -> None:
    if len(first.classes) != len(second.classes):
        raise DatasetError(f"other queries: {len(first.classes)} rows against {len(second.classes)}")
    one, two = _names(first), _names(second)
    wrong = np.flatnonzero(one != two)
    if len(wrong):
        row = wrong[0]
        raise DatasetError(
            f"other queries: row {row} is of class {str(one[row])!r} in the first and of {str(two[row])!r} in the "
            f"second ({len(wrong)} such rows)"
        )
    if first.retrieval != second.retrieval:
        raise UsageError("evaluations with other retrieval metrics cannot be compared")
    wrong = np.flatnonzero((np.isnan(first.values) != np.isnan(second.values)).any(axis=1))
    if len(wrong):
        raise DatasetError(f"other queries: row {wrong[0]} counts in one only; was another gallery searched?")
