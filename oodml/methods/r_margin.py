"""Margin loss with rho-regularised mining (Roth et al., ICML 2020)."""

from __future__ import annotations

from torch import Tensor

from oodml.methods.base import number
from oodml.methods.margin import Margin
from oodml.methods.mining import Triplets, rho_regularised


class RMargin(Margin):
    """The margin loss where some triplets push two samples of a class apart instead."""

    def mine(self, z: Tensor, labels: Tensor) -> Triplets:
        """At most one triplet per anchor; none for an anchor alone in its class."""
        return rho_regularised(z, labels, self.context.generator, number(self.options, "p"))
