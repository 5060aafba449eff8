"""The contract of a method: a module built per run that owns its heads, loss, mining and hooks.

The training loop knows no method by name. It asks a method for the number of views and its parameter groups, hands it
what the backbone computed, steps on the scalar loss, and calls the hooks. A method that needs more (other batches,
steps of its own, relabelling, a momentum copy of the network) gets at it through the `TrainState` of the hooks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
    """What the hooks see of a run, and what they may do with it.

    Rows are positions among the training samples. A run resumes from a checkpoint after `on_start`: what changes later
    has to stand in parameters, buffers, `get_extra_state` or `own_optimizers`, and an iterator put into `batches` may
    keep nothing else between two batches.

    Attributes:
        network: Backbone and method together: inputs to Output; `network.backbone` is the backbone alone.
        labels: Labels of all training samples, shape (n,), on the CPU.
        batches: Endless iterator over row tensors, one per step; a method may replace it at any epoch.
        make_sampler: Labels (m,) to an endless iterator like `batches`, of rows counted among these m.
        make_batch: Rows and step to a Batch, augmented anew: for methods that draw batches of their own.
        extract: Rows, and what to take from an Output, under the test transform: float32 on the CPU, no gradient.
        score: Rows and names of metrics to their values for the test-time embeddings of these rows.
        optimize: One step of the run's optimiser on a loss: for methods that take steps of their own.
        batch_size: Samples per batch.
        num_steps: Steps of the whole run.
        steps_per_epoch: Steps of a pass over the training samples.
        step: Steps done.
        epoch: Epochs begun, from 0.
    """

    network: Any
    labels: Tensor
    batches: Iterator[Tensor]
    make_sampler: Callable[[Tensor], Iterator[Tensor]]
    make_batch: Callable[[Tensor, int], Batch]
    extract: Callable[[Tensor, Callable[[Output], Tensor]], Tensor]
    score: Callable[[Tensor, Sequence[str]], dict[str, float]]
    optimize: Callable[[Tensor], None]
    batch_size: int
    num_steps: int
    steps_per_epoch: int
    step: int = 0
    epoch: int = 0


def number(options: Mapping[str, Scalar], name: str) -> float:
    """A numeric option as float; true counts as 1."""
    value = options[name]
    if isinstance(value, str) or value is None:
        raise TypeError(f"option {name} should be a number, got {value!r}")
    return float(value)


def weightless(parameters: Iterable[nn.Parameter], lr: float | None = None) -> list[dict[str, Any]]:
    """A parameter group without weight decay, at the run's learning rate unless another is given; [] if empty."""
    params = list(parameters)
    rate = {} if lr is None else {"lr": lr}
    return [{"params": params, "weight_decay": 0.0, **rate}] if params else []


class Method(nn.Module):
    """Base of all methods: one linear head on the pooled features, L2-normalised.

    A subclass implements `loss`; everything else has a default.
    """

    num_views = 1
    """How many independently augmented views of each image a step gets."""

    distance: str | Callable[[Tensor, Tensor], Tensor] = "cosine"
    """How test embeddings are compared: "cosine", "euclidean", or a function (a method of the class, say) of queries
    (q, d) and gallery (g, d) that returns similarities (q, g), the nearest largest."""

    trains_backbone = True
    """False keeps the backbone as it is, in eval mode; only the heads train."""

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

    def own_optimizers(self) -> list[torch.optim.Optimizer]:
        """Optimisers that the method steps by itself; their parameters are left out of the run's optimiser."""
        return []

    def on_start(self, state: TrainState) -> None:
        """Called once before the first step."""

    def on_epoch_start(self, state: TrainState) -> None:
        """Called when an epoch (as many samples as there are) begins."""

    def after_step(self, state: TrainState) -> None:
        """Called after each optimiser step."""
