"""Triplet mining, vectorised over the batch; one triplet per anchor, drawn from the method's own generator."""

from __future__ import annotations

import torch
from torch import Tensor

Triplets = tuple[Tensor, Tensor, Tensor]
MAX_DISTANCE = 1.999  # the density of distances on the sphere has a pole at 2


def pairwise_distances(embeddings: Tensor) -> Tensor:
    """Euclidean distances of unit vectors, shape (b, b), without gradient."""
    return _squared_distances(embeddings).clamp_(min=0).sqrt_()


def _squared_distances(embeddings: Tensor) -> Tensor:
    """2 - 2 z z' of unit vectors (..., b, D) without gradient, shape (..., b, b); rounding may take it below 0."""
    z = embeddings.detach().float()
    product = torch.addmm if z.dim() == 2 else torch.baddbmm
    return product(z.new_full((1,) * z.dim(), 2.0), z, z.mT, alpha=-2)


def uniform_draws(allowed: Tensor, generator: torch.Generator) -> Tensor:
    """For every row a uniform column among the allowed ones, shape (r,); 0 where none is.

    Args:
        allowed: Which columns may be drawn, bool, shape (r, c).
        generator: Where the draws come from.
    """
    return uniform_picks(allowed, torch.rand(len(allowed), generator=generator, device=allowed.device))


def uniform_picks(allowed: Tensor, uniform: Tensor) -> Tensor:
    """`uniform_draws` with the randomness given, for any leading dimensions.

    Args:
        allowed: Which columns may be picked, bool, shape (..., c).
        uniform: One number in [0, 1) per row, shape (...).
    """
    seen = allowed.cumsum(-1).float()
    # 1 - u lies in (0, 1]: the point is above what stands before the first and at most at the last allowed column
    share = 1 - uniform[..., None]
    return torch.searchsorted(seen, share * seen[..., -1:]).squeeze(-1)


def weighted_draws(log_weights: Tensor, generator: torch.Generator) -> Tensor:
    """For every row a column with probability softmax(log_weights) of the row, shape (r,).

    Every row is normalised on its own, so that none underflows, and nothing is looked at on the host.

    Args:
        log_weights: Float32, shape (r, c); -inf is never drawn where the row holds anything else.
        generator: Where the draws come from.
    """
    return weighted_picks(log_weights, torch.rand(len(log_weights), generator=generator, device=log_weights.device))


def weighted_picks(log_weights: Tensor, uniform: Tensor) -> Tensor:
    """`weighted_draws` with the randomness given, for any leading dimensions; a row of -inf gives any column.

    Args:
        log_weights: Float32, shape (..., c).
        uniform: One number in [0, 1) per row, shape (...).
    """
    reached = log_weights.softmax(-1).cumsum(-1)
    # 1 - u lies in (0, 1]: the first column that reaches it has a weight of its own
    share = 1 - uniform[..., None]
    return torch.searchsorted(reached, share * reached[..., -1:]).squeeze(-1).clamp(max=reached.shape[-1] - 1)


def random_positives(same: Tensor, generator: torch.Generator) -> Tensor:
    """For every anchor a uniform other sample of its class, the anchor itself where it is alone.

    Args:
        same: Whether two samples share a class, shape (b, b).
        generator: Where the draws come from.
    """
    return positive_picks(same, torch.rand(len(same), generator=generator, device=same.device))


def positive_picks(same: Tensor, uniform: Tensor) -> Tensor:
    """`random_positives` with the randomness given, for any leading dimensions.

    Args:
        same: Whether two samples share a class, shape (..., b, b).
        uniform: One number in [0, 1) per anchor, shape (..., b).
    """
    seen = same.cumsum(-1)
    place, members = seen.diagonal(dim1=-2, dim2=-1), seen[..., -1]
    # the k-th member, k in 1 .. members - 1, where those from the anchor on move up by one
    k = 1 + (uniform * (members - 1)).long()
    k += (k >= place) & (members > 1)
    return torch.searchsorted(seen, k[..., None]).squeeze(-1)


def negative_picks(embeddings: Tensor, same: Tensor, uniform: Tensor, lower_cutoff: float = 0.5) -> Tensor:
    """The negatives of `distance_weighted` with the randomness given, for one leading dimension or none.

    Args:
        embeddings: Unit vectors, shape (..., b, D).
        same: Whether two samples share a class, shape (..., b, b).
        uniform: One number in [0, 1) per anchor, shape (..., b).
        lower_cutoff: Distances below it count as equal.

    Returns:
        Columns, shape (..., b); an anchor without any sample of another class gets a meaningless one.
    """
    squares = _squared_distances(embeddings)
    log_weights = _inverse_density_of_squares(squares, embeddings.shape[-1], lower_cutoff)
    return weighted_picks(log_weights.masked_fill_(same, -torch.inf), uniform)


