"""Losses of pytorch-metric-learning as methods: one declarative record each, and what is left out and why."""

from __future__ import annotations

from oodml.methods.cards.library_classes import LIBRARY_CLASSES
from oodml.methods.cards.library_rankings import LIBRARY_RANKINGS
from oodml.methods.cards.library_record import LibraryLoss
from oodml.methods.cards.library_samples import LIBRARY_SAMPLES

LIBRARY: tuple[LibraryLoss, ...] = (*LIBRARY_SAMPLES, *LIBRARY_CLASSES, *LIBRARY_RANKINGS)

OWN = {
    "ArcFaceLoss": "arcface",
    "ContrastiveLoss": "contrastive",
    "MarginLoss": "margin",
    "MultiSimilarityLoss": "multisimilarity",
    "NormalizedSoftmaxLoss": "norm_softmax",
    "ProxyAnchorLoss": "proxy_anchor",
    "TripletMarginLoss": "triplet",
}
"""Losses of the library that are methods of their own here: class name to method."""

EXCLUDED = {
    "BaseLossWrapper": "base class",
    "BaseMetricLossFunction": "base class",
    "GenericPairLoss": "base class",
    "EmbeddingRegularizerMixin": "mixin",
    "WeightRegularizerMixin": "mixin",
    "CrossBatchMemory": "adds a memory of earlier batches to another loss",
    "MultipleLosses": "adds up other losses, as a record's terms do",
    "SelfSupervisedLoss": "replaces labels by pairs of views for another loss",
    "VICRegLoss": "takes two views and no labels",
}
"""Public classes of the library that are no method: class name to the reason."""
