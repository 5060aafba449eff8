"""The contract of a method: a module built per run that owns its heads, loss, mining and hooks.

The training loop knows no method by name. It asks a method for the number of views, its sampler and parameter groups,
hands it what the backbone computed, steps on the scalar loss, and calls the hooks. A method that needs more (a second
batch, relabelling, a momentum copy of the network) gets at it through the `TrainState` of the hooks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from oodml.records import Scalar


@dataclass(frozen=True)
class Context:
    """What a method is built from.

    Attributes:
        num_features: Width f of the backbone's pooled features.
        embedding_dim: Width d of the embedding.
        num_classes: Number of training classes; labels are 0 .. num_classes - 1.
        generator: Randomness of the method (mining and so on), on the device that trains.
    """

    num_features: int
    embedding_dim: int
    num_classes: int
    generator: torch.Generator


@dataclass(frozen=True)
class Output:
    """What the network computes for a batch.

    Attributes:
        pooled: Pooled backbone features, shape (b, f), not normalised.
        feature_map: Last feature map, shape (b, f, h, w), or None.
        embeddings: One tensor (b, d_k) per head.
    """

    pooled: Tensor
    feature_map: Tensor | None
    embeddings: Mapping[str, Tensor]


@dataclass(frozen=True)
class Batch:
    """The inputs of one step.

    Attributes:
        inputs: One tensor per view: images (b, 3, s, s) or vectors (b, d).
        labels: Class of every sample, shape (b,), int64.
        rows: Row of every sample among the training samples, shape (b,).
        step: Number of steps done before this one.
    """

    inputs: tuple[Tensor, ...]
    labels: Tensor
    rows: Tensor
    step: int


@dataclass
class TrainState:
    """What the hooks see of a run; a method may replace `batches` (its sampler) at any epoch.

    Attributes:
        network: Backbone and method together: inputs to Output.
        labels: Labels of all training samples, shape (n,).
        batches: Iterator over row tensors, one per step.
        make_batch: Rows and step to a Batch, augmented anew: for methods that draw batches of their own.
        embed_rows: Rows to embeddings under the test transform, without gradient, shape (len(rows), d).
        validate: Metrics on the held-out training classes; empty if none are held out.
        step: Steps done.
        epoch: Epochs begun, from 0.
    """

    network: Callable[[Tensor], Output]
    labels: Tensor
    batches: Iterator[Tensor]
    make_batch: Callable[[Tensor, int], Batch]
    embed_rows: Callable[[Tensor], Tensor]
    validate: Callable[[], dict[str, float]]
    step: int = 0
    epoch: int = 0


def number(options: Mapping[str, Scalar], name: str) -> float:
    """A numeric option as float."""
    value = options[name]
    if isinstance(value, str) or value is None:
        raise TypeError(f"option {name} should be a number, got {value!r}")
    return float(value)


class Method(nn.Module):
    """Base of all methods: one linear head on the pooled features, L2-normalised.

    A subclass implements `loss`; everything else has a default.
    """

    num_views = 1
    """How many independently augmented views of each image a step gets."""

    distance: str | Callable[[Tensor, Tensor], Tensor] = "cosine"
    """How test embeddings are compared: "cosine", "euclidean", or a function (a method of the class, say) of queries
    (q, d) and gallery (g, d) that returns similarities (q, g), the nearest largest."""

    def __init__(self, context: Context, options: Mapping[str, Scalar]) -> None:
        super().__init__()
        self.context = context
        self.options = options
        self.heads = self.build_heads()

    def build_heads(self) -> nn.ModuleDict:
        """The heads by name; the default is one linear layer f -> d with torch's initialisation."""
        return nn.ModuleDict({"embedding": nn.Linear(self.context.num_features, self.context.embedding_dim)})

    def forward(self, pooled: Tensor, feature_map: Tensor | None = None) -> Output:
        """Heads applied to pooled features, each output of unit length."""
        heads = {name: functional.normalize(head(pooled), dim=1) for name, head in self.heads.items()}
        return Output(pooled, feature_map, heads)

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        """Scalar loss of a batch, given one Output per view."""
        raise NotImplementedError

    def embed(self, output: Output) -> Tensor:
        """The embedding used at test time, shape (b, d)."""
        return output.embeddings["embedding"]

    def extra_groups(self) -> list[dict[str, Any]]:
        """Parameter groups (params, lr, weight_decay) of everything that is not backbone or head."""
        return []

    def sampler(self, labels: Tensor, generator: torch.Generator) -> Iterator[Tensor] | None:
        """Own endless iterator of row tensors; None takes the sweep's sampler."""
        return None

    def on_start(self, state: TrainState) -> None:
        """Called once before the first step."""

    def on_epoch_start(self, state: TrainState) -> None:
        """Called when an epoch (as many samples as there are) begins."""

    def after_step(self, state: TrainState) -> None:
        """Called after each optimiser step."""
