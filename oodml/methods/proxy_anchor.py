"""Proxy anchor loss (Kim et al., CVPR 2020)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from oodml.methods.base import Batch, Context, Method, Output, number, weightless
from oodml.records import Scalar


class ProxyAnchor(Method):
    """One proxy per class as anchor; all samples of the batch are its positives and negatives.

    Proxies start at N(0, 1)/8 whatever the number of classes, as in the study.
    """

    def __init__(self, context: Context, options: Mapping[str, Scalar]) -> None:
        super().__init__(context, options)
        self.proxies = nn.Parameter(torch.randn(context.num_classes, context.embedding_dim) / 8)

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        """Pull of the proxies whose class is in the batch, plus push of all proxies."""
        margin, alpha = number(self.options, "margin"), number(self.options, "alpha")
        s = outputs[0].embeddings["embedding"] @ functional.normalize(self.proxies, dim=1).T
        own = functional.one_hot(batch.labels, len(self.proxies)).bool()
        pull = functional.softplus((-alpha * (s - margin)).masked_fill(~own, -torch.inf).logsumexp(0))
        push = functional.softplus((alpha * (s + margin)).masked_fill(own, -torch.inf).logsumexp(0))
        present = own.any(0)
        if bool(self.options["published"]):  # over samples: a class drawn twice counts twice
            return pull[batch.labels].mean() + push.mean()
        return pull.masked_fill(~present, 0).sum() / present.sum() + push.mean()

    def extra_groups(self) -> list[dict[str, Any]]:
        """Proxies, without weight decay."""
        return weightless([self.proxies], number(self.options, "class_lr"))