def inverse_density(distances: Tensor, dim: int, lower_cutoff: float = 0.5) -> Tensor:
    """Log weights of distances d on the unit sphere: (2 - D) log d - (D - 3)/2 log(1 - d^2/4).

    Args:
        distances: Any shape, in [0, 2].
        dim: Dimension D of the embedding.
        lower_cutoff: Distances below it count as equal.
    """
    return _inverse_density_of_squares(distances.square(), dim, lower_cutoff)


def _inverse_density_of_squares(squares: Tensor, dim: int, lower_cutoff: float) -> Tensor:
    """Log weights of squared distances, which are overwritten."""
    squares.clamp_(lower_cutoff**2, MAX_DISTANCE**2)
    weights = squares.log().mul_((2 - dim) / 2)
    return weights.sub_(squares.mul_(-0.25).add_(1).log_(), alpha=(dim - 3) / 2)


def distance_weighted(
    embeddings: Tensor, labels: Tensor, generator: torch.Generator, lower_cutoff: float = 0.5
) -> Triplets:
    """Negatives drawn by the inverse density of pairwise distances on the unit sphere.

    The probability of sample j as negative of anchor i is proportional to exp(w_ij) with
    w the log weight of `inverse_density` (Wu et al., ICCV 2017). Every anchor has a draw of its own: normalised by one
    maximum over the batch, all anchors without a close negative would underflow.

    Args:
        embeddings: Unit vectors, shape (b, D).
        labels: Classes, shape (b,).
        generator: Where the draws come from.
        lower_cutoff: Distances below it count as equal.

    Returns:
        Anchors, positives and negatives, each (t,); t = b unless all samples share one class (then 0).
    """
    same = labels[:, None] == labels[None, :]
    anchors = torch.arange(len(labels), device=labels.device)
    if same.all():
        return anchors[:0], anchors[:0], anchors[:0]
    uniform = torch.rand(len(labels), generator=generator, device=labels.device)
    negatives = negative_picks(embeddings, same, uniform, lower_cutoff)
    return anchors, random_positives(same, generator), negatives


def rho_regularised(
    embeddings: Tensor, labels: Tensor, generator: torch.Generator, probability: float, lower_cutoff: float = 0.5
) -> Triplets:
    """Distance-weighted triplets, some replaced by (i, i, j) with j of the class of i, whose loss pushes i and j apart.

    Spreading classes lowers the spectral decay rho of the embedding (Roth et al., ICML 2020). An anchor alone in its
    class is skipped.

    Args:
        embeddings: Unit vectors, shape (b, D).
        labels: Classes, shape (b,).
        generator: Where the draws come from.
        probability: Of the replacement, one draw per anchor, in [0, 1].
        lower_cutoff: See `distance_weighted`.

    Returns:
        Anchors, positives and negatives, each (t,), t <= b; of a batch of one class the replaced ones only.
    """
    anchors = torch.arange(len(labels), device=labels.device)
    _, members, negatives = distance_weighted(embeddings, labels, generator, lower_cutoff)
    one_class = len(members) == 0
    if one_class:
        members = negatives = random_positives(labels[:, None] == labels[None, :], generator)
    pushed = torch.rand(len(labels), generator=generator, device=labels.device) < probability
    kept = (members != anchors) & pushed if one_class else members != anchors
    positives, negatives = torch.where(pushed, anchors, members), torch.where(pushed, members, negatives)
    return anchors[kept], positives[kept], negatives[kept]


def semihard(embeddings: Tensor, labels: Tensor, generator: torch.Generator, margin: float) -> Triplets:
    """A random positive, and a random negative that is farther than it by less than the margin.

    Where there is no such negative, any sample of another class is drawn (Schroff et al., CVPR 2015; one triplet per
    anchor as in the reference study).

    Args:
        embeddings: Unit vectors, shape (b, D).
        labels: Classes, shape (b,).
        generator: Where the draws come from.
        margin: Width of the band beyond the positive, in Euclidean distance.

    Returns:
        Anchors, positives and negatives, each (t,); t = b unless all samples share one class (then 0).
    """
    d = pairwise_distances(embeddings)
    same = labels[:, None] == labels[None, :]
    anchors = torch.arange(len(labels), device=labels.device)
    if same.all():
        return anchors[:0], anchors[:0], anchors[:0]
    positives = random_positives(same, generator)
    d_ap = d.gather(1, positives[:, None])
    band = ~same & (d > d_ap) & (d < d_ap + margin)
    return anchors, positives, uniform_draws(torch.where(band.any(1, keepdim=True), band, ~same), generator)
