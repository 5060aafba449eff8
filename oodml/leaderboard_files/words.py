"""What the metrics and rows of a leaderboard mean, and how messages name them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from oodml.errors import UnknownNameError
from oodml.leaderboard import GAIN
from oodml.metrics.base import metric_info
from oodml.schema import FEW_SHOT

AGS = "ags_"  # prefix of the metric of rows that hold an area over all levels
REPAIR = "`oodml leaderboard merge FILE --out FILE` puts it right"


@dataclass(frozen=True)
class Problem:
    """What is wrong with a leaderboard file.

    Attributes:
        text: What it is, in words.
        row: Number of the row from 0; None if it is about the whole file.
        repairable: Whether `oodml leaderboard merge` puts it right by itself: order, ranks, unknown columns.
    """

    text: str
    row: int | None = None
    repairable: bool = False

    def __str__(self) -> str:
        return self.text if self.row is None else f"row {self.row} {self.text}"


def base_metric(metric: str) -> str:
    """The metric without the prefixes of areas and gains."""
    return metric.removeprefix(AGS).removeprefix(GAIN)


def higher_is_better(metric: str) -> bool | None:
    """Direction of a metric, its area or its gain; None if it is not known."""
    try:
        return metric_info(base_metric(metric)).higher_is_better
    except UnknownNameError:
        return None


def bounds(metric: str) -> tuple[float, float]:
    """Smallest and largest value of a metric, its area or its gain; infinite if the metric is not known."""
    try:
        low, high = metric_info(base_metric(metric)).bounds
    except UnknownNameError:
        return -math.inf, math.inf
    return (low - high, high - low) if metric.removeprefix(AGS).startswith(GAIN) else (low, high)


def cell_name(row: Mapping[Any, Any] | pd.Series[Any]) -> str:
    """A cell in words: "margin, level 3, recall_at_1, glyphs"."""
    level = f"level {row['level']}" if not pd.isna(row["level"]) else "all levels"
    parts = [str(row["method"]), level, str(row["metric"])]
    if str(row["setting"]) == FEW_SHOT:
        parts.append(f"{row['shots']} shots with {row['adapter']}")
    if str(row["selection"]) not in ("last", "nan"):
        parts.append(f"weights {row['selection']}")
    return ", ".join([*parts, str(row["benchmark"])])
