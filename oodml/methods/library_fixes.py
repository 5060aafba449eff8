"""Classes of pytorch-metric-learning that need help before they can train from labelled batches.

`FIXES` replaces a class of the library by the one here wherever the catalog names it; `library_fast` has those that
are replaced for their cost.
"""

from __future__ import annotations

from typing import Any

import torch
from pytorch_metric_learning import distances, losses
from torch import Tensor, nn
from torch.nn import functional

EDGE = 1e-6  # distance of a cosine from 1 at which arccos still has a slope, and a histogram's last bin an end


class InnerCosine(distances.CosineSimilarity):  # type: ignore[misc]
    """Cosines kept off -1 and 1.

    Rounding takes the cosine of two copies above 1, where arccos is NaN and the index of a histogram's bin lies outside
    (on a GPU that ends the process); at 1 itself the slope of arccos is infinite.
    """

    def compute_mat(self, query_emb: Tensor, ref_emb: Tensor) -> Tensor:
        """Cosines in [-1 + EDGE, 1 - EDGE], shape (q, r)."""
        cosines: Tensor = super().compute_mat(query_emb, ref_emb)
        return cosines.clamp(-1 + EDGE, 1 - EDGE)


class DynamicSoftMargin(losses.DynamicSoftMarginLoss):  # type: ignore[misc]
    """The library's loss with a histogram that a checkpoint keeps, that fits, and that gives no gradient.

    The library's histogram carries the graph of the steps before, so the second backward pass fails; it is no buffer,
    and has no bin for the largest differences. In the paper it is a weight, hence a constant.
    """

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        del self.hist_
        self.register_buffer("hist_", torch.zeros(self.num_bins + 2))  # differences of min_val .. -min_val, both ends

    def compute_loss_with_labels(self, *args: Any) -> Tensor:
        """d(a,p) - d(a,n) over triplets, shape (t,), kept in the histogram's range against rounding."""
        difference: Tensor = super().compute_loss_with_labels(*args)
        return difference.clamp(self.min_val, -self.min_val)

    def update_histogram(self, data: Tensor) -> None:
        """Moves the histogram towards that of the batch."""
        super().update_histogram(data.detach())


class PairHistogram(losses.HistogramLoss):  # type: ignore[misc]
    """The library's loss on the pairs of the batch without its detour over triplets.

    The library gets the pairs from all triplets, as lists of Python numbers, and indexes with them in a way that torch
    is about to read differently.
    """

    def forward(self, embeddings: Tensor, labels: Tensor, indices_tuple: None = None) -> Tensor:
        """Loss of embeddings (b, d) with labels (b,); 0 without pairs of both kinds."""
        i, j = torch.triu_indices(len(labels), len(labels), 1, device=labels.device)
        cosines, same = self.distance(embeddings, embeddings)[i, j], labels[i] == labels[j]
        if bool(same.all()) or not bool(same.any()):
            return embeddings.sum() * 0
        below: Tensor = self.compute_density(cosines[same]).cumsum(0)
        value: Tensor = (self.compute_density(cosines[~same]) * below).sum()
        return value


class ClassInstance(losses.InstanceLoss):  # type: ignore[misc]
    """The library's loss on a batch in the order that it silently assumes.

    It takes the rank of a sample's class among the batch's classes as the row of the target, which is the row of an
    unrelated sample unless the first samples are one of every class in the order of the classes.
    """

    def forward(self, embeddings: Tensor, labels: Tensor, indices_tuple: None = None) -> Tensor:
        """Loss of embeddings (b, d) with labels (b,)."""
        classes, ranks = labels.unique(return_inverse=True)
        rows = torch.arange(len(labels), device=labels.device)
        first = torch.full((len(classes),), len(labels), device=labels.device).scatter_reduce(0, ranks, rows, "amin")
        is_first = first[ranks] == rows
        order = torch.where(is_first, ranks, len(labels) + rows).argsort()
        value: Tensor = super().forward(embeddings[order], labels[order])
        return value


class CloseCenters(nn.Module):
    """Mean distance between the centres of a class, halved: pulls superfluous ones together (Qian et al., ICCV 2019).

    The library's regulariser compares all centres of all classes, gigabytes for ten thousand classes, and its root has
    an infinite slope where centres meet, which is what it is for.

    Args:
        num_classes: Number of classes c.
        centers_per_class: Centres of each, k.
    """

    def __init__(self, num_classes: int, centers_per_class: int) -> None:
        super().__init__()
        self.shape = (num_classes, centers_per_class, -1)

    def forward(self, weights: Tensor) -> Tensor:
        """Regulariser of centres (c k, d)."""
        centers = functional.normalize(weights, dim=1).view(self.shape)
        upper = torch.ones(self.shape[1], self.shape[1], device=weights.device).triu(1).bool()
        if not upper.any():  # one centre: nothing to pull
            return weights.sum() * 0
        cosines = (centers @ centers.transpose(1, 2))[:, upper]
        return (2 + 1e-5 - 2 * cosines).clamp(min=1e-5).sqrt().mean() / 2


FIXES: dict[str, type[nn.Module]] = {
    "CosineSimilarity": InnerCosine,
    "DynamicSoftMarginLoss": DynamicSoftMargin,
    "HistogramLoss": PairHistogram,
    "InstanceLoss": ClassInstance,
    "SparseCentersRegularizer": CloseCenters,
}
