"""Few-shot training of low-rank updates (Hu et al., ICLR 2022) on all linear and convolution layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from oodml.adapters.base import Problem
from oodml.adapters.finetune import NetworkTuning
from oodml.errors import UsageError
from oodml.methods.base import number
from oodml.model import Network
from oodml.records import Scalar

ADAPTED = (nn.Linear, nn.Conv1d, nn.Conv2d)


class LowRank(nn.Module):
    """W -> W + scale B A, with A normal of variance 1 / m and B = 0, so that it starts as W.

    A convolution weight (o, i, h, w) counts as a matrix (o, m), m = i h w. That of a convolution with groups has an i
    of one group, and is adapted all the same: its filters move along r common directions.

    Args:
        weight: What is parametrised, shape (o, ...).
        rank: r; no more than o and m are used.
        scale: Strength of the update.
        generator: Where A comes from.
    """

    def __init__(self, weight: Tensor, rank: int, scale: float, generator: torch.Generator) -> None:
        super().__init__()
        o, m = weight.flatten(1).shape
        rank, self.scale = min(rank, o, m), scale
        self.a = nn.Parameter((torch.randn(rank, m, generator=generator) / m**0.5).to(weight.device))
        self.b = nn.Parameter(torch.zeros(o, rank, device=weight.device))

    def forward(self, weight: Tensor) -> Tensor:
        """The updated weight, in shape and memory layout as it was."""
        return weight + self.scale * (self.b @ self.a).view_as(weight)


def adapted_layers(network: Network) -> Iterator[nn.Module]:
    """The linear and convolution layers of backbone and heads."""
    for part in (network.backbone, network.method.heads):
        yield from (layer for layer in part.modules() if isinstance(layer, ADAPTED))


class Lora(NetworkTuning):
    """Trains nothing but the factors of low-rank updates, in eval mode: batch norms use their running statistics.

    Options: those of `FineTuning`, `rank`, and `alpha`, which over `rank` gives the scale of the updates. Biases,
    norms, and weights that stand outside of linear and convolution layers stay as they are.
    """

    name = "lora"

    def __init__(self, options: Mapping[str, Scalar]) -> None:
        super().__init__(options)
        self.rank = int(number(options, "rank"))
        if self.rank < 1:
            raise UsageError(f"lora.rank should be at least 1, got {self.rank}")
        self.scale = number(options, "alpha") / self.rank

    def prepare(self, network: Network, problem: Problem) -> None:
        """Eval mode, and updates of 0 on all layers."""
        generator = problem.generator("lora")
        network.eval().requires_grad_(False)
        for layer in list(adapted_layers(network)):
            weight = layer.get_parameter("weight")
            parametrize.register_parametrization(layer, "weight", LowRank(weight, self.rank, self.scale, generator))

    def finish(self, network: Network) -> None:
        """Adds the updates to the weights, which leaves a network of plain layers."""
        for layer in list(network.modules()):
            if parametrize.is_parametrized(layer, "weight"):
                parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
