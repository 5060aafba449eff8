"""Squared hinges on cosines: pairs beyond their bound give nothing, the others the more the further they are off."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from oodml.methods.base import Batch, Method, Output, number


class SquaredHinge(Method):
    """The loss on the default head, which is one linear layer to unit vectors."""

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        """Scalar loss over all pairs of the batch; 0 for a batch without pairs."""
        z = outputs[0].embeddings["embedding"]
        upper, lower = number(self.options, "upper"), number(self.options, "lower")
        cosines = z @ z.t()
        same = batch.labels[:, None] == batch.labels[None]
        pairs = ~torch.eye(len(z), dtype=torch.bool, device=z.device)
        too_far = (upper - cosines).relu().square()
        too_close = (cosines - lower).relu().square()
        return _mean(too_far, same & pairs) + _mean(too_close, ~same)


def _mean(values: Tensor, where: Tensor) -> Tensor:
    """Mean of the chosen values; 0, still attached to the graph, where there are none."""
    return (values * where).sum() / where.sum().clamp(min=1)
