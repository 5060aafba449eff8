"""Ready-made vectors as features: the backbone of frozen-feature studies."""

from __future__ import annotations

from torch import Tensor

from oodml.backbones.base import Backbone, BackboneInfo, Features, NetworkConfig
from oodml.errors import UsageError


class VectorBackbone(Backbone):
    """Identity over vectors."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, inputs: Tensor) -> Features:
        """The vectors themselves, shape (b, d), without a feature map."""
        return Features(inputs)


def build_vectors(config: NetworkConfig, num_inputs: int) -> VectorBackbone:
    """Makes the identity over vectors of width `num_inputs`.

    Raises:
        UsageError: If the width is missing, or weights, keywords or a normalisation are given.
    """
    if config.weights or config.args or config.mean or config.std:
        raise UsageError(f"the backbone {config.name!r} takes no --weights, --backbone-args, --mean or --std")
    if num_inputs < 1:
        raise UsageError(f"the backbone {config.name!r} needs vectors, of a width of at least 1, got {num_inputs}")
    return VectorBackbone(num_inputs)


INFO = BackboneInfo("vectors", "ready-made vectors as they are (dataset embeddings:FILE)", build_vectors)
