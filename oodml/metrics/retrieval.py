"""Retrieval: what the ranks of a query's positives say, one value per query."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from oodml.metrics.base import MACRO, Metric

Values = NDArray[np.float64]
NOT_FOUND = 2**40  # rank of a positive that a search did not return: deeper than any gallery


def query_values(ranks: NDArray[np.int64], relevant: NDArray[np.int64], metrics: Sequence[Metric]) -> Values:
    """Values of the retrieval metrics for every query; a metric is their mean.

    With ranks r_1 < r_2 < ... of the positives, the average precision among the K nearest is
    sum over r_i <= K of (i / r_i), divided by min(positives, K); the metrics differ in K:

    - recall_at_k: 1 if r_1 <= k (with k beyond the gallery every query finds its class).
    - map_at_r: K = R = number of positives (Musgrave, Belongie and Lim 2020, arXiv:2003.08505).
    - map: K = size of the gallery. map_at_k: K = k.
    - map_at_1000_paper, map_at_c_paper: K = 1000, or positives + 1 (the size of the class), and the divisor is
      positives + 1, so that perfect retrieval scores less than 1 (Milbich et al. 2021).

    Args:
        ranks: Ranks from 1 of the positives among all others, rising; shape (q, m), the first `relevant` count.
        relevant: Number of positives of every query, shape (q,), each at least 1.
        metrics: Metrics of the retrieval family; a macro variant has the values of its plain metric.

    Returns:
        Values in [0, 1], shape (q, number of metrics).

    Example:
        >>> from oodml.metrics import metric_info
        >>> query_values(np.array([[1, 4]]), np.array([2]), [metric_info("map_at_r"), metric_info("map")])
        array([[0.5 , 0.75]])
    """
    place = np.arange(1, ranks.shape[1] + 1)
    precision = np.where(place <= relevant[:, None], place / ranks, 0.0)
    found = np.empty((len(ranks), len(metrics)))
    for column, metric in enumerate(metrics):
        name = metric.name.removesuffix(MACRO)
        if name.startswith("recall_at_"):
            found[:, column] = ranks[:, 0] <= (metric.k or 0)
        else:
            depth, divisor = _depth(name, metric.k, relevant)
            kept = precision if depth is None else np.where(ranks <= depth[:, None], precision, 0.0)
            found[:, column] = kept.sum(axis=1) / divisor
    return found


def counts_lone(metric: Metric) -> bool:
    """Whether queries without any positive count as 0 in the mean, as the study has it, instead of not at all."""
    return metric.name.removesuffix(MACRO).endswith("_paper")


def _depth(name: str, k: int | None, relevant: NDArray[np.int64]) -> tuple[NDArray[np.int64] | None, NDArray[np.int64]]:
    """K (None for the whole gallery) and the divisor for every query."""
    size = relevant + 1
    if name == "map":
        return None, relevant
    if name == "map_at_r":
        return relevant, relevant
    if name == "map_at_1000_paper":
        return np.full_like(relevant, 1000), size
    if name == "map_at_c_paper":
        return size, size
    assert k is not None
    return np.full_like(relevant, k), np.minimum(relevant, k)
