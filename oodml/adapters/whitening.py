"""Within-class whitening: directions in which images of one class differ count for less."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from oodml.adapters.base import Adapter, Problem
from oodml.adapters.support import deviations, queries_of, support_of, unit
from oodml.errors import UsageError
from oodml.records import Scalar

SAME = 1e-12  # mean squared deviation of unit vectors that is rounding
LEAST = 1e-6  # shrinkage that keeps the covariance of fewer images than dimensions invertible


def shrinkage_of(value: Scalar) -> float | None:
    """The option `shrinkage`: None for "auto", or the number that the text stands for.

    Raises:
        UsageError: If it is neither "auto" nor a number in [0, 1].
    """
    if value == "auto":
        return None
    try:
        share = float(str(value))
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UsageError(f"the adapter's option shrinkage must be auto or a number between 0 and 1, got {value!r}")
    return share


def best_shrinkage(covariance: Tensor, freedom: int) -> float:
    """Shrinkage towards the scaled identity with the least expected squared error, for Gaussian samples.

    The oracle approximating estimator (Chen, Wiesel, Eldar and Hero, IEEE Trans. Signal Processing 2010, eq. 23), the
    Gaussian form of Ledoit and Wolf's. It needs the degrees of freedom only: samples about the mean of their own class
    are not independent, those of two shots even are mirror images, and counting them would trust them too much.

    Args:
        covariance: Unbiased sample covariance S, shape (d, d).
        freedom: Degrees of freedom n, at least 1.

    Returns:
        ((1 - 2/d) tr S^2 + tr^2 S) / ((n + 1 - 2/d) (tr S^2 - tr^2 S / d)), at most 1.
    """
    dim, square, trace = len(covariance), float(covariance.square().sum()), float(covariance.trace())
    spread = (freedom + 1 - 2 / dim) * (square - trace**2 / dim)
    error = (1 - 2 / dim) * square + trace**2
    return 1.0 if spread <= error else error / spread


def whitener(support: Tensor, shrinkage: float | None) -> Tensor:
    """A matrix W, shape (d, d), that makes the shrunk within-class covariance of z W a multiple of the identity.

    W W^T is the inverse of (1 - s) S + s (tr S / d) I, in units of tr S / d; any such W gives the same inner products.

    Args:
        support: Labelled embeddings, shape (c, k, d).
        shrinkage: s in [0, 1]; None for `best_shrinkage`.

    Returns:
        W in float64; the identity where images of one class do not differ, as with one shot.
    """
    classes, shots, dim = support.shape
    identity = torch.eye(dim, dtype=torch.float64, device=support.device)
    scattered = deviations(support.double())  # a covariance without full rank loses its sign in float32
    total = scattered.square().sum()
    if total <= SAME * len(scattered):
        return identity
    covariance = scattered.T @ scattered * (dim / total)  # its scale changes neither s nor W
    share = best_shrinkage(covariance, classes * (shots - 1)) if shrinkage is None else shrinkage
    share = max(share, LEAST)
    factor = torch.linalg.cholesky((1 - share) * covariance + share * identity)
    inverse: Tensor = torch.linalg.solve_triangular(factor, identity, upper=False)
    return inverse.T


class Whitening(Adapter):
    """z W at unit length, known as within-class covariance normalisation (Hatch, Kajarekar and Stolcke, 2006)."""

    def __init__(self, options: Mapping[str, Scalar]) -> None:
        super().__init__(options)
        self.shrinkage = shrinkage_of(options["shrinkage"])

    def adapt_one(self, problem: Problem) -> Tensor:
        """Whitened queries, unit vectors, shape (q, d)."""
        return unit(queries_of(problem) @ whitener(support_of(problem), self.shrinkage).float())
