"""DaNCE: contrast of an image with its second view, against a queue of keys of a momentum network (DiVA)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from oodml.methods.mining import inverse_density

UPPER_CUTOFF = 1.4  # keys farther than this from a query hardly count
TINY = 1e-38  # smallest weight before normalising: a normal float, since some devices flush smaller ones to 0


def key_weights(query: Tensor, queue: Tensor, published: bool = False) -> Tensor:
    """How much every key of the queue counts for every query, without gradient.

    Proportional to the inverse density of distances on the sphere, and nothing beyond a distance of 1.4.

    Args:
        query: Unit vectors, shape (b, D).
        queue: Unit vectors, shape (k, D).
        published: Take one maximum over all entries and normalise over the queries, as in the study, where most
            entries come out as 1 / b.

    Returns:
        Shape (b, k): the rows sum to 1, published the columns.
    """
    with torch.no_grad():
        d = (2 - 2 * query @ queue.T).clamp(min=0).sqrt()
        weights = inverse_density(d, query.shape[1])
        far = d > UPPER_CUTOFF
        if published:
            u = (weights - weights.max()).exp().masked_fill(far, 0).clamp(min=TINY)
            return u / u.sum(0, keepdim=True)
        return weights.masked_fill(far, -1e30).softmax(1)  # finite: a query far from all keys weighs them equally


def dance_loss(query: Tensor, key: Tensor, queue: Tensor, temperature: float, published: bool = False) -> Tensor:
    """Cross-entropy of q_i k_i / temperature against W_ij q_i Q_j / temperature, W by `key_weights`.

    Args:
        query: Unit vectors of the network that trains, shape (b, D).
        key: Unit vectors of the second views, shape (b, D), without gradient.
        queue: Earlier keys, shape (k, D).
        temperature: Above 0.
        published: See `key_weights`.
    """
    own = (query * key).sum(1, keepdim=True)
    others = query @ queue.T * key_weights(query, queue, published)
    logits = torch.cat([own, others], dim=1) / temperature
    return functional.cross_entropy(logits, torch.zeros(len(query), dtype=torch.long, device=query.device))


class MomentumKeys(nn.Module):
    """Moving averages of a backbone and a head, and the queue of the keys they computed.

    Args:
        backbone: Copied; never trained by an optimiser.
        head: Linear layer on pooled features; copied.
        length: Keys in the queue, all 0 at first.
        momentum: Share of the old weights in an update, in [0, 1].
        bf16: Whether the backbone runs in mixed precision.
    """

    queue: Tensor

    def __init__(self, backbone: nn.Module, head: nn.Linear, length: int, momentum: float, bf16: bool = False) -> None:
        super().__init__()
        self.backbone, self.head = copy.deepcopy(backbone), copy.deepcopy(head)
        self.requires_grad_(False)
        self.momentum, self.bf16 = momentum, bf16
        self.register_buffer("queue", head.weight.new_zeros(length, head.out_features))

    def forward(self, inputs: Tensor) -> Tensor:
        """Unit keys of inputs, shape (b, D), without gradient."""
        with torch.no_grad():
            with torch.autocast(inputs.device.type, torch.bfloat16, self.bf16):
                pooled = self.backbone(inputs).pooled
            return functional.normalize(self.head(pooled.float()), dim=1)

    def push(self, keys: Tensor) -> None:
        """Keys (b, D) enter the queue and the b oldest leave it."""
        self.queue.copy_(torch.cat([self.queue, keys])[-len(self.queue) :])

    def update(self, backbone: nn.Module, head: nn.Module) -> None:
        """Moves the copies towards the networks: momentum * old + (1 - momentum) * new."""
        with torch.no_grad():
            for copied, original in ((self.backbone, backbone), (self.head, head)):
                for mine, theirs in zip(copied.parameters(), original.parameters(), strict=True):
                    mine.mul_(self.momentum).add_(theirs, alpha=1 - self.momentum)
