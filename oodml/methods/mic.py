"""MIC: an auxiliary head learns what varies within classes, and keeps the class head free of it (Roth, ICCV 2019)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from oodml.methods.base import Batch, Context, Output, TrainState, number, weightless
from oodml.methods.cluster_matching import clustered
from oodml.methods.decorrelation import Decorrelation, weight_for_width
from oodml.methods.margin import Margin, MarginCriterion
from oodml.records import Scalar

HEAD, AUXILIARY = "embedding", "auxiliary"
ITERATIONS = {False: 20, True: 25}  # of k-means: intended, and published
Draw = Callable[[torch.Generator], tuple[Tensor, Tensor]]


def class_centred(features: Tensor, labels: Tensor) -> Tensor:
    """Unit features minus the mean of their class, shape (n, f)."""
    unit = functional.normalize(features, dim=1)
    sums = unit.new_zeros(int(labels.max()) + 1, unit.shape[1]).index_add_(0, labels, unit)
    return unit - (sums / labels.bincount().clamp(min=1)[:, None])[labels]


def cluster_batches(clusters: Tensor, sampler: Iterator[Tensor], noise: float) -> Draw:
    """Batches of the auxiliary task: by cluster, where some samples are swapped for one of a random other cluster.

    Args:
        clusters: Cluster of every training sample, shape (n,), on the CPU.
        sampler: Rows by cluster, endless.
        noise: Share of the samples that are swapped; they keep the label of the cluster they stand in for.

    Returns:
        A function from a generator to rows (b,) and labels (b,), both on the CPU.
    """
    counts = clusters.bincount()
    order, starts = clusters.argsort(stable=True), counts.cumsum(0) - counts

    def draw(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = next(sampler)
        labels = clusters[rows]
        coin, step, place = torch.rand(3, len(rows), generator=generator, device=generator.device).cpu()
        other = (labels + 1 + (step * (len(counts) - 1)).long()) % len(counts)
        swapped = (coin < noise) & (counts[other] > 0)
        strangers = order[(starts[other] + (place * counts[other]).long()).clamp(max=len(order) - 1)]
        return torch.where(swapped, strangers, rows), labels

    return draw


class Mic(Margin):
    """Margin losses of a class head and of a head for surrogate classes, and the decorrelation of both."""

    clusters: Tensor
    _batches: Draw | None = None

    def __init__(self, context: Context, options: Mapping[str, Scalar]) -> None:
        super().__init__(context, options)
        # three clusters per class at most, as a boundary without samples would never be trained
        self.num_clusters = max(1, min(int(number(options, "clusters")), 3 * context.num_classes))
        self.auxiliary = MarginCriterion(
            self.num_clusters, number(options, "beta"), number(options, "margin"), bool(options["published"])
        )
        gamma = weight_for_width(number(options, "gamma"), context.embedding_dim)
        self.decorrelation = Decorrelation({AUXILIARY: gamma}, context.embedding_dim)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._batches = None  # they go by the clusters from before the state was loaded

    def build_heads(self) -> nn.ModuleDict:
        """The class head, used at test time, and the auxiliary head, both f -> d."""
        f, d = self.context.num_features, self.context.embedding_dim
        return nn.ModuleDict({HEAD: nn.Linear(f, d), AUXILIARY: nn.Linear(f, d)})

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        """Loss of the class step."""
        return super().loss(outputs, batch) + self._decorrelate(outputs[0])

    def auxiliary_loss(self, output: Output, labels: Tensor) -> Tensor:
        """Loss of the auxiliary step, for surrogate labels (b,)."""
        z = output.embeddings[AUXILIARY]
        value: Tensor = self.auxiliary(z, labels, self.mine(z, labels))
        return value + self._decorrelate(output)

    def _decorrelate(self, output: Output) -> Tensor:
        value: Tensor = self.decorrelation(output.embeddings[HEAD], output.embeddings)
        return value

    def extra_groups(self) -> list[dict[str, Any]]:
        """Boundaries without weight decay; regressor with the published one of 1e-6."""
        boundaries = [*self.criterion.parameters(), *self.auxiliary.parameters()]
        regressor = {"params": list(self.decorrelation.parameters()), "weight_decay": 1e-6}
        return [*weightless(boundaries, number(self.options, "beta_lr")), regressor]

    def on_start(self, state: TrainState) -> None:
        """First surrogate labels, from class-centred features of the backbone."""
        rows = torch.arange(len(state.labels))
        self.register_buffer("clusters", torch.zeros(len(rows), dtype=torch.long))
        self._cluster(class_centred(state.extract(rows, lambda output: output.pooled), state.labels))

    def on_epoch_start(self, state: TrainState) -> None:
        """New surrogate labels from time to time, from the auxiliary embeddings."""
        every = max(1, int(number(self.options, "relabel_epochs"))) + bool(self.options["published"])
        if state.epoch > 0 and state.epoch % every == 0:
            rows = torch.arange(len(state.labels))
            self._cluster(state.extract(rows, lambda output: output.embeddings[AUXILIARY]))

    def _cluster(self, features: Tensor) -> None:
        iterations = ITERATIONS[bool(self.options["published"])]
        self.clusters.copy_(clustered(features, self.num_clusters, self.context.generator, iterations))
        self._batches = None

    def after_step(self, state: TrainState) -> None:
        """With some probability a step of the auxiliary task, on a batch of its own."""
        generator = self.context.generator
        if float(torch.rand(1, generator=generator, device=generator.device)) >= number(self.options, "share"):
            return
        if self._batches is None:
            clusters = self.clusters.cpu()
            self._batches = cluster_batches(clusters, state.make_sampler(clusters), number(self.options, "noise"))
        rows, labels = self._batches(generator)
        batch = state.make_batch(rows, state.step)
        state.optimize(self.auxiliary_loss(state.network(batch.inputs[0]), labels.to(batch.labels.device)))
