"""Ridge regression from embeddings to classes, in closed form."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from oodml.adapters.base import Adapter, Problem
from oodml.adapters.support import number_within, queries_of, support_of, unit
from oodml.records import Scalar


def ridge_weights(support: Tensor, penalty: float) -> Tensor:
    """Weights from centred embeddings to centred one-hot classes, shape (d, c), float64.

    Centring both stands for a bias that is not penalised. A = (X^T X + l I)^-1 X^T Y = X^T (X X^T + l I)^-1 Y, solved
    in the smaller of the two, with l = penalty tr(X X^T) / min(n, d): in units of the mean eigenvalue that is not 0 by
    necessity, so that the penalty means the same at any scale, dimension and number of images.

    Args:
        support: Labelled embeddings, shape (c, k, d).
        penalty: Above 0.
    """
    classes, shots, dim = support.shape
    x = support.double().flatten(0, 1)
    x = x - x.mean(0)
    y = torch.eye(classes, dtype=x.dtype, device=x.device).repeat_interleave(shots, 0) - 1 / classes
    dual = len(x) <= dim
    product = x @ x.T if dual else x.T @ x
    trace = product.trace()
    product.diagonal().add_(penalty * trace / len(product) + torch.finfo(torch.float32).tiny)
    factor = torch.linalg.cholesky(product)
    return x.T @ torch.cholesky_solve(y, factor) if dual else torch.cholesky_solve(x.T @ y, factor)


class Ridge(Adapter):
    """Unit embedding and unit scores side by side: cosines are (1 - mix) cos(z, z') + mix cos(s, s').

    The solver is that of Bertinetto et al. (ICLR 2019), without their meta-learning. Scores add up to 0 over classes.
    """

    def __init__(self, options: Mapping[str, Scalar]) -> None:
        super().__init__(options)
        self.penalty = number_within(options, "penalty", 1e-6)
        self.mix = number_within(options, "mix", 0, 1)

    def adapt_one(self, problem: Problem) -> Tensor:
        """Unit vectors, shape (q, d + min(c, d)); (q, min(c, d)) at mix = 1, (q, d) at mix = 0 or without scores."""
        z, support = queries_of(problem), support_of(problem)
        weights = ridge_weights(support, self.penalty)
        if self.mix == 0 or not bool(weights.any()):
            return z  # one class, or images that all are the same
        if weights.shape[1] > weights.shape[0]:  # the scores span d dimensions, and a rotation keeps their cosines
            weights = torch.linalg.qr(weights.T, mode="r").R.T
        scores = unit((z - support.flatten(0, 1).mean(0)) @ weights.float())
        if self.mix == 1:
            return scores
        return torch.cat([(1 - self.mix) ** 0.5 * z, self.mix**0.5 * scores], 1)
