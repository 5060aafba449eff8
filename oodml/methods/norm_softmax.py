"""Normalised softmax (Zhai and Wu, BMVC 2019), the loss of pytorch-metric-learning."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pytorch_metric_learning import losses
from torch import Tensor

from oodml.methods.base import Batch, Context, Method, Output, number, weightless
from oodml.records import Scalar


class NormSoftmax(Method):
    """Cross-entropy of cosines with class vectors, divided by the temperature.

    Class vectors start at U(-1/sqrt(d), 1/sqrt(d)) as in the study; the library's N(0, 1) would make them turn more
    slowly under Adam, since they are normalised only in the forward pass.
    """

    def __init__(self, context: Context, options: Mapping[str, Scalar]) -> None:
        super().__init__(context, options)
        self.criterion = losses.NormalizedSoftmaxLoss(
            context.num_classes, context.embedding_dim, temperature=number(options, "temperature")
        )
        bound = 1 / math.sqrt(context.embedding_dim)
        torch.nn.init.uniform_(self.criterion.W, -bound, bound)

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        """Mean cross-entropy of the batch."""
        value: Tensor = self.criterion(outputs[0].embeddings["embedding"], batch.labels)
        return value

    def extra_groups(self) -> list[dict[str, Any]]:
        """Class vectors, without weight decay; at the run's learning rate where class_lr is 0."""
        return weightless(self.criterion.parameters(), number(self.options, "class_lr") or None)
