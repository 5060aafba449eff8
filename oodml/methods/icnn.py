"""Minus the logarithm of the inter- and intra-class nearest neighbours score (Mendez-Ruiz et al., 2023)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from oodml.methods.base import Batch, Method, Output, number

EPSILON = 1e-6  # within the root, as the authors do: duplicates keep a finite slope


def icnn_score(embeddings: Tensor, labels: Tensor, neighbours: int) -> Tensor:
    """How well the nearest neighbours of each sample separate its class from the others.

    lambda is the mean of two terms over the k nearest neighbours of each sample: one minus the distances to those of
    its class, in units of the distance to the nearest sample of another class; and the distances to those of other
    classes, in units of the largest such distance of the batch. gamma is the share of neighbours of the own class.

    Args:
        embeddings: Unit vectors, shape (b, d), of at least two classes.
        labels: Classes, shape (b,).
        neighbours: k; at most b - 1 count.

    Returns:
        (lambda + gamma) / 2, a scalar in (0, 1].
    """
    squares = (2 - 2 * embeddings @ embeddings.T).clamp(min=0)
    distances = (squares + EPSILON).sqrt()
    same = labels[:, None] == labels[None, :]
    eye = torch.eye(len(same), dtype=torch.bool, device=same.device)
    nearest_other = distances.masked_fill(same, torch.inf).amin(1, keepdim=True)
    near, index = distances.masked_fill(eye, torch.inf).topk(min(neighbours, len(same) - 1), largest=False)
    own = same.gather(1, index)
    relative = near / nearest_other
    relative = relative / relative.amax(1, keepdim=True).clamp(min=1)
    intra = 1 - _mean_of_means(relative, own)
    # without a stranger among the neighbours the classes are as far apart as the score can tell
    inter = _mean_of_means(near / near.masked_fill(own, 0).amax().clamp(min=EPSILON), ~own)
    inter = torch.where(own.all(), torch.ones_like(inter), inter)
    return ((intra + inter) / 2 + own.float().mean()) / 2


def _mean_of_means(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean over rows of the mean of a row's chosen entries; rows with none do not count."""
    counts = chosen.sum(1)
    means = values.masked_fill(~chosen, 0).sum(1) / counts.clamp(min=1)
    return means.sum() / (counts > 0).sum().clamp(min=1)


class Icnn(Method):
    """The score of the whole batch, support and queries together."""

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        """-log of the score; 0 when the batch holds a single class."""
        z = outputs[0].embeddings["embedding"]
        if bool((batch.labels == batch.labels[0]).all()):
            return z.sum() * 0
        return -icnn_score(z, batch.labels, int(number(self.options, "neighbours"))).log()
