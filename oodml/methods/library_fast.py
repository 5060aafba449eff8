"""Losses of pytorch-metric-learning at a cost of b^2 d for a batch of b, where the library takes b^3 or b^2 d memory.

`FAST` replaces a class of the library by the one here wherever the catalog names it; the values are the same.
"""

from __future__ import annotations

import math

import torch
from pytorch_metric_learning import distances
from torch import Tensor, nn
from torch.nn import functional

EDGE = 1e-6  # distance of a cosine from 1 at which arccos still has a slope


class SNRDistance(distances.SNRDistance):  # type: ignore[misc]
    """var(a - b) / var(a), from the products of centred vectors instead of all differences (b, b, d)."""

    def forward(self, query_emb: Tensor, ref_emb: Tensor | None = None) -> Tensor:
        """Ratios (q, r), exactly 0 for a sample and itself, which a mean over non-zero terms relies on."""
        ratios: Tensor = super().forward(query_emb, ref_emb)
        if ref_emb is None or ref_emb is query_emb:
            return ratios * (1 - torch.eye(len(ratios), device=ratios.device))
        return ratios

    def compute_mat(self, query_emb: Tensor, ref_emb: Tensor) -> Tensor:
        """Ratios (q, r) up to rounding."""
        query, reference = (x - x.mean(1, keepdim=True) for x in (query_emb, ref_emb))
        power = query.square().sum(1, keepdim=True)
        ratios: Tensor = (power + reference.square().sum(1) - 2 * query @ reference.T).clamp(min=0) / power
        return ratios


