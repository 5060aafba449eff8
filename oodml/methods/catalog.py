"""Losses of pytorch-metric-learning as methods, built from their records in `cards/library.py`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pytorch_metric_learning import distances, losses, miners, reducers, regularizers
from torch import Tensor, nn
from torch.nn import functional

from oodml.methods.base import Batch, Context, Method, Output, number, weightless
from oodml.methods.cards.library_record import DISTANCE_WEIGHTED, Keyword, LibraryLoss, Option, Part, Term
from oodml.methods.library_fast import FAST
from oodml.methods.library_fixes import FIXES
from oodml.methods.mining import distance_weighted
from oodml.records import Scalar

MODULES = (losses, miners, distances, reducers, regularizers)
REPLACED = {**FIXES, **FAST}
Miner = Callable[[Tensor, Tensor], tuple[Tensor, ...] | None]


def make(part: Part, values: Mapping[str, Any]) -> Any:
    """An object of the library (or its replacement), with options put in for their names.

    Args:
        part: Class and keywords.
        values: Options of the method, and "num_classes" and "embedding_dim".
    """
    keywords = {keyword: _value(value, values) for keyword, value in part.keywords.items()}
    found: Any = REPLACED.get(part.name) or next(
        getattr(module, part.name) for module in MODULES if hasattr(module, part.name)
    )
    with warnings.catch_warnings():  # of the ranked list loss, about temperatures that do not overflow on unit vectors
        warnings.filterwarnings("ignore", message="Values of Tp or Tn are too high")
        return found(**keywords)


def _value(value: Keyword, values: Mapping[str, Any]) -> Any:
    if isinstance(value, Part):
        return make(value, values)
    return values[value.name] if isinstance(value, Option) else value


def initialise(loss: nn.Module, initial: str, embedding_dim: int) -> None:
    """Starts a loss's class vectors as a `Term.initial` says; "" leaves them."""
    bound = 1 / math.sqrt(embedding_dim)
    for parameter in loss.parameters():
        if initial == "uniform":
            nn.init.uniform_(parameter, -bound, bound)
        elif initial == "normal/8":
            nn.init.normal_(parameter, std=1 / 8)


class Catalog(Method):
    """A weighted sum of the library's losses on the embedding head."""

    def __init__(self, card: LibraryLoss, context: Context, options: Mapping[str, Scalar]) -> None:
        super().__init__(context, options)
        self.card = card
        values = {**options, "num_classes": context.num_classes, "embedding_dim": context.embedding_dim}
        self.losses = nn.ModuleList([make(term.loss, values) for term in card.terms])
        self.miners = [self._make_miner(term.miner, values) for term in card.terms]
        for loss, term in zip(self.losses, card.terms, strict=True):
            initialise(loss, term.initial, context.embedding_dim)

    def _make_miner(self, miner: Part | str | None, values: Mapping[str, Any]) -> Miner:
        if isinstance(miner, Part):
            made: Miner = make(miner, values)
            return made
        if miner == DISTANCE_WEIGHTED:
            return lambda z, labels: distance_weighted(z, labels, self.context.generator)
        return lambda z, labels: None

    def forward(self, pooled: Tensor, feature_map: Tensor | None = None) -> Output:
        """The embedding at unit length, and "raw" as the head gives it."""
        raw = self.heads["embedding"](pooled)
        return Output(pooled, feature_map, {"embedding": functional.normalize(raw, dim=1), "raw": raw})

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        """Weighted sum of the terms; 0 where the batch lacks pairs that they cannot do without."""
        embeddings, labels = outputs[0].embeddings, batch.labels
        z = embeddings["embedding"]
        if self._lacks_pairs(labels):
            return z.sum() * 0
        total = z.new_zeros(())
        for term, loss, mine in zip(self.card.terms, self.losses, self.miners, strict=True):
            value: Tensor = loss(embeddings["raw"] if term.raw else z, labels, mine(z, labels))
            total = total + self._weight(term) * value.reshape(())
        return total

    def _lacks_pairs(self, labels: Tensor) -> bool:
        """Whether the batch has no pair of a kind that the record names; reads nothing back where it names none."""
        classes = len(labels.unique()) if self.card.zero_without else 0
        absent = {"positive": classes == len(labels), "negative": classes == 1}
        return any(absent[kind] for kind in self.card.zero_without)

    def _weight(self, term: Term) -> float:
        return number(self.options, term.weight.name) if isinstance(term.weight, Option) else term.weight

    def extra_groups(self) -> list[dict[str, Any]]:
        """The losses' class vectors and proxies, without weight decay."""
        params = list(self.losses.parameters())
        return weightless(params, number(self.options, "class_lr")) if params else []


def build(card: LibraryLoss, context: Context, options: Mapping[str, Scalar]) -> Catalog:
    """The method of a record."""
    return Catalog(card, context, options)
