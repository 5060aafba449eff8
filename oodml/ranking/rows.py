"""The rows of an array as blocks on a device: surveyed once, prepared for a distance, kept where they fit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oodml.directions import CHUNK, fingerprints, first_copies, unit_rows
from oodml.errors import DatasetError
from oodml.ranking.space import Block, Distance, Space, centre_of, has_few_bits

Values = NDArray[np.generic]


class Rows:
    """Chosen rows of an array in a chosen order.

    Args:
        values: Real numbers, shape (N, d); may be mapped from a file: it is read in chunks.
        order: Numbers of the rows in the order of their places, shape (n,).
        space: The distance that they are prepared for.
        device: Where the blocks are.
        keep: Whether to hold the prepared rows, 4 n d bytes, instead of preparing them at each use.
    """

    def __init__(self, values: Values, order: NDArray[np.int64], space: Space, device: str, keep: bool) -> None:
        self.values, self.order, self.space, self.device = values, order, space, device
        self._kept: Block | None = None
        if keep:
            self._kept = self._gather(0, len(order))

    def __len__(self) -> int:
        return len(self.order)

    @property
    def dimension(self) -> int:
        """Width of the rows."""
        return int(self.values.shape[1])

    def block(self, start: int, end: int) -> Block:
        """The rows at places start to end."""
        if self._kept is None:
            return self._gather(start, end)
        return self._kept.part(slice(start, end))

    def at(self, places: NDArray[np.int64]) -> Block:
        """The rows at any places."""
        prepared, side = self._prepare(places)
        return self._on_device(torch.from_numpy(prepared), side)

    def blocks(self, size: int = CHUNK) -> Iterator[Block]:
        """All rows in order, in blocks of at most `size`."""
        for start in range(0, len(self), size):
            yield self.block(start, min(len(self), start + size))

    def first_copies(self) -> NDArray[np.int64] | None:
        """For every place the first place with an equal row, None if all differ; see `directions.first_copies`."""
        if self.space.coarse:  # parallel rows differ here, though not in direction
            prints = [fingerprints(self._directions(places)) for places in self._chunks(0, len(self))]
            return first_copies(np.concatenate(prints), self._directions)
        prints = [fingerprints(block.rows.cpu().numpy()) for block in self.blocks()]
        return first_copies(np.concatenate(prints), lambda places: self._prepare(places)[0])

    def _directions(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        return unit_rows(self.values[self.order[places]])

    def _prepare(self, places: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return self.space.prepare(self.values[self.order[places]])

    def _chunks(self, start: int, end: int) -> Iterator[NDArray[np.int64]]:
        return (np.arange(at, min(end, at + CHUNK)) for at in range(start, end, CHUNK))

    def _gather(self, start: int, end: int) -> Block:
        rows = torch.empty((end - start, self.dimension), dtype=torch.float32)
        sides = []
        for places in self._chunks(start, end):
            prepared, side = self._prepare(places)
            rows[places[0] - start : places[-1] + 1 - start] = torch.from_numpy(prepared)
            sides.append(side)
        return self._on_device(rows, np.concatenate(sides) if sides else np.empty(0, np.float32))

    def _on_device(self, rows: Tensor, side: NDArray[np.float32]) -> Block:
        known = torch.from_numpy(side).to(self.device) if len(side) == len(rows) else None
        return Block(rows.to(self.device), known)


def survey(arrays: dict[str, tuple[Values, NDArray[np.int64]]], distance: Distance) -> Space:
    """Reads all rows once: checks them and finds out what the distance needs to know.

    Args:
        arrays: What they are called in messages -> (values, numbers of the rows used).
        distance: See `Space`.

    Raises:
        DatasetError: If a value is not finite, or a row is all zeros under cosine.
    """
    total, count, peak, coarse = np.zeros(0), 0, 0.0, isinstance(distance, str)
    for name, (values, numbers) in arrays.items():
        total = total if len(total) else np.zeros(values.shape[1])
        for start in range(0, len(numbers), CHUNK):
            chunk = values[numbers[start : start + CHUNK]]
            highest = np.abs(chunk if chunk.dtype.kind == "f" else chunk.astype(np.float64)).max(axis=1)
            _check(values, numbers, highest, start, name, distance)
            if distance == "euclidean":
                with np.errstate(over="ignore"):
                    total += chunk.sum(axis=0, dtype=np.float64)
                count, peak = count + len(chunk), max(peak, float(highest.max()))
            coarse = coarse and has_few_bits(chunk[:8]) and has_few_bits(chunk)  # rows of many bits show it soon
    if distance != "euclidean":
        return Space(distance, coarse)
    return Space(distance, False, centre_of(total, count, peak, coarse), int(np.frexp(peak)[1]))


def _check(
    values: Values, numbers: NDArray[np.int64], highest: NDArray[np.float64], start: int, name: str, distance: Distance
) -> None:
    """Raises DatasetError for a row that is not finite, or has no direction under cosine."""
    if not np.isfinite(highest).all():
        bad = [
            int(number)
            for at in range(0, len(numbers), CHUNK)
            for number in numbers[at : at + CHUNK][~np.isfinite(values[numbers[at : at + CHUNK]]).all(axis=1)]
        ]
        raise DatasetError(f"{name} row {bad[0]} has a value that is not finite ({len(bad)} such rows)")
    if distance == "cosine" and not highest.all():
        row = int(numbers[start + int(np.argmin(highest))])
        raise DatasetError(f"{name} row {row} is all zeros and has no direction; leave it out")
