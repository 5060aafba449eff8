"""Losses over mixed examples, each of which is partly a positive and partly a negative of its anchor.

All take similarities s (a, m) of anchors to examples, and for every entry how much of a positive and of a negative the
example is, both in [0, 1]; an example that does not belong to the anchor has 0 and 0. Nothing else is masked.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from oodml.methods.multisimilarity import log_one_plus_sum


def mixed_similarities(to_first: Tensor, to_second: Tensor, between: Tensor, share: Tensor) -> Tensor:
    """Cosines of anchors and normalize(share x + (1 - share) x') from those of the unit vectors, without any vector.

    Args:
        to_first: Cosines of anchor and x.
        to_second: Cosines of anchor and x'.
        between: Cosines of x and x'; all three broadcast.
        share: Share of x, 0-dim, in [0, 1].
    """
    rest = 1 - share
    length = (share.square() + rest.square() + 2 * share * rest * between).clamp(min=1e-6).sqrt()
    return (share * to_first + rest * to_second) / length


def hardest(similarities: Tensor, allowed: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The allowed columns of the largest similarity in every row.

    Args:
        similarities: Shape (a, n).
        allowed: Which columns may be taken, shape (a, n).
        count: How many, 0 for all n.

    Returns:
        Columns (a, k) with k = min(count, n), and which of them are allowed: rows may allow fewer.
    """
    total = similarities.shape[1]
    scores = similarities.detach().masked_fill(~allowed, -torch.inf)
    columns = scores.topk(min(count or total, total), dim=1).indices
    return columns, allowed.gather(1, columns)


def distances(similarities: Tensor) -> Tensor:
    """Euclidean distances of unit vectors, with a finite gradient at 0."""
    return ((2 - 2 * similarities).clamp(min=0) + 1e-8).sqrt()


def multisimilarity(s: Tensor, positive: Tensor, negative: Tensor, alpha: float, beta: float, base: float) -> Tensor:
    """Mean over anchors of the multi-similarity loss without its pair mining.

    Args:
        s: Similarities, shape (a, m).
        positive: How much of a positive each example is, shape (a, m).
        negative: How much of a negative each example is, shape (a, m).
        alpha: Weight of positives.
        beta: Weight of negatives.
        base: Similarity around which both are measured.
    """
    pull = log_one_plus_sum(-alpha * (s - base), positive) / alpha
    push = log_one_plus_sum(beta * (s - base), negative) / beta
    return (pull + push).mean()


def contrastive(s: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Distances of positives plus [margin - d]+ of negatives, each averaged over its terms that are not 0.

    Args:
        s: Similarities, shape (a, m).
        positive: How much of a positive each example is, shape (a, m).
        negative: How much of a negative each example is, shape (a, m).
        margin: Distance from which negatives count no more, in (0, 2).
    """
    d = distances(s)
    pull, push = positive * d, negative * functional.relu(margin - d)
    return pull.sum() / (pull > 0).sum().clamp(min=1) + push.sum() / (push > 0).sum().clamp(min=1)


def margin(s: Tensor, positive: Tensor, negative: Tensor, beta: Tensor, width: float) -> Tensor:
    """The margin loss, summed over all examples, over its active terms.

    Args:
        s: Similarities, shape (a, m).
        positive: How much of a positive each example is, shape (a, m).
        negative: How much of a negative each example is, shape (a, m).
        beta: Boundary of each anchor, shape (a,).
        width: Half the width of the band around it.
    """
    d = distances(s)
    pull = positive * functional.relu(d - beta[:, None] + width)
    push = negative * functional.relu(beta[:, None] - d + width)
    return (pull + push).sum() / ((pull > 0).sum() + (push > 0).sum()).clamp(min=1)


def proxy_anchor(s: Tensor, positive: Tensor, negative: Tensor, present: Tensor, alpha: float, delta: float) -> Tensor:
    """Pull averaged over the proxies with a class in the batch, plus push averaged over all proxies.

    Args:
        s: Similarities of proxies and examples, shape (c, m).
        positive: How much of its class each example is, shape (c, m).
        negative: How much of other classes each example is, shape (c, m).
        present: Which classes are in the batch, shape (c,).
        alpha: Scale of similarities.
        delta: Margin of similarities.
    """
    pull = log_one_plus_sum(-alpha * (s - delta), positive)
    push = log_one_plus_sum(alpha * (s + delta), negative)
    return pull.masked_fill(~present, 0).sum() / present.sum() + push.mean()
