"""Margin loss with distance-weighted sampling (Wu et al., ICCV 2017)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from oodml.methods.base import Batch, Context, Method, Output, number, weightless
from oodml.methods.mining import Triplets, distance_weighted
from oodml.records import Scalar


def distances_between(z: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Euclidean distances of the rows `first` and `second` of z (b, d), each (t,), with a finite slope at 0."""
    return ((z[first] - z[second]).square().sum(1) + 1e-8).sqrt()  # the constant is that of Milbich et al.


class MarginCriterion(nn.Module):
    """[d_ap - beta_y + m]+ + [beta_y - d_an + m]+ over triplets, y the class of the anchor.

    Args:
        num_classes: Number of classes C; `beta` has shape (C,).
        beta: Initial boundary between positives and negatives, a Euclidean distance of unit vectors in (0, 2).
        margin: Half the width of the band around it.
        published: Divide by the triplets with an active term (the study's code) instead of by the active terms.
    """

    def __init__(self, num_classes: int, beta: float = 1.2, margin: float = 0.2, published: bool = False) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.full((num_classes,), beta))
        self.margin, self.published = margin, published

    def forward(self, z: Tensor, labels: Tensor, triplets: Triplets) -> Tensor:
        """Scalar loss of unit vectors (b, d), labels (b,) and index triplets (t,); 0 without triplets."""
        anchors, positives, negatives = triplets
        d_ap, d_an = distances_between(z, anchors, positives), distances_between(z, anchors, negatives)
        return self.of_distances(d_ap, d_an, self.beta[labels[anchors]])

    def of_distances(self, d_ap: Tensor, d_an: Tensor, beta: Tensor) -> Tensor:
        """Scalar loss of the distances of triplets and their boundaries, each (t,)."""
        too_far = functional.relu(d_ap - beta + self.margin)
        too_close = functional.relu(beta - d_an + self.margin)
        active = (too_far > 0) | (too_close > 0) if self.published else (too_far > 0).int() + (too_close > 0).int()
        return (too_far + too_close).sum() / active.sum().clamp(min=1)


class Margin(Method):
    """The margin loss on the embedding head, with the study's distance-weighted miner."""

    def __init__(self, context: Context, options: Mapping[str, Scalar]) -> None:
        super().__init__(context, options)
        self.criterion = self.make_criterion()

    def make_criterion(self) -> MarginCriterion:
        """A criterion with the options' boundary: one per head where a method has several."""
        options = self.options
        return MarginCriterion(
            self.context.num_classes, number(options, "beta"), number(options, "margin"), bool(options["published"])
        )

    def mine(self, z: Tensor, labels: Tensor) -> Triplets:
        """One triplet per anchor."""
        return distance_weighted(z, labels, self.context.generator)

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        """Loss over one triplet per anchor."""
        z = outputs[0].embeddings["embedding"]
        value: Tensor = self.criterion(z, batch.labels, self.mine(z, batch.labels))
        return value

    def extra_groups(self) -> list[dict[str, Any]]:
        """The boundaries, without weight decay."""
        return weightless(self.criterion.parameters(), number(self.options, "beta_lr"))
