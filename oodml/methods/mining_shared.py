"""Triplets for what is shared between classes, or varies within one, instead of what tells classes apart."""

from __future__ import annotations

import torch
from torch import Tensor

from oodml.methods.mining import (
    Triplets,
    distance_weighted,
    inverse_density,
    pairwise_distances,
    uniform_draws,
    weighted_draws,
)


def permuted_labels(embeddings: Tensor, labels: Tensor, generator: torch.Generator) -> Triplets:
    """Distance-weighted triplets for labels that were shuffled among the samples ("random" in DiVA).

    Args:
        embeddings: Unit vectors, shape (b, D).
        labels: Classes, shape (b,).
        generator: Where the draws come from.

    Returns:
        Anchors, positives and negatives, each (t,): the samples that share their shuffled label with another one.
    """
    order = torch.randperm(len(labels), generator=generator, device=labels.device)
    anchors, positives, negatives = distance_weighted(embeddings, labels[order], generator)
    kept = anchors != positives
    return anchors[kept], positives[kept], negatives[kept]


def three_classes(
    embeddings: Tensor, labels: Tensor, generator: torch.Generator, weighted_positives: bool = False
) -> Triplets:
    """Triplets of three different classes (Milbich et al., "Sharing Matters").

    The negative is drawn by the inverse density of distances from all samples of other classes, the positive from the
    samples that share a class with neither anchor nor negative.

    Args:
        embeddings: Unit vectors, shape (b, D).
        labels: Classes, shape (b,).
        generator: Where the draws come from.
        weighted_positives: Draw the positive by the inverse density too ("full"), not uniformly ("standard").

    Returns:
        Anchors, positives and negatives, each (t,); t = b, or 0 with fewer than three classes.
    """
    anchors = torch.arange(len(labels), device=labels.device)
    if len(labels.unique()) < 3:
        return anchors[:0], anchors[:0], anchors[:0]
    weights = inverse_density(pairwise_distances(embeddings), embeddings.shape[1])
    same = labels[:, None] == labels[None, :]
    negatives = weighted_draws(weights.masked_fill(same, -torch.inf), generator)
    third = ~(same | same[negatives])
    if weighted_positives:
        return anchors, weighted_draws(weights.masked_fill(~third, -torch.inf), generator), negatives
    return anchors, uniform_draws(third, generator), negatives


def within_class(labels: Tensor, generator: torch.Generator) -> Triplets:
    """Triplets inside one class: b times a uniform class of the batch, three of its samples with replacement.

    Many are degenerate where a class has few samples, as in DiVA ("intra_random").

    Args:
        labels: Classes, shape (b,).
        generator: Where the draws come from.

    Returns:
        Anchors, positives and negatives, each (b,).
    """
    same = labels[:, None] == labels[None, :]
    by_class = -same.sum(1).float().log().expand(same.shape)  # a class weighs 1, however many samples it has
    allowed = same[weighted_draws(by_class, generator)]
    return uniform_draws(allowed, generator), uniform_draws(allowed, generator), uniform_draws(allowed, generator)
