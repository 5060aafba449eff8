"""What a backbone is: images (or vectors) in, last feature map and pooled features out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from oodml.networks import NetworkConfig

__all__ = ["Backbone", "BackboneInfo", "Features", "NetworkConfig", "normalise"]


@dataclass(frozen=True)
class Features:
    """What a backbone computes for a batch.

    Attributes:
        pooled: Pooled features, shape (b, f), not normalised.
        feature_map: Last feature map before pooling, shape (b, f, h, w); None for vectors and transformers.
    """

    pooled: Tensor
    feature_map: Tensor | None = None


class Backbone(nn.Module):
    """Base of all backbones.

    Attributes:
        num_features: Width f of the pooled features.
        mean: Channel means the input is normalised with, in [0, 1].
        std: Channel standard deviations.
        input_size: Side in pixels the network was trained at.
    """

    num_features: int
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    input_size: int = 224

    def forward(self, inputs: Tensor) -> Features:
        """Features of normalised images (b, 3, s, s) or of vectors (b, d)."""
        raise NotImplementedError


@dataclass(frozen=True)
class BackboneInfo:
    """A registered backbone that is not a timm model.

    Attributes:
        name: Registered name.
        summary: One line for `oodml backbones`.
        build: Makes the module from the config and the width of the input vectors.
    """

    name: str
    summary: str
    build: Callable[[NetworkConfig, int], Backbone]


def normalise(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Uint8 images (b, 3, h, w) as normalised float32."""
    shape = (1, -1, 1, 1)
    mean_t, std_t = (torch.tensor(v, device=images.device).view(shape) for v in (mean, std))
    return (images.float() / 255 - mean_t) / std_t
