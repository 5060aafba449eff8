"""Multi-similarity loss (Wang et al., CVPR 2019)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from oodml.methods.base import Batch, Method, Output, number
from oodml.records import Scalar


def multisimilarity(z: Tensor, labels: Tensor, options: Mapping[str, Scalar]) -> Tensor:
    """Multi-similarity loss of a batch, with the pair mining of the paper.

    Args:
        z: Unit vectors, shape (b, d).
        labels: Classes, shape (b,).
        options: `alpha` and `beta` (weights of positives and negatives), `base` (similarity), `epsilon` (mining), and
            `published`: whether to follow the study's code, where the two means run over the anchors with a non-empty
            set only, are log(2) / weight without any, and a sample counts as its own positive.
    """
    alpha, beta, base, epsilon = (number(options, name) for name in ("alpha", "beta", "base", "epsilon"))
    s = z @ z.T
    published = bool(options["published"])
    same = labels[:, None] == labels[None, :]
    self_pair = torch.eye(len(z), dtype=torch.bool, device=z.device)
    positive = same & ~self_pair
    with torch.no_grad():
        hardest_negative = s.masked_fill(same, -torch.inf).amax(1, keepdim=True)
        hardest_positive = s.masked_fill(~positive, torch.inf).amin(1, keepdim=True)
        kept_p = (same if published else positive) & (s - epsilon < hardest_negative)
        kept_n = ~same & (s + epsilon > hardest_positive)
    pull = log_one_plus_sum(-alpha * (s - base), kept_p) / alpha
    push = log_one_plus_sum(beta * (s - base), kept_n) / beta
    if not published:
        return (pull + push).mean()
    return _mean_of_non_empty(pull, kept_p, alpha) + _mean_of_non_empty(push, kept_n, beta)


def log_one_plus_sum(exponents: Tensor, weights: Tensor) -> Tensor:
    """log(1 + sum of weight exp(exponent)) over every row, shape (a,); 0 for a row of zero weights.

    Args:
        exponents: Shape (a, m).
        weights: At least 0, or a mask, shape (a, m).
    """
    zero = exponents.new_zeros(len(exponents), 1)
    return torch.cat([zero, exponents + weights.log()], 1).logsumexp(1)


def _mean_of_non_empty(terms: Tensor, mask: Tensor, weight: float) -> Tensor:
    """Mean of the terms (b,) of rows with a masked entry; the constant log(2) / weight where no row has one."""
    count = mask.any(1).sum()
    return terms.sum() / count.clamp(min=1) + (count == 0) * (math.log(2) / weight)


class Multisimilarity(Method):
    """The multi-similarity loss on the embedding head."""

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        """Loss of a batch; 0 where no pair is worth a gradient."""
        return multisimilarity(outputs[0].embeddings["embedding"], batch.labels, self.options)
