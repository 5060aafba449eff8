"""Batches of several samples per class: endless iterators of row tensors, drawn from a generator of their own."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


class _Members:
    """Rows of every class, as one table with one row per class padded by -1."""

    def __init__(self, labels: Tensor) -> None:
        order = torch.argsort(labels, stable=True)
        _, counts = torch.unique_consecutive(labels[order], return_counts=True)
        self.counts = counts
        self.table = torch.full((len(counts), int(counts.max())), -1)
        columns = torch.arange(self.table.shape[1])
        self.table[columns[None, :] < counts[:, None]] = order

    def with_replacement(self, classes: Tensor, k: int, generator: torch.Generator) -> Tensor:
        """K uniform rows of each class, repeats possible, shape (len(classes), k)."""
        uniform = torch.rand(len(classes), k, generator=generator, dtype=torch.float64)
        columns = (uniform * self.counts[classes, None]).long()
        return self.table[classes[:, None], columns]

    def distinct(self, classes: Tensor, k: int, generator: torch.Generator) -> Tensor:
        """K different rows of each class; a class with fewer repeats its own in random order."""
        keys = torch.rand(len(classes), self.table.shape[1], generator=generator)
        keys[self.table[classes] < 0] = 2.0  # padding sorts last
        columns = keys.argsort(1)[:, torch.arange(k) % keys.shape[1]]
        position = torch.arange(k)[None, :] % self.counts[classes, None].clamp(max=k)
        return self.table[classes[:, None], columns.gather(1, position)]


def class_random(labels: Tensor, batch_size: int, k: int, generator: torch.Generator) -> Iterator[Tensor]:
    """The study's sampler: batch_size / k classes and k samples of each, both uniform with replacement.

    Args:
        labels: Class of every training sample, shape (n,), on the CPU.
        batch_size: A multiple of k.
        k: Samples per class.
        generator: Where the draws come from.

    Yields:
        Rows of a batch, shape (batch_size,), k equal labels in a row.
    """
    members = _Members(labels)
    while True:
        classes = torch.randint(len(members.counts), (batch_size // k,), generator=generator)
        yield members.with_replacement(classes, k, generator).flatten()


def balanced(labels: Tensor, batch_size: int, k: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Distinct classes per batch, and distinct samples of each as far as a class has them.

    With fewer than batch_size / k classes the remaining places take classes a second time.

    Args:
        labels: Class of every training sample, shape (n,), on the CPU.
        batch_size: A multiple of k.
        k: Samples per class.
        generator: Where the draws come from.

    Yields:
        Rows of a batch, shape (batch_size,), k equal labels in a row.
    """
    members = _Members(labels)
    wanted = batch_size // k
    while True:
        rounds = -(-wanted // len(members.counts))
        shuffles = [torch.randperm(len(members.counts), generator=generator) for _ in range(rounds)]
        yield members.distinct(torch.cat(shuffles)[:wanted], k, generator).flatten()


SAMPLERS = {"class_random": class_random, "balanced": balanced}
