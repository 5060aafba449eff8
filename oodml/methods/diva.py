"""DiVA: discriminative, shared, self-supervised and intra-class features (Milbich et al., ECCV 2020)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from oodml.methods.base import Batch, Output, TrainState, number
from oodml.methods.dance import MomentumKeys, dance_loss
from oodml.methods.diverse_heads import DiverseHeads
from oodml.methods.mining import Triplets, distance_weighted
from oodml.methods.mining_shared import permuted_labels, within_class


class Diva(DiverseHeads):
    """L_disc + alpha (L_shared + L_selfsimilarity + L_intra) + L_decorrelation, one head each for the first four."""

    parts = ("discriminative", "shared", "selfsimilarity", "intra")
    ranked = ("discriminative", "shared", "intra")
    momentum: MomentumKeys
    _make_batch: Callable[[Tensor, int], Batch]
    _fresh: Tensor | None = None  # keys of the current step, which enter the queue after it

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        """Loss of a batch; its second view is drawn here, as only the momentum network sees it."""
        output, z = outputs[0], outputs[0].embeddings
        options, generator = self.options, self.context.generator
        published = bool(options["published"])
        self._fresh = self.momentum(self._make_batch(batch.rows, batch.step).inputs[0])
        triplets = {
            "discriminative": distance_weighted(z["discriminative"], batch.labels, generator),
            "shared": permuted_labels(z["shared"], batch.labels, generator),
            "intra": self.mine_intra(z["intra"], batch.labels),
        }
        main, shared, intra = (self.ranking(part, output, batch, triplets[part]) for part in self.ranked)
        queue, temperature = self.momentum.queue, number(options, "temperature")
        contrast = dance_loss(z["selfsimilarity"], self._fresh, queue, temperature, published)
        return main + number(options, "alpha") * (shared + contrast + intra) + self.decorrelate(output)

    def mine_intra(self, z: Tensor, labels: Tensor) -> Triplets:
        """Triplets of the intra-class head: from one class each, or as for the shared head where published."""
        generator = self.context.generator
        return permuted_labels(z, labels, generator) if self.options["published"] else within_class(labels, generator)

    def on_start(self, state: TrainState) -> None:
        """Copies the network and fills the queue with its keys."""
        self._make_batch = state.make_batch
        batches = max(1, int(number(self.options, "key_batches")))
        self.momentum = MomentumKeys(
            state.network.backbone,
            self.heads["selfsimilarity"],  # type: ignore[arg-type]
            batches * state.batch_size,
            number(self.options, "momentum"),
            state.network.bf16,
        )
        for _ in range(batches):
            self.momentum.push(self.momentum(state.make_batch(next(state.batches), 0).inputs[0]))

    def after_step(self, state: TrainState) -> None:
        """Moves the momentum network and lets the keys of the step enter the queue."""
        self.momentum.update(state.network.backbone, self.heads["selfsimilarity"])
        if self._fresh is not None:
            self.momentum.push(self._fresh)
            self._fresh = None
