"""A fixed classifier: class vectors are the vertices of a regular simplex (Pernici et al., TNNLS 2021)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from oodml.methods.base import Batch, Context, Method, Output, number
from oodml.records import Scalar


def simplex_vertices(num_classes: int) -> Tensor:
    """Corners of the regular simplex around the origin, of unit length, shape (num_classes, num_classes - 1).

    With n = num_classes - 1 the corners are sqrt(1 + 1/n) e_i - n^(-3/2) (sqrt(n + 1) + 1) 1, and n^(-1/2) 1.
    """
    n = num_classes - 1
    corners: Tensor = torch.eye(num_classes, n) * math.sqrt(1 + 1 / n) - (math.sqrt(n + 1) + 1) / n**1.5
    corners[n] = 1 / math.sqrt(n)
    return corners


class Simplex(Method):
    """Cross-entropy of scaled cosines with class vectors that never move, the own class at an angle plus the margin.

    The classes say where in the space they end up, so the embedding is as wide as their simplex: num_classes - 1.
    """

    vertices: Tensor

    def __init__(self, context: Context, options: Mapping[str, Scalar]) -> None:
        super().__init__(context, options)
        # not persistent: it follows from the number of classes, and grows with its square
        self.register_buffer("vertices", simplex_vertices(context.num_classes), persistent=False)

    def build_heads(self) -> nn.ModuleDict:
        """One linear layer f -> num_classes - 1, whatever the width of the other methods' embeddings."""
        return nn.ModuleDict({"embedding": nn.Linear(self.context.num_features, self.context.num_classes - 1)})

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        """Mean cross-entropy of the batch."""
        cosines = outputs[0].embeddings["embedding"] @ self.vertices.T
        margin = number(self.options, "margin")
        if margin:
            own = functional.one_hot(batch.labels, self.context.num_classes).bool()
            cosines = torch.where(own, _turned(cosines, margin), cosines)
        return functional.cross_entropy(number(self.options, "scale") * cosines, batch.labels)


def _turned(cosines: Tensor, margin: float) -> Tensor:
    """cos(theta + margin), continued by a straight line where the angle exceeds pi (Deng et al., CVPR 2019)."""
    sines = (1 - cosines.square()).clamp(min=1e-7).sqrt()  # the root has no slope at 0
    turned = cosines * math.cos(margin) - sines * math.sin(margin)
    return torch.where(cosines > -math.cos(margin), turned, cosines - margin * math.sin(margin))
