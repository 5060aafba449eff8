"""Shared features beside discriminative ones (Milbich et al., "Sharing Matters", T-PAMI 2020)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from oodml.errors import UnknownNameError
from oodml.methods.base import Batch, Output, number
from oodml.methods.diverse_heads import DiverseHeads
from oodml.methods.mining import Triplets, distance_weighted
from oodml.methods.mining_shared import permuted_labels, three_classes

MINERS = ("standard", "full", "random")


class Sharing(DiverseHeads):
    """L_disc + alpha L_shared + L_decorrelation, one head each for the first two."""

    parts = ("discriminative", "shared")
    ranked = parts

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        """Loss of a batch; with fewer than three classes it may have no shared triplets."""
        output, z = outputs[0], outputs[0].embeddings
        main = distance_weighted(z["discriminative"], batch.labels, self.context.generator)
        shared = self.mine_shared(z["shared"], batch.labels)
        return (
            self.ranking("discriminative", output, batch, main)
            + number(self.options, "alpha") * self.ranking("shared", output, batch, shared)
            + self.decorrelate(output)
        )

    def mine_shared(self, z: Tensor, labels: Tensor) -> Triplets:
        """Triplets of the shared head by the option `mining`."""
        mining, generator = str(self.options["mining"]), self.context.generator
        if mining not in MINERS:
            raise UnknownNameError("value of sharing.mining", mining, MINERS)
        if mining == "random":
            return permuted_labels(z, labels, generator)
        return three_classes(z, labels, generator, weighted_positives=mining == "full")
