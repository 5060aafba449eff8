"""Backbone and method as one module."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oodml.backbones.base import Backbone
from oodml.inputs import Source
from oodml.methods.base import Method, Output


class Network(nn.Module):
    """Inputs to Output: the backbone's features through the method's heads."""

    def __init__(self, backbone: Backbone, method: Method) -> None:
        super().__init__()
        self.backbone = backbone
        self.method = method

    def forward(self, inputs: Tensor) -> Output:
        """Heads on the backbone's features."""
        features = self.backbone(inputs)
        output: Output = self.method(features.pooled, features.feature_map)
        return output


def embed(network: Network, source: Source, rows: NDArray[np.int64], batch_size: int = 256) -> NDArray[np.float32]:
    """Test-time embeddings of rows, without gradient, shape (len(rows), d); the network's mode is restored."""
    training = network.training
    network.eval()
    with torch.inference_mode():
        parts = [
            network.method.embed(network(source.test_inputs(rows[start : start + batch_size]))).float().cpu()
            for start in range(0, len(rows), batch_size)
        ]
    network.train(training)
    return torch.cat(parts).numpy()
