"""Margin loss with distance-weighted sampling (Wu et al., ICCV 2017)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytorch_metric_learning import losses
from torch import Tensor

from oodml.methods.base import Batch, Context, Method, Output, number
from oodml.methods.mining import distance_weighted
from oodml.records import Scalar


class Margin(Method):
    """[d_ap - beta_y + m]+ + [beta_y - d_an + m]+ with a learned beta per class, over the active terms.

    The miner is our own: the library's takes one maximum over the batch and drops anchors (see `mining.py`).
    """

    def __init__(self, context: Context, options: Mapping[str, Scalar]) -> None:
        super().__init__(context, options)
        self.criterion = losses.MarginLoss(
            margin=number(self.options, "margin"),
            beta=number(self.options, "beta"),
            nu=0,
            learn_beta=True,
            num_classes=context.num_classes,
        )

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        """Loss over one triplet per anchor."""
        z = outputs[0].embeddings["embedding"]
        triplets = distance_weighted(z, batch.labels, self.context.generator)
        value: Tensor = self.criterion(z, batch.labels, triplets)
        return value

    def extra_groups(self) -> list[dict[str, Any]]:
        """The boundaries, without weight decay."""
        return [
            {
                "params": list(self.criterion.parameters()),
                "lr": number(self.options, "beta_lr"),
                "weight_decay": 0.0,
            }
        ]
