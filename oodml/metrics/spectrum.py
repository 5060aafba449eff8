"""Spectral decay: how evenly an embedding uses its dimensions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FLOOR = 2.0**-23  # share of a singular value below which float32 rows show nothing but rounding


def singular_values(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    """Singular values of a matrix X, falling, from X^T X (or X X^T, whichever is smaller), shape (d, d)."""
    values: NDArray[np.float64] = np.sqrt(np.clip(np.linalg.eigvalsh(gram), 0, None))[::-1]
    return values


def rho(sigma: NDArray[np.float64], m: int) -> float:
    """Divergence between the singular values and a flat spectrum, in nats; 0 for a flat one.

    With q the values without the |m| - 1 largest, divided by their sum, and u uniform: KL(u || q) for m > 0, KL(q || u)
    for m < 0 (Roth et al. 2020, arXiv:2002.08473; Milbich et al. 2021). Shares below 2^-23 count as 2^-23: with fewer
    rows than dimensions, or dimensions that are not used, KL(u || q) would be infinite.

    Args:
        sigma: Singular values of the rows (n, d), neither centred nor squared, falling.
        m: Which values, and the direction; not 0.

    Returns:
        The divergence; NaN if no value is left or all are 0.
    """
    rest = sigma[abs(m) - 1 :]
    if len(rest) == 0 or rest.sum() == 0:
        return float("nan")
    q = np.maximum(rest / rest.sum(), FLOOR)
    uniform = 1 / len(q)
    return max(0.0, float(np.mean(np.log(uniform / q)) if m > 0 else np.sum(q * np.log(q / uniform))))
