"""Triplet loss over all pairs of the batch with online semi-hard negatives (Schroff et al., CVPR 2015)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from oodml.methods.base import Batch, Method, Output, number
from oodml.methods.mining import Triplets, pairwise_distances


def semihard_pairs(embeddings: Tensor, labels: Tensor) -> Triplets:
    """One negative for every ordered pair of a class: the nearest sample of another class beyond the positive.

    A pair that has all other classes nearer than its positive takes the farthest of them. Negatives are sorted once
    per anchor, so that no array is larger than b x b.

    Args:
        embeddings: Unit vectors, shape (b, D).
        labels: Classes, shape (b,).

    Returns:
        Anchors, positives and negatives, each (t,); t = 0 without a pair or without a second class.
    """
    same = labels[:, None] == labels[None, :]
    distances = pairwise_distances(embeddings)
    ordered, order = distances.masked_fill(same, torch.inf).sort(dim=1)
    beyond = torch.searchsorted(ordered, distances, right=True)  # negatives not farther than each sample
    negatives = order.gather(1, torch.minimum(beyond, (~same).sum(1, keepdim=True) - 1).clamp(min=0))
    eye = torch.eye(len(same), dtype=torch.bool, device=same.device)
    pairs = same & ~eye & (~same).any(1, keepdim=True)
    anchors, positives = pairs.nonzero(as_tuple=True)
    return anchors, positives, negatives[anchors, positives]


class FaceNet(Method):
    """Mean over all ordered positive pairs, zeros included, of [d_ap^2 - d_an^2 + m]+."""

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        """Loss over one triplet per pair; 0 without pairs or without a second class."""
        z = outputs[0].embeddings["embedding"]
        anchors, positives, negatives = semihard_pairs(z, batch.labels)
        if len(anchors) == 0:
            return z.sum() * 0
        d_ap = (z[anchors] - z[positives]).square().sum(1)
        d_an = (z[anchors] - z[negatives]).square().sum(1)
        return functional.relu(d_ap - d_an + number(self.options, "margin")).mean()
