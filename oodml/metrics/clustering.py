"""Clustering: how well a partition into clusters agrees with the classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def nmi(classes: Ints, clusters: Ints) -> float:
    """Normalised mutual information with the arithmetic mean of the entropies; in [0, 1].

    Args:
        classes: Class of every row, shape (n,).
        clusters: Cluster of every row, shape (n,).
    """
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score(classes, clusters))


def ami(classes: Ints, clusters: Ints) -> float:
    """Mutual information adjusted for chance (Vinh, Epps and Bailey 2010): 0 on average for random clusters."""
    from sklearn.metrics import adjusted_mutual_info_score

    return float(adjusted_mutual_info_score(classes, clusters))


def pair_f1(classes: Ints, clusters: Ints) -> float:
    """F1 of the question "do two rows belong together?", answered by clusters, over all pairs; in [0, 1].

    2 TP / (pairs within classes + pairs within clusters), with TP the pairs within both. Without any such pair
    every row is alone in both partitions, and F1 is 1.

    Args:
        classes: Class of every row, shape (n,).
        clusters: Cluster of every row, shape (n,).

    Example:
        >>> pair_f1(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1]))
        0.4
    """
    cells = classes.astype(np.int64) * (int(clusters.max()) + 1) + clusters
    both = _pairs(np.unique(cells, return_counts=True)[1])
    either = _pairs(np.bincount(classes)) + _pairs(np.bincount(clusters))
    return 2 * both / either if either else 1.0


def _pairs(counts: Ints) -> int:
    return int((counts.astype(np.int64) * (counts - 1) // 2).sum())
