"""Columns of frames as codes and plain values, quick for a million rows. Free of torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Codes = NDArray[np.int64]


def plain_values(column: pd.Series[Any]) -> list[Any]:
    """Values of a column as plain Python values, None for null."""
    values = column.astype(object).to_numpy(copy=True)
    values[column.isna().to_numpy()] = None
    return [value.item() if isinstance(value, np.generic) else value for value in values.tolist()]


def codes_of(column: pd.Series[Any]) -> tuple[Codes, list[Any]]:
    """The place of every value among the sorted different ones, -1 for null; and these values."""
    numbers, known = pd.factorize(column, sort=True)
    return numbers.astype(np.int64), plain_values(pd.Series(known))


def combined(parts: Iterable[tuple[Codes, int]]) -> Codes:
    """One number per row from the codes of several columns, each with the number of its values.

    Rows have the same number if and only if they agree in all columns. Sorted by it they are sorted by the first
    column, then by the second, and so on, null first.
    """
    number: Codes | int = 0
    for codes, count in parts:
        number = number * (count + 1) + codes + 1
    return np.asarray(number)


def block_starts(*keys: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a row differs in some key from the row before it; the first row does."""
    starts = np.zeros(len(keys[0]), dtype=bool)
    starts[:1] = True
    for key in keys:
        starts[1:] |= key[1:] != key[:-1]
    return starts
