"""Class evidence from a cache of the support (Tip-Adapter, Zhang et al., ECCV 2022)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from oodml.adapters.base import Problem
from oodml.adapters.prototypes import Prototypes
from oodml.adapters.support import number_within, support_of
from oodml.records import Scalar


def cache_evidence(z: Tensor, support: Tensor, beta: float) -> Tensor:
    """sum_i exp(-beta (1 - cos(z, x_i))) over the support x_i of every class.

    The paper's product of affinities with one-hot labels; as a support has its class as its first dimension, a sum.

    Args:
        z: Unit queries, shape (q, d).
        support: Unit keys, shape (c, k, d).
        beta: Sharpness, at least 0.

    Returns:
        Evidence, shape (q, c), in [0, k].
    """
    affinities = (z @ support.flatten(0, 1).T).sub_(1).mul_(beta).exp_()
    return affinities.view(len(z), *support.shape[:2]).sum(2)


class Tip(Prototypes):
    """Logits cos(z, p_c) / temperature + alpha * evidence, then the pull of `prototypes` with them.

    From the paper: the cache of keys and one-hot labels, the affinities, and that their product is added, times alpha,
    to the logits of a classifier known beforehand; nothing is trained. Ours: a network without a text encoder has no
    such classifier, so that the class means stand in for it (at a temperature, as CLIP's logits have one); and the
    logits re-weight anchors that draw the embedding, where the paper ends with a class.
    """

    def __init__(self, options: Mapping[str, Scalar]) -> None:
        super().__init__(options)
        self.alpha, self.beta = number_within(options, "alpha", 0), number_within(options, "beta", 0)

    def logits(self, problem: Problem, z: Tensor, anchors: Tensor) -> Tensor:
        """Evidence of class means and cache, shape (q, c)."""
        evidence = cache_evidence(z, support_of(problem), self.beta)
        return super().logits(problem, z, anchors) + self.alpha * evidence
