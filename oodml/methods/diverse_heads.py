"""Several heads with margin losses of their own, decorrelated from the first: base of `diva` and `sharing`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from oodml.errors import UsageError
from oodml.methods.base import Batch, Context, Method, Output, number, weightless
from oodml.methods.decorrelation import Decorrelation, weight_for_width
from oodml.methods.margin import MarginCriterion
from oodml.methods.mining import Triplets
from oodml.records import Scalar


class DiverseHeads(Method):
    """K heads of d // K, each of unit length; the test embedding is their weighted concatenation, of unit length."""

    parts: tuple[str, ...]
    """Names of the heads; the first tells the classes apart, the others are decorrelated from it."""

    ranked: tuple[str, ...]
    """The heads with a margin loss."""

    def __init__(self, context: Context, options: Mapping[str, Scalar]) -> None:
        super().__init__(context, options)
        beta, margin, published = number(options, "beta"), number(options, "margin"), bool(options["published"])
        classes, rho = context.num_classes, weight_for_width(number(options, "rho"), self.width)
        self.criteria = nn.ModuleDict({part: MarginCriterion(classes, beta, margin, published) for part in self.ranked})
        self.decorrelation = Decorrelation(dict.fromkeys(self.parts[1:], rho), self.width)
        self.weights = self._read_weights(str(options["weights"]))

    @property
    def width(self) -> int:
        """Width of a head."""
        return max(1, self.context.embedding_dim // len(self.parts))

    def build_heads(self) -> nn.ModuleDict:
        """A linear layer f -> d // K per part."""
        return nn.ModuleDict({part: nn.Linear(self.context.num_features, self.width) for part in self.parts})

    def embed(self, output: Output) -> Tensor:
        """All heads side by side, weighted, shape (b, K * (d // K)), of unit length."""
        weighted = [w * output.embeddings[part] for w, part in zip(self.weights, self.parts, strict=True)]
        return functional.normalize(torch.cat(weighted, dim=1), dim=1)

    def ranking(self, part: str, output: Output, batch: Batch, triplets: Triplets) -> Tensor:
        """Margin loss of a head; the boundary is that of the anchor's class, however the triplets were mined."""
        value: Tensor = self.criteria[part](output.embeddings[part], batch.labels, triplets)
        return value

    def decorrelate(self, output: Output) -> Tensor:
        """Decorrelation of the other heads from the first."""
        value: Tensor = self.decorrelation(output.embeddings[self.parts[0]], output.embeddings)
        return value

    def extra_groups(self) -> list[dict[str, Any]]:
        """Boundaries at their own learning rate and regressors at the run's, both without weight decay."""
        boundaries = weightless(self.criteria.parameters(), number(self.options, "beta_lr"))
        return boundaries + weightless(self.decorrelation.parameters())

    def _read_weights(self, text: str) -> tuple[float, ...]:
        try:
            weights = tuple(float(part) for part in text.split(","))
        except ValueError:
            weights = ()
        if len(weights) != len(self.parts) or not any(weights):
            raise UsageError(f"option weights takes a number per head ({', '.join(self.parts)}), got {text!r}")
        return weights
