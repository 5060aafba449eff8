"""Mixup for metric learning: examples that are partly positive and partly negative (Venkataramanan et al., ICLR 2022).

A mixed example is normalize(lam x + (1 - lam) x') at the level of embeddings, or the embedding of the mixed inputs; its
label is mixed in the same way. Embeddings are never mixed one by one: what a loss needs follows from their cosines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from oodml.errors import UnknownNameError
from oodml.methods import metrix_losses
from oodml.methods.base import Batch, Context, Method, Output, TrainState, number
from oodml.methods.headless import headless
from oodml.methods.metrix_losses import hardest, mixed_similarities
from oodml.methods.mining import random_positives
from oodml.records import Scalar

LOSSES = ("multisimilarity", "contrastive", "margin", "proxy_anchor")
HARD_NEGATIVES = {"embedding": 20, "input": 3}


def draw_share(alpha: float, generator: torch.Generator) -> Tensor:
    """A draw from Beta(alpha, alpha), 0-dim, on the generator's device; never exactly 0 or 1."""
    shape = torch.full((2,), alpha, device=generator.device)
    gammas = torch._standard_gamma(shape, generator=generator)
    return (gammas[0] / gammas.sum()).clamp(1e-6, 1 - 1e-6)


class Metrix(Method):
    """A loss on the embedding head, plus the same loss over mixed examples."""

    def __init__(self, context: Context, options: Mapping[str, Scalar]) -> None:
        super().__init__(context, options)
        self.name, self.level = str(options["loss"]), str(options["level"])
        for option, allowed in (("loss", LOSSES), ("level", tuple(HARD_NEGATIVES))):
            if options[option] not in allowed:
                raise UnknownNameError(f"value of metrix.{option}", str(options[option]), allowed)
        wanted = int(number(options, "hard_negatives"))
        self.hard_negatives = HARD_NEGATIVES[self.level] if wanted < 0 else wanted
        self.criterion = None if self.name == "contrastive" else headless(self.name, context, {})
        self._network: Callable[[Tensor], Output] | None = None

    def on_start(self, state: TrainState) -> None:
        """Keeps how to run the network: a bound method, because a module would become a part of this one."""
        self._network = state.network.__call__

    def extra_groups(self) -> list[dict[str, Any]]:
        """Boundaries or proxies, at the rates of their own methods."""
        return self.criterion.extra_groups() if self.criterion else []

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        """The loss of the batch, and that of one kind of mixed pairs drawn for this step."""
        z = outputs[0].embeddings["embedding"]
        value = self._clean(outputs, batch)
        share = draw_share(number(self.options, "alpha"), self.context.generator)
        with_anchor = bool(torch.rand((), device=z.device, generator=self.context.generator) < 0.5)
        mixed = self._mixed_proxies if self.name == "proxy_anchor" else self._mixed_samples
        return value + number(self.options, "weight") * mixed(z, batch, share, with_anchor)

    def _clean(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        if self.criterion:
            return self.criterion.loss(outputs, batch)
        z, labels = outputs[0].embeddings["embedding"], batch.labels
        same = labels[:, None] == labels[None, :]
        positive = same & ~torch.eye(len(z), dtype=torch.bool, device=z.device)
        margin = number(self.options, "contrastive_margin")
        return metrix_losses.contrastive(z @ z.T, positive.float(), (~same).float(), margin)

    def _mixed_samples(self, z: Tensor, batch: Batch, share: Tensor, with_anchor: bool) -> Tensor:
        """Anchors are samples: every one sees its partners (positives, or itself) mixed with its hardest negatives."""
        s = z @ z.T
        same = batch.labels[:, None] == batch.labels[None, :]
        partners, has_partner = self._partners(same, with_anchor)
        negatives, is_negative = hardest(s, ~same, self.hard_negatives)
        if self.level == "input":
            v = self._embed_mixed(batch.inputs[0], partners, negatives, share)
            mixed = (z[:, None] * v).sum(2)
        else:
            between = s[partners[:, :, None], negatives[:, None, :]]
            to_partner, to_negative = s.gather(1, partners), s.gather(1, negatives)
            mixed = mixed_similarities(to_partner[:, :, None], to_negative[:, None, :], between, share).flatten(1)
        valid = (has_partner[:, :, None] & is_negative[:, None, :]).flatten(1)
        return self._loss_of(mixed, valid * share, valid * (1 - share), batch.labels)

    def _partners(self, same: Tensor, with_anchor: bool) -> tuple[Tensor, Tensor]:
        """What is mixed with the negatives of every anchor: rows (b, p), and which of them count."""
        eye = torch.eye(len(same), dtype=torch.bool, device=same.device)
        if with_anchor:
            return torch.arange(len(same), device=same.device)[:, None], same.any(1, keepdim=True)
        positives = same & ~eye
        if self.level == "input":  # one positive: every further one would cost a pass of the network
            return random_positives(same, self.context.generator)[:, None], positives.any(1, keepdim=True)
        return hardest(positives.float(), positives, max(1, int(positives.sum(1).max())))

    def _embed_mixed(self, inputs: Tensor, firsts: Tensor, seconds: Tensor, share: Tensor) -> Tensor:
        """Embeddings (b, p k, d) of the mixed inputs of every row of firsts (b, p) and seconds (b, k)."""
        if self._network is None:
            raise RuntimeError("metrix mixes inputs only in a training that called on_start")
        mixed = share * inputs[firsts][:, :, None] + (1 - share) * inputs[seconds][:, None]
        v = self.embed(self._network(mixed.flatten(0, 2)))
        return v.view(len(inputs), -1, v.shape[1])

    def _loss_of(self, s: Tensor, positive: Tensor, negative: Tensor, labels: Tensor) -> Tensor:
        if self.criterion is None:
            return metrix_losses.contrastive(s, positive, negative, number(self.options, "contrastive_margin"))
        options = self.criterion.options
        if self.name == "margin":
            boundaries = self._parameter("criterion.beta")[labels]
            return metrix_losses.margin(s, positive, negative, boundaries, number(options, "margin"))
        alpha, beta, base = (number(options, option) for option in ("alpha", "beta", "base"))
        return metrix_losses.multisimilarity(s, positive, negative, alpha, beta, base)

    def _mixed_proxies(self, z: Tensor, batch: Batch, share: Tensor, with_anchor: bool) -> Tensor:
        """Anchors are proxies: they see pairs of samples of two classes, or themselves mixed with their negatives."""
        assert self.criterion is not None
        proxies = functional.normalize(self._parameter("proxies"), dim=1)
        own = functional.one_hot(batch.labels, len(proxies)).bool().T  # (c, b)
        s = proxies @ z.T
        if with_anchor and self.level == "embedding":  # a proxy is no input
            negatives, valid = hardest(s, ~own, self.hard_negatives)
            to_negative = s.gather(1, negatives)
            mixed = mixed_similarities(torch.ones_like(to_negative), to_negative, to_negative, share)
            positive = valid * share
        else:
            mixed, positive, valid = self._mixed_classes(z, s, own, batch, share)
        alpha, delta = number(self.criterion.options, "alpha"), number(self.criterion.options, "margin")
        return metrix_losses.proxy_anchor(mixed, positive, valid.float() - positive, own.any(1), alpha, delta)

    def _mixed_classes(
        self, z: Tensor, s: Tensor, own: Tensor, batch: Batch, share: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Every sample mixed with its hardest of other classes: similarities to proxies, labels, which count."""
        between = z @ z.T
        others, is_other = hardest(between, batch.labels[:, None] != batch.labels[None, :], self.hard_negatives)
        firsts = torch.arange(len(z), device=z.device)[:, None]
        if self.level == "input":
            proxies = functional.normalize(self._parameter("proxies"), dim=1)
            mixed = proxies @ self._embed_mixed(batch.inputs[0], firsts, others, share).flatten(0, 1).T
        else:
            mixed = mixed_similarities(s[:, firsts], s[:, others], between[firsts, others], share).flatten(1)
        valid = is_other.flatten()
        positive = (share * own[:, firsts] + (1 - share) * own[:, others]).flatten(1) * valid
        return mixed, positive, valid

    def _parameter(self, name: str) -> Tensor:
        assert self.criterion is not None
        return self.criterion.get_parameter(name)
