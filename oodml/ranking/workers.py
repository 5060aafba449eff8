"""Tiles side by side: each thread computes tiles of its own with one core, so no thread waits for another's part."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

Item = TypeVar("Item")


def num_workers(device: str) -> int:
    """Threads that work side by side: as many as torch uses on a CPU, one on a GPU."""
    return torch.get_num_threads() if device == "cpu" else 1


def run_side_by_side(function: Callable[[Item], None], items: Iterable[Item], device: str) -> Iterator[None]:
    """Calls a function with every item in `num_workers` threads; yields after each, in order.

    Threads that share one product of matrices spin while others sort; threads with a tile each do not. The function's
    torch operations run on one core, so its numbers do not depend on how many threads there are.

    Args:
        function: May run in several threads at once.
        items: What it is called with.
        device: On a GPU everything runs in the calling thread.
    """
    threads = num_workers(device)
    if threads == 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads, "oodml-tiles", initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            yield from pool.map(function, items)
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)  # what new threads start with; that of this one has not changed


class Buffers(threading.local):
    """Memory for tiles, of each thread its own."""

    def __init__(self, size: int, device: str) -> None:
        self._size, self._device = size, device
        self._held: dict[str, Tensor] = {}

    def get(self, name: str, *shape: int) -> Tensor:
        """A tensor of the given shape, at most `size` numbers, whose content is left over from the last use."""
        if name not in self._held:
            self._held[name] = torch.empty(self._size, device=self._device)
        count = 1
        for side in shape:
            count *= side
        return self._held[name][:count].view(shape)
