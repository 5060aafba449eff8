"""Triplet loss with semi-hard negatives (Schroff et al., CVPR 2015)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from oodml.methods.base import Batch, Method, Output, number
from oodml.methods.mining import semihard


class Triplet(Method):
    """Mean over all triplets, zeros included, of [d_ap^2 - d_an^2 + m]+."""

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        """Loss over one triplet per anchor; 0 when the batch holds a single class."""
        z = outputs[0].embeddings["embedding"]
        margin = number(self.options, "margin")
        anchors, positives, negatives = semihard(z, batch.labels, self.context.generator, margin)
        if len(anchors) == 0:
            return z.sum() * 0
        d_ap = (z[anchors] - z[positives]).square().sum(1)
        d_an = (z[anchors] - z[negatives]).square().sum(1)
        return functional.relu(d_ap - d_an + margin).mean()
