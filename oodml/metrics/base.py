"""What a metric is: its name, direction, bounds and definition. Tables use it, so it imports no engine."""

from __future__ import annotations

import re
from dataclasses import dataclass

from oodml.errors import UnknownNameError


@dataclass(frozen=True)
class Metric:
    """A registered metric.

    Attributes:
        name: Name in results, e.g. "recall_at_1".
        summary: One-line definition.
        k: The k of "recall_at_<k>"; None for a metric without one.
        higher_is_better: Direction.
        bounds: Smallest and largest possible value.
    """

    name: str
    summary: str
    k: int | None = None
    higher_is_better: bool = True
    bounds: tuple[float, float] = (0.0, 1.0)


def _recall(k: int) -> Metric:
    return Metric(f"recall_at_{k}", f"share of queries with their class among the {k} nearest others", k)


METRICS: dict[str, Metric] = {
    **{f"recall_at_{k}": _recall(k) for k in (1, 2, 4, 8)},
    "map_at_r": Metric(
        "map_at_r",
        "mean over queries of the average precision among the R nearest, R = size of the class - 1",
    ),
}
DEFAULT_METRICS = ("recall_at_1", "recall_at_2", "recall_at_4", "recall_at_8", "map_at_r")


def metric_info(name: str) -> Metric:
    """The record of a metric; "recall_at_<k>" exists for every k >= 1.

    Raises:
        UnknownNameError: If there is no such metric.
    """
    if name in METRICS:
        return METRICS[name]
    match = re.fullmatch(r"recall_at_([1-9]\d{0,8})", name)
    if match is None:
        raise UnknownNameError("metric", name, [*METRICS, "recall_at_16"])
    return _recall(int(match[1]))
