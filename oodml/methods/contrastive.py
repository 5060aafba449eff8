"""Contrastive loss with distance-weighted negatives (Hadsell et al., CVPR 2006)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytorch_metric_learning import losses, reducers
from torch import Tensor

from oodml.methods.base import Batch, Context, Method, Output, number
from oodml.methods.mining import distance_weighted
from oodml.records import Scalar


class Contrastive(Method):
    """Mean of [d_ap - m+]+ plus mean of [m- - d_an]+, zeros included, over one positive and negative per anchor."""

    def __init__(self, context: Context, options: Mapping[str, Scalar]) -> None:
        super().__init__(context, options)
        self.criterion = losses.ContrastiveLoss(
            pos_margin=number(self.options, "pos_margin"),
            neg_margin=number(self.options, "neg_margin"),
            reducer=reducers.MeanReducer(),
        )

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        """Loss over the pairs of one triplet per anchor."""
        z = outputs[0].embeddings["embedding"]
        triplets = distance_weighted(z, batch.labels, self.context.generator)
        value: Tensor = self.criterion(z, batch.labels, triplets)
        return value
