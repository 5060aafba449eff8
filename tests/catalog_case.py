"""A small uneven batch for the library's losses, and what tests re-derive them from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from oodml import registry
from oodml.methods.base import Batch, Context, Output
from oodml.methods.catalog import Catalog
from oodml.methods.mining import distance_weighted
from oodml.records import Scalar

DIM, CLASSES = 8, 6
LABELS = (3, 0, 3, 1, 0, 3, 5, 1, 0, 5, 1, 4, 3)  # classes of 4, 3, 3, 2 and 1, one class absent
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A batch in float64: raw vectors x (b, d), z of unit length, labels, cosines s, distances d, class vectors w."""

    x: Array
    z: Array
    y: list[int]
    s: Array
    d: Array
    w: Array
    triplets: list[tuple[int, int, int]]

    def positives(self, i: int) -> list[int]:
        return [j for j in range(len(self.y)) if self.y[j] == self.y[i] and j != i]

    def negatives(self, i: int) -> list[int]:
        return [j for j in range(len(self.y)) if self.y[j] != self.y[i]]

    def pairs(self) -> list[tuple[int, int]]:
        return [(i, j) for i in range(len(self.y)) for j in self.positives(i)]

    def logits(self) -> Array:
        """Cosines of samples and class vectors, (b, rows of w)."""
        cosines: Array = self.z @ (self.w / np.linalg.norm(self.w, axis=1, keepdims=True)).T
        return cosines


Naive = Callable[[Case], float]


def make(name: str, **options: Scalar) -> Catalog:
    """A method of the catalog; the same numbers at every call."""
    card = registry.load("method", name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        context = Context(5, DIM, CLASSES, torch.Generator().manual_seed(7))
        method: Catalog = card.build(context, card.resolve_options("glyphs", options))
    return method


def raw_vectors(labels: tuple[int, ...] = LABELS) -> Tensor:
    """Classes around random centres, so that margins are met by some pairs and not by others, (b, d)."""
    generator = torch.Generator().manual_seed(2)
    centres = torch.randn(CLASSES, DIM, generator=generator)
    return centres[list(labels)] + 0.8 * torch.randn(len(labels), DIM, generator=generator)


def loss_of(method: Catalog, x: Tensor, labels: tuple[int, ...] = LABELS) -> Tensor:
    """The method's loss of a batch of raw vectors."""
    y = torch.tensor(labels)
    output = Output(x, None, {"embedding": functional.normalize(x, dim=1), "raw": x})
    return method.loss([output], Batch((x,), y, torch.arange(len(y)), 0))


def value_of(method: Catalog, x: Tensor) -> float:
    """That loss as a number."""
    return float(loss_of(method, x).detach())


def case_of(method: Catalog) -> Case:
    """The batch and the method's class vectors, for a naive function."""
    x = raw_vectors()
    z = functional.normalize(x, dim=1)
    drawn = distance_weighted(z, torch.tensor(LABELS), torch.Generator().manual_seed(7))
    triplets = [(a, p, n) for a, p, n in zip(*(index.tolist() for index in drawn), strict=True)]
    parameters = [p.detach() for p in method.losses.parameters()]
    w = parameters[0] if parameters else torch.zeros(0, DIM)
    rows = w if w.shape[1] == DIM else w.T
    unit = z.double().numpy()
    d = np.sqrt(np.maximum(((unit[:, None] - unit[None]) ** 2).sum(2), 0))
    return Case(x.double().numpy(), unit, list(LABELS), unit @ unit.T, d, rows.double().numpy(), triplets)


def lse(values: list[float] | Array) -> float:
    """log of the sum of exponentials; 0 of none, as in the library."""
    return float(np.logaddexp.reduce(np.asarray(values, float))) if len(values) else 0.0


def relu(value: float) -> float:
    return max(0.0, value)


def mean_of_positive(values: list[float]) -> float:
    """Mean over the values above 0."""
    kept = [v for v in values if v > 0]
    return float(np.mean(kept))


def cross_entropy(logits: Array, targets: list[int]) -> float:
    return float(np.mean([lse(row) - row[target] for row, target in zip(logits, targets, strict=True)]))
