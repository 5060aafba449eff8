"""Anchors calibrated by the training classes (Wang et al., NeurIPS 2023)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from oodml.adapters.base import Problem
from oodml.adapters.prototypes import Prototypes
from oodml.adapters.support import class_means, number_within, unit
from oodml.records import Scalar


def calibrated(means: Tensor, base: Tensor, alpha: float, tau: float) -> Tensor:
    """Calibrated class means alpha p + (1 - alpha) sum_b softmax_b(tau cos(p_b, p)) p_b.

    Means of a few images are noisy, those of training classes are not, and similar classes have similar means
    (Wang, Zhou, Zhang, Zhan and Ye, "Few-shot class-incremental learning via training-free prototype calibration").

    Args:
        means: Class means p of the support, shape (c, d).
        base: Class means p_b of the training classes, shape (b, d).
        alpha: Share of the support, in [0, 1].
        tau: Sharpness of the weights, at least 0.

    Returns:
        Shape (c, d), not of unit length.
    """
    weights = (tau * unit(means) @ unit(base).T).softmax(1)
    return alpha * means + (1 - alpha) * (weights @ base)


class Teen(Prototypes):
    """The paper's calibration; in place of its nearest-mean classifier, the pull of `prototypes`."""

    def __init__(self, options: Mapping[str, Scalar]) -> None:
        super().__init__(options)
        self.alpha, self.tau = number_within(options, "alpha", 0, 1), number_within(options, "tau", 0)

    def anchors(self, problem: Problem) -> Tensor:
        """One calibrated anchor per class, shape (c, d)."""
        embeddings, base = problem.model.embeddings, problem.model.base_means
        means = class_means(problem.rows_of(embeddings, problem.support))  # of the length that those of training have
        return calibrated(means, base, self.alpha, self.tau)
