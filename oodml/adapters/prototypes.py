"""Class means of the support as anchors that draw the queries towards them."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from oodml.adapters.base import Adapter, Problem
from oodml.adapters.support import class_means, number_within, queries_of, support_of, unit
from oodml.records import Scalar

COLDEST = 1e-4  # cosines over a smaller temperature leave nothing but the nearest anchor


def class_logits(z: Tensor, anchors: Tensor, temperature: float) -> Tensor:
    """cos(z, p_c) / temperature, shape (q, c), of unit queries (q, d) and anchors p (c, d) of any length."""
    return z @ unit(anchors).T / temperature


def drawn(z: Tensor, logits: Tensor, anchors: Tensor, weight: float) -> Tensor:
    """normalize(z + weight sum_c softmax_c(logits) p_c).

    Args:
        z: Unit queries, shape (q, d).
        logits: Evidence for every class, shape (q, c).
        anchors: One anchor p per class, shape (c, d), taken at unit length.
        weight: Pull of the anchors, at least 0.

    Returns:
        Unit vectors, shape (q, d).
    """
    return unit(z + weight * (logits.softmax(1) @ unit(anchors)))


class Prototypes(Adapter):
    """Anchors are the class means, as in prototypical networks (Snell, Swersky and Zemel, NeurIPS 2017).

    A classifier would keep the nearest mean only. Retrieval needs an embedding, so the expected anchor of a query is
    added to it: queries of one class move the same way, and what tells them apart beyond the classes remains.
    """

    def __init__(self, options: Mapping[str, Scalar]) -> None:
        super().__init__(options)
        self.weight = number_within(options, "weight", 0)
        self.temperature = number_within(options, "temperature", COLDEST)

    def anchors(self, problem: Problem) -> Tensor:
        """One anchor per class, shape (c, d)."""
        return class_means(support_of(problem))

    def adapt_one(self, problem: Problem) -> Tensor:
        """Queries drawn towards the anchors, unit vectors, shape (q, d); without a pull the embeddings themselves."""
        if self.weight == 0:
            return problem.rows_of(problem.model.embeddings, problem.queries)
        z, anchors = queries_of(problem), self.anchors(problem)
        return drawn(z, self.logits(problem, z, anchors), anchors, self.weight)

    def logits(self, problem: Problem, z: Tensor, anchors: Tensor) -> Tensor:
        """Evidence for every class, shape (q, c)."""
        return class_logits(z, anchors, self.temperature)
