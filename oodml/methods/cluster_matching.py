"""Clusters of images that keep their numbers from one clustering to the next."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

ITERATIONS = 100


def clustered(features: Tensor, num_clusters: int, generator: torch.Generator, iterations: int = ITERATIONS) -> Tensor:
    """Cluster of every row by k-means with one start.

    Args:
        features: Shape (n, f), on the CPU.
        num_clusters: K; with fewer rows than K there are n clusters.
        generator: Where the seed of the start is drawn from.
        iterations: At most.

    Returns:
        Shape (n,), int64, 0 to K - 1.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    seed = int(torch.randint(2**31 - 1, (1,), generator=generator, device=generator.device))
    count = min(num_clusters, len(features))
    with threadpool_limits(limits=1):  # threads add their sums up in any order: the same seed would not give the same
        found = KMeans(count, n_init=1, max_iter=iterations, random_state=seed).fit_predict(features.numpy())
    return torch.from_numpy(found.astype(np.int64))


def symmetric_differences(new: Tensor, old: Tensor, num_clusters: int) -> Tensor:
    """Images that are in one of two clusters only, for every pair of a new and an old cluster.

    Args:
        new: New cluster of every image, shape (n,), 0 to K - 1.
        old: Old one, shape (n,), 0 to K - 1.
        num_clusters: K.

    Returns:
        Shape (K, K), int64, rows new and columns old.
    """
    both = torch.bincount(new * num_clusters + old, minlength=num_clusters**2).view(num_clusters, num_clusters)
    return both.sum(1, keepdim=True) + both.sum(0, keepdim=True) - 2 * both


def new_numbers(new: Tensor, old: Tensor, num_clusters: int, published: bool = False) -> Tensor:
    """The number that each new cluster gets: that of the old cluster which it is assigned to.

    The assignment (Kuhn 1955) minimises the sum of symmetric differences.

    Args:
        new: New cluster of every image, shape (n,), 0 to K - 1.
        old: Old one, shape (n,), 0 to K - 1.
        num_clusters: K.
        published: Take the inverse permutation, as the original does.

    Returns:
        Permutation of 0 to K - 1, shape (K,): `new_numbers(new, old, k)[new]` is the relabelled clustering.
    """
    from scipy.optimize import linear_sum_assignment

    _, columns = linear_sum_assignment(symmetric_differences(new, old, num_clusters).numpy())
    assigned = torch.from_numpy(columns.astype(np.int64))
    return assigned.argsort() if published else assigned


def has_partner(labels: Tensor, clusters: Tensor) -> Tensor:
    """Whether another image of the same class is in the same cluster, shape (n,), for labels (n,), clusters (n,)."""
    cells = labels * (int(clusters.max()) + 1) + clusters
    _, inverse, counts = torch.unique(cells, return_inverse=True, return_counts=True)
    several: Tensor = counts[inverse] > 1
    return several
