"""Simultaneous similarity-based self-distillation (Roth et al., ICML 2021)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from oodml.errors import UnknownNameError, UsageError
from oodml.methods.base import Batch, Context, Method, Output, number, weightless
from oodml.methods.headless import headless
from oodml.records import Scalar

CRITERIA = ("r_margin", "margin", "multisimilarity")
BOUNDARY_OPTIONS = ("beta", "beta_lr", "p")
POOLS = ("sum", "avg")


def similarity_kl(similarities: Tensor, target: Tensor, temperature: float) -> Tensor:
    """T^2 times the mean over rows of KL(softmax(target / T) || softmax(similarities / T)), diagonal included.

    Args:
        similarities: Similarities that learn, shape (b, b).
        target: Similarities that teach, shape (b, b); they get no gradient.
        temperature: T > 0.
    """
    learns, teaches = (s.div(temperature).log_softmax(1) for s in (similarities, target.detach()))
    return temperature**2 * functional.kl_div(learns, teaches, reduction="batchmean", log_target=True)


def target_dims(text: str, embedding_dim: int) -> list[int]:
    """Widths such as "1024,1536", or multiples of the embedding's width such as "2x,3x"; both may be mixed.

    Raises:
        UsageError: If an entry is neither, or there is none.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.removesuffix("x").isdecimal() and part.strip("0x") for part in parts):
        raise UsageError(f"s2sd.dims takes widths such as 1024,1536 or multiples such as 2x,3x, got {text!r}")
    return [int(part.removesuffix("x")) * (embedding_dim if part.endswith("x") else 1) for part in parts]


class S2SD(Method):
    """An embedding head that learns the similarities of wider heads, which train beside it and are left out later.

    The target heads, their criteria and the feature distillation see the pooled feature map f', not the pooled
    features that the embedding head sees.
    """

    def __init__(self, context: Context, options: Mapping[str, Scalar]) -> None:
        super().__init__(context, options)
        for option, allowed in (("criterion", CRITERIA), ("pool", POOLS)):
            if options[option] not in allowed:
                raise UnknownNameError(f"value of s2sd.{option}", str(options[option]), allowed)
        dims = target_dims(str(options["dims"]), context.embedding_dim)
        self.targets = nn.ModuleList(
            nn.Sequential(nn.Linear(context.num_features, dim), nn.ReLU(), nn.Linear(dim, dim)) for dim in dims
        )
        self.source_criterion = self._criterion(context.embedding_dim)
        self.target_criteria = nn.ModuleList(self._criterion(dim) for dim in dims)

    def _criterion(self, dim: int) -> Method:
        """A criterion with parameters and mining of its own for a space of this width."""
        name = str(self.options["criterion"])
        overrides = {"published": self.options["published"]}
        if name != "multisimilarity":  # its own `beta` is something else
            overrides |= {option: self.options[option] for option in BOUNDARY_OPTIONS}
        return headless(name, replace(self.context, embedding_dim=dim), overrides)

    def pool(self, output: Output) -> Tensor:
        """The features f' of the target heads, shape (b, f); the pooled ones where there is no feature map."""
        if output.feature_map is None:
            return output.pooled
        average = output.feature_map.mean((2, 3))
        return average + output.feature_map.amax((2, 3)) if self.options["pool"] == "sum" else average

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        """Half the criteria of source and targets, plus the distillation of similarities into the source."""
        z = outputs[0].embeddings["embedding"]
        features = self.pool(outputs[0])
        wide = [functional.normalize(head(features), dim=1) for head in self.targets]
        value = self._criterion_loss(self.source_criterion, z, outputs[0], batch)
        target_losses = [
            self._criterion_loss(criterion, z_k, outputs[0], batch)
            for criterion, z_k in zip(self.target_criteria, wide, strict=True)
        ]
        similarities, temperature = z @ z.T, number(self.options, "temperature")
        taught = [similarity_kl(similarities, z_k @ z_k.T, temperature) for z_k in wide]
        value = (value + torch.stack(target_losses).mean()) / 2
        value = value + number(self.options, "weight") * torch.stack(taught).mean()
        if batch.step < number(self.options, "delay"):
            return value
        unit = functional.normalize(features.detach(), dim=1)
        feature_kl = similarity_kl(similarities, unit @ unit.T, temperature)
        return value + number(self.options, "feature_weight") * feature_kl

    def _criterion_loss(self, criterion: nn.Module, z: Tensor, output: Output, batch: Batch) -> Tensor:
        assert isinstance(criterion, Method)
        return criterion.loss([replace(output, embeddings={"embedding": z})], batch)

    def extra_groups(self) -> list[dict[str, Any]]:
        """Target heads at the run's learning rate and parameters of the criteria at their own, all without decay."""
        criteria = [self.source_criterion, *self.target_criteria]
        parameters = [parameter for criterion in criteria for parameter in criterion.parameters()]
        rate = None if self.options["published"] else number(self.options, "beta_lr")
        return [*weightless(self.targets.parameters()), *weightless(parameters, rate)]
