"""Verification: whether two images show the same class, decided by a threshold on their cosine similarity.

Pairs are counted in steps of similarity, so thresholds live on a grid: 2 / FINE_STEPS of cosine for the rates over all
pairs and 2 / COARSE_STEPS for those by class. On that grid the values are exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oodml.errors import UsageError

FINE_STEPS = 2**16
COARSE_STEPS = 2**11
CHUNK_VALUES = 2**20  # utilities held at a time: 8 MiB of float64, with a few temporaries of the same size


@dataclass(frozen=True)
class PairCounts:
    """Ordered pairs of different rows by step of similarity (`step_of`).

    Attributes:
        genuine: Pairs of rows of one class, int64, shape (FINE_STEPS,).
        impostor: Pairs of rows of two classes, int64, shape (FINE_STEPS,).
        class_genuine: Genuine pairs by class of the first row, integers, shape (c, COARSE_STEPS).
        class_impostor: Impostor pairs by class of the first row, integers, shape (c, COARSE_STEPS).
    """

    genuine: NDArray[np.int64]
    impostor: NDArray[np.int64]
    class_genuine: NDArray[np.integer]
    class_impostor: NDArray[np.integer]


def step_of(similarity: NDArray[np.floating], steps: int = FINE_STEPS) -> NDArray[np.int64]:
    """Step s of every similarity: it lies in [-1 + 2 s / steps, -1 + 2 (s + 1) / steps).

    Args:
        similarity: Finite cosines, any shape; what lies outside [-1, 1) falls into the first or last step.
        steps: Number of steps, a power of two, so that the borders are exact: FINE_STEPS or COARSE_STEPS.
    """
    half = steps // 2
    # scaled before shifted: adding 1 first would round similarities just below a border onto it
    scaled = np.floor(np.asarray(similarity, dtype=np.float64) * half)
    return np.clip(scaled, -half, half - 1).astype(np.int64) + half


def fnmr_at_fmr(counts: PairCounts, fmr: float) -> float:
    """False non-match rate at the lowest threshold whose false match rate is at most fmr (ISO/IEC 19795-1).

    A pair is accepted if its step is at least the threshold; the highest threshold, above all steps, accepts none.
    The false match rate is the share of impostor pairs accepted, the false non-match rate that of genuine pairs not
    accepted.

    Args:
        counts: Pairs by step of similarity; only the counts over all classes are used.
        fmr: Largest false match rate, in [0, 1].

    Returns:
        A share in [0, 1], lower is better; nan if there is no genuine or no impostor pair.

    Raises:
        UsageError: If fmr is not in [0, 1].
    """
    _check_rates(fmr)
    genuine = _accepted(counts.genuine)
    if not genuine[0] or not counts.impostor.any():
        return np.nan
    threshold = _threshold(counts.impostor, fmr)
    return float((genuine[0] - genuine[threshold]) / genuine[0])


def opis(counts: PairCounts, fmr_range: tuple[float, float] = (1e-2, 1e-1)) -> float:
    """Operating-point-inconsistency score: how differently one threshold serves the classes.

    Source: Zhang, Xu, Tang, Fang, Wu, Tighe and Xing, ICLR 2024, arXiv:2307.04047. The utility of class i at
    threshold d is U_i(d) = 2 phi psi / (phi + psi), with specificity phi = 1 - FMR_i(d) and sensitivity psi = 1 -
    FNMR_i(d), and 0 where both are 0. The score is the mean over classes and over the thresholds of the calibration
    range of (U_i(d) - mean over classes of U(d))^2. The range holds every coarse threshold from the lowest with
    overall false match rate at most fmr_range[1] to the lowest with at most fmr_range[0], both included.

    Args:
        counts: Pairs by step of similarity; only the counts by class are used. A class without a genuine or an
            impostor pair has no utility and is left out; its impostor pairs still count overall.
        fmr_range: Lowest and highest overall false match rate of the calibration range, each in [0, 1].

    Returns:
        A variance in [0, 0.25], lower is better, exact for thresholds in steps of 2 / COARSE_STEPS of cosine; nan
        if no class is left.

    Raises:
        UsageError: If a rate is not in [0, 1], or the lowest is above the highest.
    """
    _check_rates(*fmr_range)
    genuine, impostor = counts.class_genuine, counts.class_impostor
    pairs = np.stack([h.sum(axis=1, dtype=np.int64) for h in (genuine, impostor)])
    kept = np.flatnonzero(pairs.all(axis=0))
    if not len(kept):
        return np.nan
    overall = impostor.sum(axis=0, dtype=np.int64)
    low, high = _threshold(overall, fmr_range[1]), _threshold(overall, fmr_range[0])
    spread = 0.0
    width = max(1, CHUNK_VALUES // len(genuine))
    # the threshold above all steps accepts nothing: every utility is 0 there and it adds no spread
    stop = min(high + 1, len(overall))
    for start in range(low, stop, width):
        end = min(start + width, stop)
        psi = _accepted_between(genuine, start, end)[kept] / pairs[0, kept, None]
        phi = 1 - _accepted_between(impostor, start, end)[kept] / pairs[1, kept, None]
        spread += float(_utility(phi, psi).var(axis=0).sum())
    return spread / (high + 1 - low)


def _check_rates(*rates: float) -> None:
    """Refuses rates that are no shares or not in order."""
    if not all(0 <= rate <= 1 for rate in rates) or list(rates) != sorted(rates):
        raise UsageError(f"false match rates must lie between 0 and 1, the lowest first, got {rates}")


def _accepted(histogram: NDArray[np.integer]) -> NDArray[np.int64]:
    """Pairs accepted at every threshold 0, ..., steps; shape (steps + 1,)."""
    return np.append(np.cumsum(histogram[::-1], dtype=np.int64)[::-1], 0)


def _threshold(impostor: NDArray[np.int64], fmr: float) -> int:
    """The lowest threshold whose false match rate is at most fmr; there must be an impostor pair."""
    accepted = _accepted(impostor)
    # a quotient of counts rounds to the same number as the rate written out; rate times count may not
    return int(np.argmax(accepted / accepted[0] <= fmr))


def _accepted_between(histograms: NDArray[np.integer], start: int, end: int) -> NDArray[np.int64]:
    """Pairs of every class accepted at thresholds start, ..., end - 1; shape (c, end - start)."""
    above = histograms[:, end:].sum(axis=1, dtype=np.int64)
    inside = np.cumsum(histograms[:, start:end][:, ::-1], axis=1, dtype=np.int64)[:, ::-1]
    accepted: NDArray[np.int64] = inside + above[:, None]
    return accepted


def _utility(phi: NDArray[np.float64], psi: NDArray[np.float64]) -> NDArray[np.float64]:
    """Harmonic mean of specificity and sensitivity; 0 where both are 0."""
    both = phi + psi
    return 2 * phi * psi / np.where(both > 0, both, 1.0)
