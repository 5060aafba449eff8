"""Adversarial decorrelation of embedding heads (Milbich et al., ECCV 2020; Roth et al., ICCV 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

HIDDEN = 512
PUBLISHED_WIDTH = 128


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return -grads[0]


def reverse_gradient(x: Tensor) -> Tensor:
    """The same values; what flows back is multiplied by -1."""
    reversed_: Tensor = _Reversal.apply(x)
    return reversed_


def weight_for_width(weight: float, dim: int) -> float:
    """A published weight, meant for heads of width 128, at another width.

    The mean over dimensions of (a_d b_d)^2 falls with 1 / dim^2 for unit vectors at the same angles: unscaled, narrow
    heads would be given over to the adversary, and wide ones would not feel it.
    """
    return weight * (dim / PUBLISHED_WIDTH) ** 2


def regressor(dim: int, hidden: int = HIDDEN) -> nn.Sequential:
    """Linear, ReLU, Linear: dim -> hidden -> dim."""
    return nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, dim))


class Decorrelation(nn.Module):
    """-sum_s weight_s mean_ij (n(z) * n(R_s(n(z_s))))_ij^2, with the gradients of z and z_s reversed; n: unit rows.

    A regressor R_s per source learns to predict the target; the reversed gradient makes both heads, and the backbone
    below them, unlearn what it can predict. The mean runs over the dimensions too, hence the large weights.

    Args:
        weights: Source to the weight of its term, at least 0.
        dim: Width of target and sources.
        hidden: Hidden width of the regressors.
    """

    def __init__(self, weights: Mapping[str, float], dim: int, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.weights = dict(weights)
        self.regressors = nn.ModuleDict({source: regressor(dim, hidden) for source in weights})

    def forward(self, target: Tensor, sources: Mapping[str, Tensor]) -> Tensor:
        """Scalar loss, at most 0.

        Args:
            target: What is predicted, shape (b, dim).
            sources: A tensor (b, dim) for every key of the weights; others are left aside.
        """
        aim = functional.normalize(reverse_gradient(target), dim=1)
        total = aim.new_zeros(())
        for source, network in self.regressors.items():
            given = functional.normalize(reverse_gradient(sources[source]), dim=1)
            predicted = functional.normalize(network(given), dim=1)
            total = total - self.weights[source] * (aim * predicted).square().mean()
        return total
