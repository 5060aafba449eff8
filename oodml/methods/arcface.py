"""Additive angular margin (Deng et al., ArcFace, CVPR 2019)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from oodml.methods.base import Batch, Context, Method, Output, number, weightless
from oodml.records import Scalar

EDGE = 1e-7  # distance from 1 at which the slope of arccos is still finite in float32


class ArcFace(Method):
    """Cross-entropy over scaled cosines with class vectors, the own class at an angle larger by the margin.

    Class vectors start at U(-1/sqrt(d), 1/sqrt(d)) as in the study: N(0, 1) would make them 40 times longer at d = 512
    and, since they are normalised in the forward pass, slow their turning under Adam by as much.
    """

    def __init__(self, context: Context, options: Mapping[str, Scalar]) -> None:
        super().__init__(context, options)
        bound = 1 / math.sqrt(context.embedding_dim)
        self.classes = nn.Parameter(torch.empty(context.num_classes, context.embedding_dim).uniform_(-bound, bound))

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        """Mean cross-entropy of the batch."""
        cosines = outputs[0].embeddings["embedding"] @ functional.normalize(self.classes, dim=1).T
        margin, published = number(self.options, "margin"), bool(self.options["published"])
        own = nn.functional.one_hot(batch.labels, len(self.classes)).bool()
        lowest = 1e-10 if published else -1 + EDGE
        cosines = cosines.clamp(lowest, 1 - EDGE)
        angles = cosines.arccos()
        moved = (angles + margin).cos()
        if not published:  # beyond pi the cosine would rise again; the authors continue it linearly
            moved = torch.where(angles + margin > math.pi, cosines - margin * math.sin(margin), moved)
        logits = number(self.options, "scale") * torch.where(own, moved, cosines)
        return functional.cross_entropy(logits, batch.labels)

    def extra_groups(self) -> list[dict[str, Any]]:
        """Class vectors, without weight decay."""
        return weightless([self.classes], number(self.options, "class_lr"))
