"""Proto-triplet loss of few-shot episodes (Mendez-Ruiz et al., 2023)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from oodml.methods.base import Batch, Method, Output, number

EPSILON = 1e-6  # within the root, as the authors do: the slope stays finite where query and prototype are one


def rank_in_class(labels: Tensor) -> tuple[Tensor, Tensor]:
    """How many samples of its class precede each sample in the batch, and how many there are, each (b,)."""
    same = labels[:, None] == labels[None, :]
    return same.tril(-1).sum(1), same.sum(1)


class ProtoTriplet(Method):
    """Each query against the mean of its class's support and against the nearest mean of another class.

    The batch is one episode: of the n samples of a class the first n - n // 2 are support, the others queries. The
    sampler draws samples in random order, so the halves are random.
    """

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        """Mean over queries of [d(q, own) - min d(q, other) + margin]+; 0 without queries or a second class."""
        z, labels = outputs[0].embeddings["embedding"], batch.labels
        rank, count = rank_in_class(labels)
        query = rank >= count - count // 2
        classes, members = labels.unique(return_inverse=True)
        if len(classes) < 2 or not bool(query.any()):
            return z.sum() * 0
        support = functional.one_hot(members[~query], len(classes)).to(z.dtype)
        prototypes = support.T @ z[~query] / support.sum(0)[:, None]
        squares = (z[query][:, None, :] - prototypes[None, :, :]).square().sum(2)
        distances = (squares + EPSILON).sqrt()
        own = functional.one_hot(members[query], len(classes)).bool()
        positive = distances[own]  # one entry a row
        negative = distances.masked_fill(own, torch.inf).amin(1)
        return functional.relu(positive - negative + number(self.options, "margin")).mean()
