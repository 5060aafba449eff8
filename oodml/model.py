"""Backbone and method as one module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oodml.backbones.base import Backbone
from oodml.inputs import Source
from oodml.methods.base import Method, Output


class Network(nn.Module):
    """Inputs to Output: the backbone's features through the method's heads.

    Attributes:
        bf16: Whether the backbone trains in mixed precision; heads, losses and evaluation stay in float32.
    """

    def __init__(self, backbone: Backbone, method: Method, bf16: bool = False) -> None:
        super().__init__()
        self.backbone = backbone
        self.method = method
        self.bf16 = bf16
        self.trains_backbone = method.trains_backbone

    def set_backbone_trains(self, trains: bool) -> None:
        """Whether training reaches the backbone; one that does not train stays in eval mode."""
        self.trains_backbone = trains and self.method.trains_backbone
        self.train(self.training)

    def train(self, mode: bool = True) -> Network:
        """Training or eval mode."""
        super().train(mode)
        self.backbone.train(mode and self.trains_backbone)
        return self

    def forward(self, inputs: Tensor) -> Output:
        """Heads on the backbone's features."""
        with self._backbone_mode(inputs.device.type):
            features = self.backbone(inputs)
        last = None if features.feature_map is None else features.feature_map.float()
        output: Output = self.method(features.pooled.float(), last)
        return output

    @contextmanager
    def _backbone_mode(self, device: str) -> Iterator[None]:
        gradients = torch.is_grad_enabled() and self.trains_backbone
        with torch.set_grad_enabled(gradients), torch.autocast(device, torch.bfloat16, self.bf16 and self.training):
            yield


def extract(
    network: Network,
    source: Source,
    rows: NDArray[np.int64],
    pick: Callable[[Output], Tensor],
    batch_size: int = 256,
) -> Tensor:
    """What `pick` takes from the outputs of rows under the test transform, without gradient.

    Returns:
        Float32 on the CPU, first dimension len(rows). The network's mode is restored.
    """
    training = network.training
    network.eval()
    with torch.inference_mode():
        parts = [
            pick(network(source.test_inputs(rows[start : start + batch_size]))).float().cpu()
            for start in range(0, len(rows), batch_size)
        ]
    network.train(training)
    return torch.cat(parts)


def embed(network: Network, source: Source, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Test-time embeddings of rows, without gradient, shape (len(rows), d); the network's mode is restored."""
    return extract(network, source, rows, network.method.embed).numpy()
