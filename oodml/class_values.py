"""What every test class scores, kept beside the mean of a metric so that classes can be resampled afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from oodml.metrics.base import HEADLINE_METRICS

if TYPE_CHECKING:
    from oodml.evaluation import Evaluation

STORED = HEADLINE_METRICS
"""Metrics with values by class: what leaderboards show. The others would double the files of datasets with thousands of
classes, for intervals that nobody looks at; the metrics by class already (macro) are among them."""


def class_columns(found: Evaluation, labels: Sequence[object]) -> dict[str, dict[str, list[float | None] | list[int]]]:
    """Means over the queries of every class, for the metrics that keep them.

    Args:
        found: An evaluation.
        labels: Labels of the classes in the order asked for, c of them; one without any row has no queries.

    Returns:
        Metric to its columns of `oodml.schema.RUN`: `class_values`, c means in the unit of the metric, None for classes
        without a query that counts; `class_queries`, c numbers of such queries. The mean of the values weighted by
        these is the metric.
    """
    numbers = {label: number for number, label in enumerate(found.class_names.tolist())}
    places = np.array([numbers.get(label, -1) for label in labels], dtype=np.int64)
    columns: dict[str, dict[str, list[float | None] | list[int]]] = {}
    for metric, values in zip(found.retrieval, found.values.T, strict=True):
        if metric.name not in STORED:
            continue
        counted = ~np.isnan(values)
        size = len(numbers) + 1  # the last place stands for classes without rows
        queries = np.bincount(found.classes[counted], minlength=size)
        sums = np.bincount(found.classes[counted], values[counted], minlength=size)
        means = sums / np.maximum(queries, 1)
        chosen, asked = means[places].tolist(), queries[places].tolist()
        columns[metric.name] = {
            "class_values": [mean if n else None for mean, n in zip(chosen, asked, strict=True)],
            "class_queries": asked,
        }
    return columns
