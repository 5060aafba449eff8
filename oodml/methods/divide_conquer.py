"""Divide and conquer the embedding space (Sanakoyeu et al., CVPR 2019)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from oodml.methods.base import Batch, Context, Method, Output, TrainState, number, weightless
from oodml.methods.cluster_matching import clustered, has_partner, new_numbers
from oodml.methods.margin import distances_between
from oodml.methods.mining import pairwise_distances
from oodml.records import Scalar

PUBLISHED_START = 8 / 19  # of the joint phase: where the original's loss turns to the whole embedding
FAR = 10.0  # beyond any distance of unit vectors


def closest_beyond(z: Tensor, labels: Tensor, cutoff: float) -> tuple[Tensor, Tensor]:
    """Pairs of different classes: for every anchor the closest samples that are at least `cutoff` away.

    An anchor gets as many as the anchors of the batch have positives on average. Where too few are so far away the
    farthest of the closer ones take their places; the original leaves them empty, and an embedding that starts with
    all samples close to each other would have nothing to part them.

    Args:
        z: Unit vectors, shape (b, d).
        labels: Classes, shape (b,).
        cutoff: Euclidean distance in [0, 2].

    Returns:
        Anchors and negatives, each (t,).
    """
    same = labels[:, None] == labels[None, :]
    count = round(float(same.sum()) / len(z) - 1)
    d = pairwise_distances(z)
    keys = torch.where(d >= cutoff, d, FAR - d).masked_fill(same, torch.inf)
    nearest = keys.topk(min(count, len(z)), largest=False)
    places = nearest.values.isfinite().nonzero()
    return places[:, 0], nearest.indices[places[:, 0], places[:, 1]]


def pair_loss(z: Tensor, labels: Tensor, beta: Tensor, margin: float, cutoff: float) -> Tensor:
    """([d - beta + m]+ over all positive pairs, [beta - d + m]+ over the mined negative ones) per active term.

    Args:
        z: Unit vectors, shape (b, d).
        labels: Classes, shape (b,).
        beta: Boundary, shape ().
        margin: m.
        cutoff: Distance from which negatives count, see `closest_beyond`.
    """
    same = labels[:, None] == labels[None, :]
    anchors, positives = same.fill_diagonal_(False).nonzero(as_tuple=True)
    too_far = functional.relu(distances_between(z, anchors, positives) - beta + margin)
    too_close = functional.relu(beta - distances_between(z, *closest_beyond(z, labels, cutoff)) + margin)
    active = (too_far > 0).sum() + (too_close > 0).sum()
    return (too_far.sum() + too_close.sum()) / active.clamp(min=1)


class DivideConquer(Method):
    """K slices of one embedding, each trained on a cluster of the images alone, then all together on all images."""

    def __init__(self, context: Context, options: Mapping[str, Scalar]) -> None:
        super().__init__(context, options)
        boundaries = torch.full((self.num_learners + 1,), number(options, "beta"))  # the last of the whole embedding
        self.beta = nn.Parameter(boundaries, requires_grad=bool(options["learn_beta"]))
        self.joint_step = 0

    def build_heads(self) -> nn.ModuleDict:
        """One linear layer whose slices are initialised on their own."""
        self.num_learners = max(1, min(int(number(self.options, "learners")), self.context.embedding_dim))
        width = self.context.embedding_dim // self.num_learners
        head = nn.Linear(self.context.num_features, self.num_learners * width)
        for part in head.weight.split(width):
            nn.init.xavier_normal_(part)
        return nn.ModuleDict({"embedding": head})

    def forward(self, pooled: Tensor, feature_map: Tensor | None = None) -> Output:
        """The slices, each of unit length, one after another and divided by sqrt(K): a unit vector (b, K width)."""
        values = self.heads["embedding"](self._drop(pooled)).view(len(pooled), self.num_learners, -1)
        z = functional.normalize(values, dim=2).flatten(1) / math.sqrt(self.num_learners)
        return Output(pooled, feature_map, {"embedding": z})

    def _drop(self, pooled: Tensor) -> Tensor:
        """Dropout by the method's own generator, which a checkpoint keeps."""
        rate = number(self.options, "dropout")
        if not self.training or rate <= 0:
            return pooled
        uniform = torch.rand(pooled.shape, generator=self.context.generator, device=pooled.device)
        return pooled * (uniform >= rate) / (1 - rate)

    def slices(self, z: Tensor) -> Tensor:
        """The unit vectors of the learners, shape (b, K, width), of embeddings (b, K width)."""
        return z.view(len(z), self.num_learners, -1) * math.sqrt(self.num_learners)

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        """Loss of the learner whose cluster the batch is from; at the end of the whole embedding."""
        z = outputs[0].embeddings["embedding"]
        learner = self.learner_of(batch)
        part = z if learner == self.num_learners else self.slices(z)[:, learner]
        margin, cutoff = number(self.options, "margin"), number(self.options, "cutoff")
        return pair_loss(part, batch.labels, self.beta[learner], margin, cutoff)

    def learner_of(self, batch: Batch) -> int:
        """Number of the learner that a batch trains; K means all together.

        A batch from several clusters, drawn in place of one that is too small, trains the learner whose turn it is.
        """
        start = self.joint_step * PUBLISHED_START if self.options["published"] else self.joint_step
        if batch.step >= start:
            return self.num_learners
        clusters = self.cluster_of[batch.rows.cpu()].unique()
        return int(clusters[0]) if len(clusters) == 1 else max(0, int(self.turn) - 1) % self.num_learners

    def extra_groups(self) -> list[dict[str, Any]]:
        """The boundaries, if they are learned."""
        return weightless([self.beta], number(self.options, "beta_lr")) if self.beta.requires_grad else []

    def on_start(self, state: TrainState) -> None:
        """Makes room for the clusters, and takes over which rows are drawn."""
        self.joint_step = math.ceil(number(self.options, "joint_from") * state.num_steps)
        # registered here, so that they stay on the CPU: they are looked up by rows, and must not wait for a device
        self.register_buffer("cluster_of", torch.zeros(len(state.labels), dtype=torch.int64))
        self.register_buffer("clusterings", torch.zeros((), dtype=torch.int64))
        self.register_buffer("turn", torch.zeros((), dtype=torch.int64))
        self.cluster_of: Tensor
        self.clusterings: Tensor
        self.turn: Tensor
        state.batches = self._batches(state)

    def on_epoch_start(self, state: TrainState) -> None:
        """Every so many epochs, until the end begins: clusters the images anew."""
        every = max(1, int(number(self.options, "every_epochs")))
        if state.epoch % every == 0 and state.step < self.joint_step:
            self.divide(state)

    def divide(self, state: TrainState) -> None:
        """Clusters all training images by their unit pooled features; a cluster keeps its number if it can."""
        rows = torch.arange(len(state.labels))
        features = state.extract(rows, lambda output: functional.normalize(output.pooled, dim=1))
        clusters = clustered(features, self.num_learners, self.context.generator)
        if int(self.clusterings) > 0:
            published = bool(self.options["published"])
            clusters = new_numbers(clusters, self.cluster_of, self.num_learners, published)[clusters]
        self.cluster_of.copy_(clusters)
        self.clusterings += 1

    def _batches(self, state: TrainState) -> Iterator[Tensor]:
        """Batches of one cluster after the other, then ordinary ones; all it knows stands in buffers."""
        everything = state.make_sampler(state.labels)
        samplers: list[Iterator[Tensor]] = []
        made_for = -1
        while True:
            if state.step >= self.joint_step:
                yield next(everything)
                continue
            if made_for != int(self.clusterings):
                made_for = int(self.clusterings)
                samplers = [self._sampler(state, k) or everything for k in range(self.num_learners)]
            self.turn += 1
            yield next(samplers[(int(self.turn) - 1) % self.num_learners])

    def _sampler(self, state: TrainState, cluster: int) -> Iterator[Tensor] | None:
        """Batches of a cluster from the images that have a partner there; None below two such classes."""
        rows = (has_partner(state.labels, self.cluster_of) & (self.cluster_of == cluster)).nonzero().squeeze(1)
        if len(state.labels[rows].unique()) < 2:
            return None
        return (rows[picked] for picked in state.make_sampler(state.labels[rows]))
