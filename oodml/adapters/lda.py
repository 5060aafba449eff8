"""Linear discriminant analysis with a shrunk within-class covariance."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from oodml.adapters.base import Adapter, Problem
from oodml.adapters.support import class_means, number_within, queries_of, support_of, unit
from oodml.adapters.whitening import shrinkage_of, whitener
from oodml.records import Scalar

SPANNED = 1e-10  # variance, as a share of the largest, from which means span a direction


def main_directions(rows: Tensor, dims: int) -> Tensor:
    """Orthonormal directions of the largest variance of centred rows (c, d) in float64, shape (d, r).

    They come from the smaller of the two products of the rows with themselves. r is the rank of the rows, at most
    `dims` unless that is 0.
    """
    wide = rows.shape[0] <= rows.shape[1]
    values, vectors = torch.linalg.eigh(rows @ rows.T if wide else rows.T @ rows)
    rank = int((values > SPANNED * values[-1].clamp(min=0)).sum())
    kept = min(rank, dims or rank)
    values, vectors = values[len(values) - kept :], vectors[:, len(values) - kept :]
    directions: Tensor = rows.T @ vectors / values.sqrt() if wide else vectors
    return directions


class Lda(Adapter):
    """Fisher's projection: within-class whitening, then the span of the class means about their mean.

    Cosines of two queries are taken about the mean of the class means, as there the classes lie in all directions.
    """

    def __init__(self, options: Mapping[str, Scalar]) -> None:
        super().__init__(options)
        self.shrinkage = shrinkage_of(options["shrinkage"])
        self.dims = int(number_within(options, "dims", 0))

    def adapt_one(self, problem: Problem) -> Tensor:
        """Projected queries, unit vectors, shape (q, r), r at most min(c - 1, d).

        Means that all are one span nothing: then the queries are whitened and keep all d dimensions.
        """
        support = support_of(problem)
        matrix = whitener(support, self.shrinkage)
        whitened, means = queries_of(problem) @ matrix.float(), class_means(support.double()) @ matrix
        centre = means.mean(0)
        directions = main_directions(means - centre, self.dims).float()
        return unit((whitened - centre.float()) @ directions) if directions.shape[1] else unit(whitened)
