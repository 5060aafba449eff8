"""What the closed-form adapters share: unit embeddings of support and queries, class means, checked options."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional

from oodml.adapters.base import Problem
from oodml.errors import UsageError
from oodml.methods.base import number
from oodml.records import Scalar


def unit(rows: Tensor) -> Tensor:
    """Vectors along the last dimension at length 1; a vector of zeros stays."""
    return functional.normalize(rows, dim=-1)


def support_of(problem: Problem) -> Tensor:
    """Unit embeddings of the labelled images, shape (c, k, d)."""
    return unit(problem.rows_of(problem.model.embeddings, problem.support))


def queries_of(problem: Problem) -> Tensor:
    """Unit embeddings of the queries, shape (q, d)."""
    return unit(problem.rows_of(problem.model.embeddings, problem.queries))


def class_means(support: Tensor) -> Tensor:
    """Mean of every class, shape (c, d), of a support (c, k, d); not of unit length."""
    return support.mean(1)


def deviations(support: Tensor) -> Tensor:
    """Rows of a support (c, k, d) less the mean of their class, shape (c k, d); zeros where k = 1."""
    return (support - support.mean(1, keepdim=True)).flatten(0, 1)


def number_within(options: Mapping[str, Scalar], name: str, low: float, high: float = math.inf) -> float:
    """A numeric option.

    Raises:
        UsageError: If it is below `low`, above `high`, or not a finite number.
    """
    value = math.nan if options[name] is None else number(options, name)
    if not (math.isfinite(value) and low <= value <= high):
        bounds = f"at least {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
        raise UsageError(f"the adapter's option {name} must be {bounds}, got {value:g}")
    return value