def pair_masks(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Which pairs of a batch are positive and which negative, each (b, b); no sample pairs with itself."""
    same = labels[:, None] == labels[None, :]
    return same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device), ~same


def over_negatives(values: Tensor, negative: Tensor) -> Tensor:
    """log-sum-exp of (b, b) over the negatives of each anchor, shape (b, 1)."""
    return values.masked_fill(~negative, -torch.inf).logsumexp(1, keepdim=True)


class PairLoss(nn.Module):
    """Mean of a term over positive pairs that compares each with the negatives of its anchor, for `terms` to give.

    The library holds every positive beside every negative pair, b^3 times the samples per class, and spends seconds on
    what takes b^2: the sum over an anchor's negatives is the same for all its positives.
    """

    def terms(self, z: Tensor, negative: Tensor) -> Tensor:
        """The term of every pair, shape (b, b), from unit vectors and the mask of negatives."""
        raise NotImplementedError

    def forward(self, embeddings: Tensor, labels: Tensor, indices_tuple: None = None) -> Tensor:
        """Loss of embeddings (b, d) with labels (b,); 0 without pairs of both kinds, as in the library."""
        positive, negative = pair_masks(labels)
        if not bool(positive.any() & negative.any()):
            return embeddings.sum() * 0
        return self.terms(functional.normalize(embeddings, dim=1), negative)[positive].mean()


class NTXent(PairLoss):
    """The library's loss at less cost.

    Args:
        temperature: Divides the cosines.
    """

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def terms(self, z: Tensor, negative: Tensor) -> Tensor:
        """-log of the positive's share among itself and the negatives, shape (b, b)."""
        logits = z @ z.T / self.temperature
        return functional.softplus(over_negatives(logits, negative) - logits)


class TupletMargin(PairLoss):
    """The library's loss at less cost, with cosines kept off 1.

    Args:
        margin: Slack of the positive's angle, in degrees.
        scale: Multiplies the cosines.
    """

    def __init__(self, margin: float, scale: float) -> None:
        super().__init__()
        self.margin, self.scale = math.radians(margin), scale

    def terms(self, z: Tensor, negative: Tensor) -> Tensor:
        """log(1 + sum over negatives of exp(scale (cos - cos(angle of the positive - margin)))), shape (b, b)."""
        cosines = (z @ z.T).clamp(-1 + EDGE, 1 - EDGE)
        slack = (cosines.arccos() - self.margin).cos()
        return functional.softplus(over_negatives(self.scale * cosines, negative) - self.scale * slack)


class LiftedStructure(PairLoss):
    """The library's loss at less cost.

    Args:
        pos_margin: Distance down to which positives are pulled.
        neg_margin: Distance up to which negatives are pushed.
    """

    def __init__(self, pos_margin: float, neg_margin: float) -> None:
        super().__init__()
        self.pos_margin, self.neg_margin = pos_margin, neg_margin
        self.distance = distances.LpDistance()

    def terms(self, z: Tensor, negative: Tensor) -> Tensor:
        """Half the square of the violation, against the negatives of both samples, shape (b, b)."""
        d: Tensor = self.distance(z)
        rows = over_negatives(self.neg_margin - d, negative)
        return functional.relu(torch.logaddexp(rows, rows.T) + d - self.pos_margin).square() / 2


class ThresholdConsistentMargin(nn.Module):
    """The library's loss on the matrix of cosines instead of all pairs of vectors.

    Args:
        lambda_plus: Weight of the positive pairs.
        lambda_minus: Weight of the negative pairs.
        margin_plus: Cosine below which positive pairs count.
        margin_minus: Cosine above which negative pairs count.
    """

    def __init__(self, lambda_plus: float, lambda_minus: float, margin_plus: float, margin_minus: float) -> None:
        super().__init__()
        self.weights, self.margins = (lambda_plus, lambda_minus), (margin_plus, margin_minus)

    def forward(self, embeddings: Tensor, labels: Tensor, indices_tuple: None = None) -> Tensor:
        """Loss of embeddings (b, d) with labels (b,)."""
        z = functional.normalize(embeddings, dim=1)
        cosines = z @ z.T
        positive, negative = pair_masks(labels)
        too_far = (self.margins[0] - cosines) * (positive & (cosines <= self.margins[0]))
        too_close = (cosines - self.margins[1]) * (negative & (cosines >= self.margins[1]))
        pull, push = (violation.sum() / (violation > 0).sum().clamp(min=1) for violation in (too_far, too_close))
        return self.weights[0] * pull + self.weights[1] * push


def positives_of(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of each sample's class, itself among them, shape (b, m), and which entries are not padding, (b, m)."""
    same = labels[:, None] == labels[None, :]
    width = int(same.sum(1).max())
    rows = same.int().argsort(dim=1, descending=True, stable=True)[:, :width]
    return rows, same.gather(1, rows)


class SmoothAP(nn.Module):
    """1 - average precision with sigmoids for steps, for any number of samples per class (Brown et al., ECCV 2020).

    The library's class mixes up the number of classes and of samples per class, and is right only where the two are
    equal. As there and in the authors' code a query retrieves itself.

    Args:
        temperature: Width of the sigmoids, in cosines.
    """

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, embeddings: Tensor, labels: Tensor, indices_tuple: None = None) -> Tensor:
        """Loss of embeddings (b, d) with labels (b,)."""
        z = functional.normalize(embeddings, dim=1)
        s = z @ z.T
        rows, valid = positives_of(labels)
        everyone = torch.arange(len(s), device=s.device)
        above = ((s[:, None, :] - s.gather(1, rows)[:, :, None]) / self.temperature).sigmoid()  # query, positive, other
        above = above * (rows[:, :, None] != everyone)
        same = (labels[:, None] == labels[None, :]).float()
        precision = (1 + (above * same[:, None, :]).sum(2)) / (1 + above.sum(2))
        return 1 - ((precision * valid).sum(1) / valid.sum(1)).mean()


class PNP(nn.Module):
    """The library's loss at less cost.

    Args:
        variant: "O" for the number of negatives before a positive, or "Ds", "Dq", "Iu", "Ib" for functions of it.
        anneal: Width of the sigmoids, in cosines.
        alpha: Exponent of variant Dq.
        b: Bend of variant Ib.
    """

    def __init__(self, variant: str, anneal: float, alpha: float, b: float) -> None:
        super().__init__()
        self.variant, self.anneal, self.alpha, self.b = variant, anneal, alpha, b

    def penalty(self, before: Tensor) -> Tensor:
        """What so many negatives before a positive cost."""
        match self.variant:
            case "O":
                return before
            case "Ds":
                return (1 + before).log()
            case "Dq":
                return 1 - (1 + before) ** -self.alpha
            case "Iu":
                return (1 + before) * (1 + before).log()
            case "Ib":
                return (self.b * before - (1 + self.b * before).log()) / self.b**2
        raise ValueError(f"variant should be O, Ds, Dq, Iu or Ib, got {self.variant!r}")

    def forward(self, embeddings: Tensor, labels: Tensor, indices_tuple: None = None) -> Tensor:
        """Loss of embeddings (b, d) with labels (b,)."""
        z = functional.normalize(embeddings, dim=1)
        s = z @ z.T
        rows, valid = positives_of(labels)
        negative = (labels[:, None] != labels[None, :]).float()
        above = ((s[:, None, :] - s.gather(1, rows)[:, :, None]) / self.anneal).sigmoid()
        cost = self.penalty((above * negative[:, None, :]).sum(2))
        return ((cost * valid).sum(1) / valid.sum(1)).mean()


class Manifold(nn.Module):
    """The library's loss at less cost, with classes, or random groups of them, as meta-classes.

    The library takes no labels and draws meta-classes per sample; in the paper a random grouping of the classes, made
    once, gives every sample its proxy. With as many proxies as classes every class has its own.

    Args:
        num_classes: Number of classes.
        embedding_dim: Width d of the embedding.
        proxies: Largest number of proxies.
        context_weight: Weight of the loss on whole rows of the walk.
        alpha: Share of a walk that goes on, in (0, 1).
        margin: By how much the own proxy should lead.
    """

    def __init__(
        self, num_classes: int, embedding_dim: int, proxies: int, context_weight: float, alpha: float, margin: float
    ) -> None:
        super().__init__()
        count = min(proxies, num_classes)
        self.proxies = nn.Parameter(torch.randn(count, embedding_dim))
        self.groups: Tensor
        self.register_buffer("groups", torch.randperm(num_classes) % count)
        self.context_weight, self.alpha, self.margin = context_weight, alpha, margin

    def forward(self, embeddings: Tensor, labels: Tensor, indices_tuple: None = None) -> Tensor:
        """Loss of embeddings (b, d) with labels (b,)."""
        b, own = len(embeddings), self.groups[labels]
        nodes = functional.normalize(torch.cat([embeddings, self.proxies]), dim=1)
        eye = torch.eye(len(nodes), device=nodes.device)
        weights = (2 * functional.relu(nodes @ nodes.T)).exp() * (1 - eye)
        scale = weights.sum(1).rsqrt()
        walks = (1 - self.alpha) * torch.linalg.inv(eye - self.alpha * scale[:, None] * weights * scale)
        rows = functional.normalize(walks, dim=1)
        return self._lead(walks[:b, b:], own) + self.context_weight * self._lead(rows[:b] @ rows[b:].T, own)

    def _lead(self, values: Tensor, own: Tensor) -> Tensor:
        """Mean of log(1 + sum of exp of what proxies are ahead of the own, less the margin), of values (b, k)."""
        behind = values - values.gather(1, own[:, None]) + self.margin
        counted = (behind >= 0).scatter(1, own[:, None], value=False)
        return (behind.exp() * counted).sum(1).log1p().mean()


FAST: dict[str, type[nn.Module]] = {
    "LiftedStructureLoss": LiftedStructure,
    "ManifoldLoss": Manifold,
    "NTXentLoss": NTXent,
    "PNPLoss": PNP,
    "SmoothAPLoss": SmoothAP,
    "SNRDistance": SNRDistance,
    "ThresholdConsistentMarginLoss": ThresholdConsistentMargin,
    "TupletMarginLoss": TupletMargin,
}
