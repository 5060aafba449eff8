"""Names of the figures of a report. Imports nothing that draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from oodml.errors import UnknownNameError

FIGURES: Mapping[str, str] = MappingProxyType(
    {
        "curves": "metric against shift, a line per method",
        "ags": "bars of the aggregated generalisation score, the best first",
        "mean": "change against the mean of all methods, with fitted lines",
        "reference": "change against the ladder's own untrained network",
        "critical": "critical-difference diagram: mean ranks over the levels, and which methods they tell apart",
        "heat": "heat map of methods by levels",
        "pareto": "training time against the aggregated generalisation score, with the Pareto front",
        "ladder": "progression of the ladder: shift by level, beside that of random sides",
    }
)


def chosen_figures(names: Sequence[str] | None) -> tuple[str, ...]:
    """Names of figures in the order of a report, each once; None stands for all.

    Raises:
        UnknownNameError: If there is no such figure.
    """
    if names is None:
        return tuple(FIGURES)
    for name in names:
        if name not in FIGURES:
            raise UnknownNameError("figure", name, FIGURES)
    return tuple(name for name in FIGURES if name in names)
