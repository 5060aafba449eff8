"""Methods that pytorch-metric-learning provides: a loss, and a miner that fits it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pytorch_metric_learning import losses, miners
from pytorch_metric_learning.utils.common_functions import TorchInitWrapper
from torch import Tensor, nn

from oodml.methods.base import Batch, Context, Method, Output, number
from oodml.records import Scalar


class LibraryMethod(Method):
    """A library loss on the single embedding head; the loss' own parameters train with `class_lr`."""

    def __init__(
        self,
        context: Context,
        options: Mapping[str, Scalar],
        criterion: nn.Module,
        miner: nn.Module | None = None,
    ) -> None:
        super().__init__(context, options)
        self.criterion = criterion
        self.miner = miner

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        """The library's loss on what its miner selects."""
        z = outputs[0].embeddings["embedding"]
        pairs = self.miner(z, batch.labels) if self.miner is not None else None
        value: Tensor = self.criterion(z, batch.labels, pairs)
        return value

    def extra_groups(self) -> list[dict[str, Any]]:
        """Class vectors or proxies, without weight decay."""
        params = list(self.criterion.parameters())
        return [{"params": params, "lr": number(self.options, "class_lr"), "weight_decay": 0.0}] if params else []


def multisimilarity(context: Context, options: Mapping[str, Scalar]) -> Method:
    """Multi-similarity; negative weight 40 as in the study (the paper's own is 50)."""
    criterion = losses.MultiSimilarityLoss(
        alpha=number(options, "alpha"), beta=number(options, "beta"), base=number(options, "base")
    )
    return LibraryMethod(context, options, criterion, miners.MultiSimilarityMiner(epsilon=number(options, "epsilon")))


def arcface(context: Context, options: Mapping[str, Scalar]) -> Method:
    """ArcFace; class vectors start at U(-1/sqrt(D), 1/sqrt(D)).

    The library's N(0, 1) would start them 40 times longer at D = 512 and, since they are normalised in the forward
    pass, slow their turning under Adam by as much.
    """
    bound = 1 / math.sqrt(context.embedding_dim)
    criterion = losses.ArcFaceLoss(
        num_classes=context.num_classes,
        embedding_size=context.embedding_dim,
        margin=math.degrees(number(options, "margin")),
        scale=number(options, "scale"),
        weight_init_func=TorchInitWrapper(torch.nn.init.uniform_, a=-bound, b=bound),
    )
    return LibraryMethod(context, options, criterion)


def proxy_anchor(context: Context, options: Mapping[str, Scalar]) -> Method:
    """Proxy anchor; proxies start at N(0, 1)/8 whatever the number of classes, as in the study."""
    criterion = losses.ProxyAnchorLoss(
        num_classes=context.num_classes,
        embedding_size=context.embedding_dim,
        margin=number(options, "margin"),
        alpha=number(options, "alpha"),
        weight_init_func=TorchInitWrapper(torch.nn.init.normal_, std=0.125),
    )
    return LibraryMethod(context, options, criterion)
