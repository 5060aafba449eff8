"""Few-shot fine-tuning of the whole network (the option of Milbich et al., NeurIPS 2021, that trains everything)."""

from __future__ import annotations

from oodml.adapters.base import Problem
from oodml.adapters.finetune import NetworkTuning
from oodml.model import Network


class Full(NetworkTuning):
    """Trains all parameters in training mode.

    Batch norms use the statistics of the batch, or, where the run kept theirs fixed, go on with those. Parameters
    that never train by the design of a network (fixed position embeddings, say) stay as they are.
    """

    name = "full"

    def prepare(self, network: Network, problem: Problem) -> None:
        """Training mode, the backbone with it."""
        network.train()
