"""The study's few-shot protocol (Milbich et al., NeurIPS 2021), which `linear`, `full` and `lora` share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from oodml.adapters.base import Adapter, Distance, Problem, Trained
from oodml.adapters.criteria import make_criterion
from oodml.errors import UsageError
from oodml.methods.base import number
from oodml.records import Scalar

PER_CLASS = 2  # samples of a class in a batch
STEPS_FEW, STEPS_MORE, FEW = 1000, 1500, 2  # the study's steps for up to `FEW` shots, and for more


@dataclass(frozen=True)
class Draws:
    """All random numbers of a problem, drawn before it trains, on the CPU.

    Attributes:
        picks: Support images of every batch, as positions among c * k, shape (steps, b).
        views: Which view of each, shape (steps, b).
        uniform: What the mining takes, in [0, 1), shape (steps, b, n).
    """

    picks: Tensor
    views: Tensor
    uniform: Tensor


def draw(problem: Problem, steps: int, batch_size: int, views: int, uniforms: int) -> Draws:
    """Batches as the study's sampler takes them: b / 2 classes, 2 images of each, all uniform with replacement."""
    (c, k), generator = problem.support.shape, problem.generator("batches")
    classes = torch.randint(c, (steps, batch_size // PER_CLASS, 1), generator=generator)
    members = torch.randint(k, (steps, batch_size // PER_CLASS, PER_CLASS), generator=generator)
    views_drawn = torch.randint(views, (steps, batch_size), generator=generator)
    uniform = torch.rand(steps, batch_size, uniforms, generator=problem.generator("mining"))
    return Draws((classes * k + members).flatten(1), views_drawn, uniform)


class FineTuning(Adapter):
    """An adapter that trains by the protocol; what trains is up to the subclass.

    Options: `steps` (0: as published), `lr`, `batch_size`, and `criterion`, `beta` and `margin`, see `make_criterion`.
    """

    name: str
    """As registered, for messages."""

    def __init__(self, options: Mapping[str, Scalar]) -> None:
        super().__init__(options)
        self.criterion, self.lr = make_criterion(self.name, options), number(options, "lr")
        self.batch_size, self.fixed_steps = int(number(options, "batch_size")), int(number(options, "steps"))
        if self.batch_size < PER_CLASS or self.batch_size % PER_CLASS:
            raise UsageError(
                f"{self.name}.batch_size should be a positive multiple of {PER_CLASS}, got {self.batch_size}"
            )
        if self.fixed_steps < 0 or self.lr < 0:
            raise UsageError(f"{self.name} needs steps >= 0 (0: as published) and lr >= 0")

    def distance(self, model: Trained) -> Distance:
        """That of the method."""
        return model.distance

    def steps(self, problem: Problem) -> int:
        """Optimiser steps of a problem."""
        return self.fixed_steps or (STEPS_FEW if problem.shots <= FEW else STEPS_MORE)
