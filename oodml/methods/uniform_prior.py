"""Margin loss with a uniform prior on the features (Sinha et al., 2020)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from oodml.errors import UsageError
from oodml.methods.base import Batch, Context, Output, number
from oodml.methods.margin import Margin
from oodml.records import Scalar

BETAS = (0.5, 0.999)  # momenta of the discriminator's Adam, the usual ones of adversarial training


def chunk_width(width: int, chunk: int) -> int:
    """Largest divisor of the feature width that is at most the wanted chunk, at least 1."""
    return next(size for size in range(max(1, min(chunk, width)), 0, -1) if width % size == 0)


class UniformPrior(Margin):
    """The margin loss, plus the cost of telling the features from uniform noise.

    A discriminator sees chunks of the features and learns to tell them from U(-1, 1); the network is trained to be
    taken for noise. The discriminator steps by itself, before the network, every so many steps.
    """

    def __init__(self, context: Context, options: Mapping[str, Scalar]) -> None:
        super().__init__(context, options)
        widths = {"pooled": context.num_features, "embedding": context.embedding_dim}
        self.input = str(options["input"])
        if self.input not in widths:
            raise UsageError(f"option input of uniform_prior is {self.input!r}; take one of {', '.join(widths)}")
        self.every = max(1, round(number(options, "every")))
        self.chunk = chunk_width(widths[self.input], round(number(options, "chunk")))
        hidden = round(number(options, "hidden"))
        self.discriminator = nn.Sequential(
            nn.Linear(self.chunk, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )
        self.optimizer = torch.optim.Adam(self.discriminator.parameters(), lr=number(options, "lr"), betas=BETAS)

    def own_optimizers(self) -> list[torch.optim.Optimizer]:
        """The discriminator's."""
        return [self.optimizer]

    def rows(self, output: Output) -> Tensor:
        """The features cut into chunks, shape (b * f / chunk, chunk)."""
        features = output.pooled if self.input == "pooled" else output.embeddings["embedding"]
        return features.reshape(-1, self.chunk)

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        """Margin loss plus weight times the cross-entropy that is least where the features pass for noise."""
        rows = self.rows(outputs[0])
        if self.training and batch.step % self.every == 0:
            self._step_discriminator(rows.detach())
        logits = self.discriminator(rows)
        prior = functional.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
        return super().loss(outputs, batch) + number(self.options, "weight") * prior

    def _step_discriminator(self, fake: Tensor) -> None:
        """One step on as many rows of noise as there are rows of features, (r, chunk) without gradient."""
        noise = 2 * torch.rand(fake.shape, generator=self.context.generator, device=fake.device) - 1
        on_noise, on_fake = self.discriminator(noise), self.discriminator(fake)
        loss = functional.binary_cross_entropy_with_logits(on_noise, torch.ones_like(on_noise))
        loss = loss + functional.binary_cross_entropy_with_logits(on_fake, torch.zeros_like(on_fake))
        self.optimizer.zero_grad()  # of what the network's steps left here, too
        loss.backward()
        self.optimizer.step()
