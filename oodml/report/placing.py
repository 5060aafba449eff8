"""Where labels go beside the ends of curves without covering each other."""

from __future__ import annotations

from collections.abc import Sequence


def spread_out(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions as near as possible to the wanted ones, in their order, at least `gap` apart, within bounds.

    Neighbours that come too close merge into a block that sits at the mean of what its members want (the
    least-squares solution under an order constraint); blocks are then kept inside the bounds.

    Args:
        wanted: Wanted positions, any order; equal ones keep their order.
        gap: Least distance between two positions, >= 0.
        low: Lowest position.
        high: Highest position; if the labels cannot fit, they shrink their gap to do so.

    Returns:
        A position per wanted one, in the order of the input.
    """
    if not wanted:
        return []
    gap = min(gap, (high - low) / max(1, len(wanted) - 1))
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    blocks: list[tuple[float, int]] = []  # (sum of wanted less own offset, members)
    for rank, index in enumerate(order):
        total, size = wanted[index] - rank * gap, 1
        while blocks and blocks[-1][0] / blocks[-1][1] >= total / size:
            before, members = blocks.pop()
            total, size = total + before, size + members
        blocks.append((total, size))
    starts = [total / size for total, size in blocks for _ in range(size)]
    ceiling = high - (len(wanted) - 1) * gap
    placed = [0.0] * len(wanted)
    for rank, index in enumerate(order):
        placed[index] = min(max(starts[rank], low), max(low, ceiling)) + rank * gap
    return placed


def climb(wanted: Sequence[float], gap: float) -> list[float]:
    """Positions at or above the wanted ones, in their order, at least `gap` apart, each as low as that allows.

    Args:
        wanted: Wanted positions, rising.
        gap: Least distance between two positions, >= 0.

    Returns:
        A position per wanted one.
    """
    placed: list[float] = []
    for want in wanted:
        placed.append(max(want, placed[-1] + gap) if placed else want)
    return placed
