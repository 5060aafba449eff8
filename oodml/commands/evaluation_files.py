"""What `oodml evaluate` writes besides the table per query: scores as JSON and as Parquet."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodml.errors import StorageError, UsageError
from oodml.evaluation import COUNTS, Evaluation
from oodml.metrics import Metric, metric_info
from oodml.version import __version__

if TYPE_CHECKING:
    import pandas as pd

NO_INTERVAL = (math.nan, math.nan)


@dataclass(frozen=True)
class Facts:
    """What was evaluated and how.

    Attributes:
        dataset: Its spec.
        distance: Name of the distance.
        dimensions: Length of a vector.
        gallery: Spec of the gallery; None without one.
        gallery_rows: Its rows.
        approximate: Whether neighbours may have been missed.
    """

    dataset: str
    distance: str
    dimensions: int
    gallery: str | None = None
    gallery_rows: int = 0
    approximate: bool = False


@dataclass(frozen=True)
class Result:
    """Scores with what is shown and written beside them.

    Attributes:
        facts: What was evaluated and how.
        found: The evaluation.
        intervals: Lower and upper bound by metric, as far as there are intervals.
        against: Spec of the second embedding; None without one.
        comparison: How it differs (`oodml.query_table.compare_evaluations`); None without one.
    """

    facts: Facts
    found: Evaluation
    intervals: Mapping[str, tuple[float, float]]
    against: str | None = None
    comparison: pd.DataFrame | None = None

    @property
    def metrics(self) -> list[Metric]:
        """The metrics that have a score, in the order asked for."""
        return [metric_info(name) for name in self.found.scores if name not in COUNTS]


def score_json(result: Result) -> dict[str, Any]:
    """The result as JSON holds it: what is not finite is null."""
    facts, metrics = result.facts, result.metrics
    content: dict[str, Any] = {"dataset": facts.dataset, "distance": facts.distance}
    if facts.gallery is not None:
        content["gallery"] = facts.gallery
    content |= {
        "scores": result.found.scores,
        "intervals": result.intervals,
        "approximate": facts.approximate,
        "seconds": result.found.seconds,
        "bounds": {metric.name: metric.bounds for metric in metrics},
        "higher_is_better": {metric.name: metric.higher_is_better for metric in metrics},
    }
    if facts.approximate:
        content["sampled_errors"] = result.found.errors
    if result.comparison is not None:
        content |= {"against": result.against, "comparison": result.comparison.to_dict("records")}
    plain: dict[str, Any] = _plain(content | {"oodml_version": __version__})
    return plain


def score_table(result: Result) -> Any:
    """The result as a pyarrow table, one row per metric."""
    from oodml import schema

    facts, scores, metrics = result.facts, result.found.scores, result.metrics
    bounds = [result.intervals.get(metric.name, NO_INTERVAL) for metric in metrics]
    shared = {
        "dataset": facts.dataset,
        **{name: int(scores[name]) for name in COUNTS},
        "distance": facts.distance,
        "gallery": facts.gallery,
        "approximate": facts.approximate,
        "oodml_version": __version__,
    }
    columns: dict[str, list[Any]] = {
        "metric": [metric.name for metric in metrics],
        "value": [scores[metric.name] for metric in metrics],
        "low": [low for low, _ in bounds],
        "high": [high for _, high in bounds],
        "higher_is_better": [metric.higher_is_better for metric in metrics],
        "sampled_error": [result.found.errors.get(metric.name) for metric in metrics],
        **{name: [value] * len(metrics) for name, value in shared.items()},
    }
    return schema.table(schema.SCORES, columns)


def json_text(result: Result) -> str:
    """The result as readable JSON without a final newline."""
    return json.dumps(score_json(result), indent=2, ensure_ascii=False, allow_nan=False)


def write_results(
    result: Result, ids: Sequence[str], scores: Path | None, table: Path | None, queries: Path | None
) -> list[str]:
    """Writes the files that are asked for; returns a line for each.

    Args:
        result: Scores and what they stand on.
        ids: Name of every query row.
        scores: JSON file.
        table: Parquet file with a row per metric.
        queries: Parquet file with a row per query.

    Raises:
        StorageError: If a folder or the disk does not take a file.
    """
    from oodml import store
    from oodml.query_table import query_table, write_query_table

    if scores is not None:
        store.write_text(scores, json_text(result) + "\n")
    if table is not None:
        store.write_table(table, score_table(result))
    if queries is not None:
        write_query_table(query_table(result.found, ids), queries)
    written = {"scores": scores, "table": table, "queries": queries}
    return [f"{what}: {path}" for what, path in written.items() if path is not None]


def check_outputs(outputs: Mapping[str, Path | None], inputs: Sequence[Path]) -> None:
    """Refuses files that could not be written, before anything is computed.

    Args:
        outputs: The file by flag; None where the flag was not given.
        inputs: Files that must stay.

    Raises:
        UsageError: If a file has another ending than its flag takes, or stands for two things.
        StorageError: If it cannot be written.
    """
    taken = {path.resolve(): "an input" for path in inputs}
    for flag, path in outputs.items():
        if path is None:
            continue
        if flag != "--json" and path.suffix.lower() != ".parquet":
            raise UsageError(f"{flag} {str(path)!r} should end in .parquet")
        if path.resolve() in taken:
            raise UsageError(f"{flag} {str(path)!r} is {taken[path.resolve()]} too: give it a file of its own")
        taken[path.resolve()] = f"the file of {flag}"
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        if path.is_dir():
            raise StorageError(f"cannot write {flag} {str(path)!r}: it is a folder; name a file")
        if not folder.is_dir():
            raise StorageError(f"cannot write {flag} {str(path)!r}: {folder} is a file, not a folder")
        if not os.access(folder, os.W_OK):
            raise StorageError(f"cannot write {flag} {str(path)!r}: permission denied in {folder}")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
