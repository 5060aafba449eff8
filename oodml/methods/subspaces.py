"""Dynamic subspace learners with attention (Adiga V, Dolz and Lombaert, JBHI 2022)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from oodml.methods.base import Batch, Context, Output, TrainState, number
from oodml.methods.cluster_matching import clustered, has_partner, new_numbers
from oodml.methods.margin import Margin
from oodml.records import Scalar

IMPROVEMENT = 0.01  # the training loss is noisy: less than this share counts as standing still


class Attention(nn.Module):
    """Three 3 x 3 convolutions f -> f/8 -> f/32 -> 1 and a sigmoid: a weight in (0, 1) for every place of a map."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        widths = [num_features, max(4, num_features // 8), max(4, num_features // 32)]
        self.layers = nn.Sequential(
            nn.Conv2d(widths[0], widths[1], 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(widths[1], widths[2], 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(widths[2], 1, 3, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, feature_map: Tensor) -> Tensor:
        """Weights (b, 1, h, w) of a map (b, f, h, w)."""
        weights: Tensor = self.layers(feature_map)
        return weights


class Subspaces(Margin):
    """Learners on disjoint dimensions of one embedding, one at first, each trained on a cluster of its own.

    Where the training loss stops falling, the dimensions of the newest learner that matter most to it are closed off
    as a learner, and the rest starts anew as the next. At the end of training all learn jointly from all samples.

    Attributes:
        owner: Learner of every dimension, shape (d,).
        taylor: Sum over this epoch's samples of activation times gradient, shape (d,).
        epoch_loss: Sum and number of this epoch's losses, shape (2,).
        clusters: Learner that every training sample is for, shape (n,); -1 for none.
        active: How many learners there are.
        joint_step: Step from which all learn jointly.
        patience: Epochs without a lower loss that count as standing still.
    """

    owner: Tensor
    taylor: Tensor
    epoch_loss: Tensor
    clusters: Tensor

    def __init__(self, context: Context, options: Mapping[str, Scalar]) -> None:
        super().__init__(context, options)
        self.attention = Attention(context.num_features)
        self.register_buffer("owner", torch.zeros(context.embedding_dim, dtype=torch.long))
        self.register_buffer("taylor", torch.zeros(context.embedding_dim))
        self.register_buffer("epoch_loss", torch.zeros(2))
        self.active, self.best, self.waited = 1, float("inf"), 0
        self.joint_step, self.patience = 0, 1
        self._samplers: dict[int, Iterator[Tensor]] = {}

    def forward(self, pooled: Tensor, feature_map: Tensor | None = None) -> Output:
        """Unit slices of the embedding, divided so that their concatenation has unit length.

        `Output.pooled` holds the features that the head sees: with attention, where there is a feature map.
        """
        if feature_map is not None:
            pooled = (feature_map * self.attention(feature_map)).mean((2, 3))
        raw = self.heads["embedding"](pooled)
        belongs = functional.one_hot(self.owner, self.active).to(raw.dtype)
        lengths = (raw.square() @ belongs).sqrt().clamp(min=1e-12)
        return Output(pooled, feature_map, {"embedding": raw / lengths[:, self.owner] / self.active**0.5})

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        """Margin loss of the learner whose turn it is, or of the whole embedding in the joint phase."""
        z = outputs[0].embeddings["embedding"]
        if z.requires_grad:
            z.register_hook(partial(self._add_importance, z.detach()))
        if self.active > 1 and batch.step < self.joint_step:
            z = z[:, self.owner == batch.step % self.active] * self.active**0.5
        value: Tensor = self.criterion(z, batch.labels, self.mine(z, batch.labels))
        self.epoch_loss += torch.stack([value.detach(), torch.ones_like(value)])
        return value

    def _add_importance(self, activations: Tensor, gradients: Tensor) -> None:
        self.taylor += (activations * gradients).sum(0)

    def on_start(self, state: TrainState) -> None:
        """Takes over the batches: in turn one for each learner."""
        self.register_buffer("clusters", torch.zeros(len(state.labels), dtype=torch.long))
        self.joint_step = int(number(self.options, "joint_from") * state.num_steps)
        self.patience = max(1, round(number(self.options, "patience") * state.num_steps / state.steps_per_epoch))
        state.batches = self._batches(state, state.batches)

    def _batches(self, state: TrainState, everything: Iterator[Tensor]) -> Iterator[Tensor]:
        while True:
            alone = self.active == 1 or state.step >= self.joint_step
            yield next(everything) if alone else self._of_cluster(state.step % self.active, state, everything)

    def _of_cluster(self, learner: int, state: TrainState, everything: Iterator[Tensor]) -> Tensor:
        """Rows of a batch for a learner, from its cluster if that holds two classes."""
        rows = (self.clusters == learner).nonzero().squeeze(1)
        if len(state.labels[rows].unique()) < 2:
            return next(everything)
        if learner not in self._samplers:  # samplers keep nothing: a resumed run makes the same ones
            self._samplers[learner] = state.make_sampler(state.labels[rows])
        return rows[next(self._samplers[learner])]

    def on_epoch_start(self, state: TrainState) -> None:
        """Adds a learner where the last epochs brought nothing, and deals the samples out anew."""
        if state.step >= self.joint_step:
            return
        added = state.epoch > 0 and self._plateau() and self._split()
        self.taylor.zero_()
        self.epoch_loss.zero_()
        if self.active > 1 and (added or state.epoch % int(number(self.options, "recluster_epochs")) == 0):
            self._recluster(state)

    def _plateau(self) -> bool:
        """Whether the mean loss has not fallen by 1% below its best for long enough."""
        mean = float(self.epoch_loss[0] / self.epoch_loss[1].clamp(min=1))
        better = mean < self.best * (1 - IMPROVEMENT)
        self.best, self.waited = (mean, 0) if better else (self.best, self.waited + 1)
        return self.waited >= self.patience and self.active < number(self.options, "max_learners")

    def _split(self) -> bool:
        """Closes off the most important dimensions of the newest learner; false if it is too narrow for that."""
        narrowest = number(self.options, "min_width")
        mine = (self.owner == self.active - 1).nonzero().squeeze(1)
        scores = self.taylor[mine].abs()
        scores = (scores - scores.min()) / (scores.max() - scores.min()).clamp(min=1e-12)
        rest = mine[scores <= number(self.options, "threshold")]
        if len(mine) <= 2 * narrowest or len(mine) - len(rest) < narrowest:
            return False
        self.owner[rest] = self.active
        self._start_anew(rest)
        self.active, self.best, self.waited = self.active + 1, float("inf"), 0
        return True

    @torch.no_grad()
    def _start_anew(self, dimensions: Tensor) -> None:
        """Fresh weights (Xavier normal) for some dimensions of the head."""
        head = self.heads["embedding"]
        assert isinstance(head, nn.Linear)
        generator, device, width = self.context.generator, head.weight.device, head.in_features
        weights = torch.randn(len(dimensions), width, generator=generator, device=device)
        head.weight[dimensions] = weights * (2 / (width + len(dimensions))) ** 0.5
        head.bias[dimensions] = (2 * torch.rand(len(dimensions), generator=generator, device=device) - 1) / width**0.5

    def _recluster(self, state: TrainState) -> None:
        """Clusters of the samples by the features below the head, as many as learners, each kept by its learner."""
        features = state.extract(torch.arange(len(state.labels)), lambda output: functional.normalize(output.pooled))
        found = clustered(features, self.active, self.context.generator)
        known = self.clusters >= 0
        clusters = new_numbers(found[known], self.clusters[known], self.active)[found]
        self.clusters.copy_(torch.where(has_partner(state.labels, clusters), clusters, -1))
        self._samplers.clear()

    def get_extra_state(self) -> dict[str, float]:
        """How many learners there are, and how long the loss has stood still."""
        return {"active": self.active, "best": self.best, "waited": self.waited}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Brings it back."""
        self.active, self.best, self.waited = int(state["active"]), float(state["best"]), int(state["waited"])
