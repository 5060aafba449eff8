"""Triplet mining, vectorised over the batch; one triplet per anchor, drawn from the method's own generator."""

from __future__ import annotations

import torch
from torch import Tensor

Triplets = tuple[Tensor, Tensor, Tensor]
MAX_DISTANCE = 1.999  # the density of distances on the sphere has a pole at 2


def pairwise_distances(embeddings: Tensor) -> Tensor:
    """Euclidean distances of unit vectors, shape (b, b), without gradient."""
    z = embeddings.detach().float()
    return (2 - 2 * z @ z.T).clamp(min=0).sqrt()


def random_positives(same: Tensor, generator: torch.Generator) -> Tensor:
    """For every anchor a uniform other sample of its class, the anchor itself where it is alone.

    Args:
        same: Whether two samples share a class, shape (b, b).
        generator: Where the draws come from.
    """
    eye = torch.eye(len(same), dtype=torch.bool, device=same.device)
    others = same & ~eye
    lonely = ~others.any(1, keepdim=True)
    weights = torch.where(lonely, eye, others).float()
    return torch.multinomial(weights, 1, generator=generator).squeeze(1)


def distance_weighted(
    embeddings: Tensor, labels: Tensor, generator: torch.Generator, lower_cutoff: float = 0.5
) -> Triplets:
    """Negatives drawn by the inverse density of pairwise distances on the unit sphere.

    The probability of sample j as negative of anchor i is proportional to exp(w_ij) with
    w = (2 - D) log d - (D - 3)/2 log(1 - d^2/4) and d clamped from below (Wu et al., ICCV 2017). The normaliser is
    taken per anchor: one maximum over the batch would underflow all anchors without a close negative.

    Args:
        embeddings: Unit vectors, shape (b, D).
        labels: Classes, shape (b,).
        generator: Where the draws come from.
        lower_cutoff: Distances below it count as equal.

    Returns:
        Anchors, positives and negatives, each (t,); t = b unless all samples share one class (then 0).
    """
    dim = embeddings.shape[1]
    d = pairwise_distances(embeddings).clamp(lower_cutoff, MAX_DISTANCE)
    log_weights = (2 - dim) * d.log() - (dim - 3) / 2 * (1 - d.square() / 4).log()
    same = labels[:, None] == labels[None, :]
    anchors = (~same).any(1).nonzero().squeeze(1)
    if len(anchors) == 0:
        return anchors, anchors, anchors
    probabilities = log_weights.masked_fill(same, -torch.inf)[anchors].softmax(1)
    negatives = torch.multinomial(probabilities, 1, generator=generator).squeeze(1)
    return anchors, random_positives(same, generator)[anchors], negatives


def semihard(embeddings: Tensor, labels: Tensor, generator: torch.Generator, margin: float) -> Triplets:
    """A random positive, and a random negative that is farther than it by less than the margin.

    Where there is no such negative, any sample of another class is drawn (Schroff et al., CVPR 2015; one triplet per
    anchor as in the reference study).

    Args:
        embeddings: Unit vectors, shape (b, D).
        labels: Classes, shape (b,).
        generator: Where the draws come from.
        margin: Width of the band beyond the positive, in Euclidean distance.

    Returns:
        Anchors, positives and negatives, each (t,); t = b unless all samples share one class (then 0).
    """
    d = pairwise_distances(embeddings)
    same = labels[:, None] == labels[None, :]
    positives = random_positives(same, generator)
    anchors = (~same).any(1).nonzero().squeeze(1)
    if len(anchors) == 0:
        return anchors, anchors, anchors
    d_ap = d.gather(1, positives[:, None])
    band = ~same & (d > d_ap) & (d < d_ap + margin)
    weights = torch.where(band.any(1, keepdim=True), band, ~same)[anchors].float()
    negatives = torch.multinomial(weights, 1, generator=generator).squeeze(1)
    return anchors, positives[anchors], negatives
