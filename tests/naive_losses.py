"""Terms of several methods, written out in loops over lists of numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from oodml.methods.mining import Triplets


def unit(n: int, dim: int, seed: int) -> Tensor:
    """Random unit vectors (n, dim)."""
    z = torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))
    return functional.normalize(z, dim=1)


def naive_margin(z: Tensor, labels: Tensor, triplets: Triplets, beta: Tensor, margin: float = 0.2) -> float:
    """Margin loss over the active terms."""
    boundaries = beta.tolist()
    terms: list[float] = []
    for a, p, n in zip(*(index.tolist() for index in triplets), strict=True):
        boundary = boundaries[int(labels[a])]
        terms.append(math.dist(z[a].tolist(), z[p].tolist()) - boundary + margin)
        terms.append(boundary - math.dist(z[a].tolist(), z[n].tolist()) + margin)
    active = [term for term in terms if term > 0]
    return sum(active) / max(1, len(active))


def naive_regression(network: nn.Sequential, x: list[float]) -> list[float]:
    """Linear, ReLU, Linear of a vector."""
    first, second = network[0], network[2]
    assert isinstance(first, nn.Linear) and isinstance(second, nn.Linear)
    hidden = [
        max(0.0, sum(w * v for w, v in zip(row, x, strict=True)) + b)
        for row, b in zip(first.weight.tolist(), first.bias.tolist(), strict=True)
    ]
    return [
        sum(w * v for w, v in zip(row, hidden, strict=True)) + b
        for row, b in zip(second.weight.tolist(), second.bias.tolist(), strict=True)
    ]


def naive_decorrelation(target: Tensor, source: Tensor, network: nn.Sequential) -> float:
    """Mean square of the elementwise product of unit targets and unit predictions."""
    total = 0.0
    for aim, given in zip(target.tolist(), source.tolist(), strict=True):
        predicted = naive_regression(network, given)
        length = math.hypot(*predicted)
        total += sum((t * p / length) ** 2 for t, p in zip(aim, predicted, strict=True))
    return total / target.numel()
