"""How many of a row's similarities lie above each of its thresholds: exact, ties by row number."""

from __future__ import annotations

import torch
from torch import Tensor


def count_above(similar: Tensor, number: Tensor, threshold: Tensor, at: Tensor, work: Tensor) -> Tensor:
    """Counts per row the entries that come before each threshold in the order (-similarity, number).

    Args:
        similar: Similarities, shape (b, g), float32; -inf for what does not count. Left as it is.
        number: Row numbers of the columns, shape (g,), int64.
        threshold: Per row similarities of other entries, shape (b, m), > -inf; +inf counts nothing.
        at: Their row numbers, shape (b, m), int64, none of them a counted column's.
        work: Memory of the same shape, on the same device.

    Returns:
        Counts, shape (b, m), int32.
    """
    width = similar.shape[1]
    ordered = sort_rows(work.copy_(similar))
    below = torch.searchsorted(ordered, threshold, right=True, out_int32=True)
    last = ordered.gather(1, (below - 1).clamp_(min=0).long())
    tied = ((last == threshold) & (below > 0)).any(dim=1).nonzero().squeeze(1)
    above = width - below
    for rows in tied.split(max(1, len(similar) // 8)):  # keys are long: no more of them at a time than `work` is large
        above[rows] = _count_by_key(similar[rows], number, threshold[rows], at[rows])
    return above


def sort_rows(values: Tensor) -> Tensor:
    """Every row in ascending order, on a CPU in place by NumPy, whose sort is an order of magnitude ahead there."""
    if values.device.type != "cpu":
        return values.sort(dim=1).values
    values.numpy().sort(axis=1)
    return values


def _count_by_key(similar: Tensor, number: Tensor, threshold: Tensor, at: Tensor) -> Tensor:
    """The same where similarities tie: each becomes one integer that orders by similarity, then by row number."""
    ordered = sort_rows(_keys(similar, number.expand_as(similar)))
    return torch.searchsorted(ordered, _keys(threshold, at), out_int32=True)


def _keys(similar: Tensor, number: Tensor) -> Tensor:
    """Integers that ascend as similarities fall and, between equal ones, as row numbers rise (below 2^31)."""
    bits = (similar + 0.0).contiguous().view(torch.int32)  # -0 becomes 0
    ascending = bits ^ ((bits >> 31) & 0x7FFFFFFF)  # IEEE floats in the order of integers
    return ((-1 - ascending.long()) << 32) | number
