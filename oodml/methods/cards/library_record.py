"""How a method made of the library's losses is declared. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from oodml import registry
from oodml.methods.cards.record import MethodInfo
from oodml.records import Scalar

DISTANCE_WEIGHTED = "distance_weighted"


@dataclass(frozen=True)
class Option:
    """The value of a method's option, or of "num_classes" and "embedding_dim" of the run."""

    name: str


@dataclass(frozen=True)
class Part:
    """A class of pytorch-metric-learning and the keywords of its constructor.

    Attributes:
        name: Class name, unique among the library's losses, miners, distances, reducers and regularisers.
        keywords: Constructor keyword to a value, an option of the method, or another part.
    """

    name: str
    keywords: Mapping[str, Keyword] = field(default_factory=dict)


Keyword = Scalar | Option | Part


@dataclass(frozen=True)
class Term:
    """One summand of a method's loss.

    Attributes:
        loss: Class in `pytorch_metric_learning.losses`.
        weight: Factor of the summand.
        miner: A miner of the library, "distance_weighted" for ours (one triplet per anchor), or None for whatever the
            loss compares by itself.
        raw: Whether it takes the embeddings as the head gives them instead of at unit length.
        initial: How its class vectors start: "uniform" for U(-1/sqrt(d), 1/sqrt(d)), "normal/8" for N(0, 1)/8, "" as
            in the library. Where the forward pass normalises them, their length sets how fast Adam turns them.
    """

    loss: Part
    weight: float | Option = 1.0
    miner: Part | str | None = None
    raw: bool = False
    initial: str = ""


@dataclass(frozen=True, kw_only=True)
class LibraryLoss(MethodInfo):
    """A method that is a sum of losses of pytorch-metric-learning on one embedding head.

    An option "class_lr" is the learning rate of the losses' own parameters.

    Attributes:
        terms: The summands.
        zero_without: Kinds of pairs ("positive", "negative") that the losses cannot do without: a batch that lacks
            one has loss 0.
    """

    target: str = "oodml.methods.catalog:build"
    group: str = "catalog"
    terms: tuple[Term, ...]
    zero_without: tuple[str, ...] = ()

    def build(self, context: Any, options: Mapping[str, Scalar]) -> Any:
        """The method of a run; see `MethodInfo.build`."""
        return registry.resolve(self.target)(self, context, options)


def options_of(*values: object) -> list[str]:
    """Names that occur in terms and parts, in order."""
    names: list[str] = []
    for value in values:
        if isinstance(value, Option):
            names.append(value.name)
        elif isinstance(value, Part):
            names += options_of(*value.keywords.values())
        elif isinstance(value, Term):
            names += options_of(value.loss, value.weight, value.miner)
    return names
