"""What few-shot fine-tuning minimises: the losses of many independent problems at once.

A criterion takes unit vectors z (p, b, d), labels (p, b) and uniform numbers in [0, 1) (p, b, n), n = `draws`, and
returns one loss per problem, (p,). The loss of a problem and its gradient depend on nothing but its own rows, so that
the gradient of the sum is that of every problem; on the CPU to the last bit, as nothing is summed across problems.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.func import vmap
from torch.nn import functional

from oodml import registry
from oodml.errors import UnknownNameError
from oodml.methods.base import number
from oodml.methods.margin import MarginCriterion
from oodml.methods.mining import negative_picks, positive_picks, uniform_picks
from oodml.methods.multisimilarity import multisimilarity
from oodml.records import Scalar


class Criterion(Protocol):
    """Losses of problems.

    Attributes:
        draws: Uniform numbers that the mining of one anchor takes.
    """

    draws: int

    def __call__(self, z: Tensor, labels: Tensor, uniform: Tensor) -> Tensor:
        """One loss per problem, shape (p,).

        Args:
            z: Unit vectors, shape (p, b, d).
            labels: Classes, counted within a problem, shape (p, b).
            uniform: In [0, 1), shape (p, b, draws).
        """


def squared_distances(z: Tensor, partners: Tensor) -> Tensor:
    """Squared distances from every sample to partners of the same problem, shape (p, n, b).

    Args:
        z: Shape (p, b, d).
        partners: Positions in the batch, shape (p, n, b).
    """
    p, b, d = z.shape
    rows = (partners + torch.arange(0, p * b, b, device=z.device)[:, None, None]).flatten()
    # not z[rows]: threads add up its gradient in any order
    found = z.reshape(-1, d).gather(0, rows[:, None].expand(-1, d)).view(p, -1, b, d)
    return (z[:, None] - found).square().sum(-1)


def _same_class(labels: Tensor) -> Tensor:
    return labels[:, :, None] == labels[:, None, :]


def _has_negatives(labels: Tensor) -> Tensor:
    """Whether the batch of a problem holds two classes, shape (p,)."""
    return (labels != labels[:, :1]).any(1)


class MarginLosses:
    """The margin loss with distance-weighted mining and a boundary that stays: the study's choice for every method.

    Args:
        beta: The boundary, a distance of unit vectors in (0, 2).
        margin: Half the width of the band around it.
    """

    draws = 2

    def __init__(self, beta: float, margin: float) -> None:
        self.beta, self.of_distances = beta, vmap(MarginCriterion(1, beta, margin).of_distances)

    def __call__(self, z: Tensor, labels: Tensor, uniform: Tensor) -> Tensor:
        """Losses (p,); 0 for a batch of one class, which has no triplets."""
        same = _same_class(labels)
        negatives, positives = negative_picks(z, same, uniform[..., 0]), positive_picks(same, uniform[..., 1])
        distances = (squared_distances(z, torch.stack([positives, negatives], 1)) + 1e-8).sqrt()
        beta = z.new_full(labels.shape, self.beta)
        losses: Tensor = self.of_distances(distances[:, 0], distances[:, 1], beta)
        return losses * _has_negatives(labels)


class TripletLosses:
    """Mean over anchors of [d_ap^2 - d_an^2 + m]+ with a uniform positive and a uniform negative for each.

    Args:
        margin: m.
    """

    draws = 2

    def __init__(self, margin: float) -> None:
        self.margin = margin

    def __call__(self, z: Tensor, labels: Tensor, uniform: Tensor) -> Tensor:
        """Losses (p,); 0 for a batch of one class, which has no triplets."""
        same = _same_class(labels)
        negatives, positives = uniform_picks(~same, uniform[..., 0]), positive_picks(same, uniform[..., 1])
        d_ap, d_an = squared_distances(z, torch.stack([positives, negatives], 1)).unbind(1)
        return functional.relu(d_ap - d_an + self.margin).mean(1) * _has_negatives(labels)


class MultisimilarityLosses:
    """The multi-similarity loss with the defaults of its method; it mines all pairs and draws nothing."""

    draws = 0

    def __init__(self) -> None:
        options: Mapping[str, Scalar] = registry.load("method", "multisimilarity").options
        self.losses = vmap(partial(multisimilarity, options=options))

    def __call__(self, z: Tensor, labels: Tensor, uniform: Tensor) -> Tensor:
        """Losses (p,)."""
        losses: Tensor = self.losses(z, labels)
        return losses


CRITERIA: dict[str, Callable[[Mapping[str, Any]], Criterion]] = {
    "margin": lambda options: MarginLosses(number(options, "beta"), number(options, "margin")),
    "multisimilarity": lambda options: MultisimilarityLosses(),
    "triplet": lambda options: TripletLosses(number(options, "margin")),
}


def make_criterion(adapter: str, options: Mapping[str, Scalar]) -> Criterion:
    """The criterion that the options of an adapter name: `criterion`, `beta` and `margin`.

    Raises:
        UnknownNameError: If there is no such criterion.
    """
    name = str(options["criterion"])
    if name not in CRITERIA:
        raise UnknownNameError(f"value of {adapter}.criterion", name, CRITERIA)
    return CRITERIA[name](options)
