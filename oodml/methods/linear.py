"""The control between frozen and fine-tuned: a linear head on features that stay as they are."""

from __future__ import annotations

from torch import nn

from oodml.methods.margin import Margin


class Linear(Margin):
    """The margin loss reaches the head and its boundaries only."""

    trains_backbone = False

    def build_heads(self) -> nn.ModuleDict:
        """One linear layer on standardised features f -> d: as they are they may lie in one narrow cone."""
        width, dim = self.context.num_features, self.context.embedding_dim
        return nn.ModuleDict({"embedding": nn.Sequential(nn.BatchNorm1d(width, affine=False), nn.Linear(width, dim))})
