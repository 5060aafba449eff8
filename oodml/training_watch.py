"""What looks on while a run trains: how far it is, whether the loss is finite, which weights were best."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from oodml.errors import OodmlError
from oodml.methods.base import TrainState
from oodml.model import Network

CHECK_EVERY = 20  # steps between looks at the loss: each look waits for the device


class DivergedError(OodmlError):
    """The loss or the embeddings are no longer finite."""


class Clock:
    """Steps, epochs and seconds of a run, those before a resumption included."""

    def __init__(self, state: TrainState) -> None:
        self._state = state
        self._before, self._started = 0.0, time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds of training so far."""
        return self._before + time.perf_counter() - self._started

    def state_dict(self) -> dict[str, Any]:
        """What has passed."""
        return {"step": self._state.step, "epoch": self._state.epoch, "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from there."""
        self._state.step, self._state.epoch = state_dict["step"], state_dict["epoch"]
        self._before, self._started = state_dict["seconds"], time.perf_counter()


class LossWatch:
    """Notices a loss that is not finite, without waiting for the device at every step."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.finite: Tensor | None = None

    def after_step(self, loss: Tensor, step: int) -> None:
        """Raises DivergedError at one of the looks if any loss so far was not finite."""
        finite = loss.detach().isfinite()
        self.finite = finite if self.finite is None else self.finite & finite
        if (step % CHECK_EVERY == 0 or step == self.steps) and not self.finite:
            raise DivergedError(f"the loss is not finite by step {step} of {self.steps}")

    def state_dict(self) -> dict[str, Any]:
        """Whether all losses so far were finite."""
        return {"finite": self.finite is None or bool(self.finite)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from there; a loss that was finite needs no memory."""
        self.finite = None if state_dict["finite"] else torch.tensor(False)


class BestWeights:
    """Keeps a copy of the weights with the highest score so far (the first of equals); idle without a score."""

    def __init__(self, network: Network, score: Callable[[], float] | None, steps: int, evaluations: int) -> None:
        self.network, self.score = network, score
        count = max(1, min(evaluations, steps))
        self.moments = {round(steps * (i + 1) / count) for i in range(count)}
        self.best = -float("inf")
        self.weights: dict[str, Any] | None = None

    def after_step(self, step: int) -> None:
        """Scores the weights at the chosen steps."""
        if self.score and step in self.moments and (value := self.score()) > self.best:
            self.best, self.weights = value, copy.deepcopy(self.network.state_dict())

    def restore(self) -> None:
        """Puts the best weights back."""
        if self.weights is not None:
            self.network.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        """The best so far."""
        return {"best": self.best, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from there."""
        self.best, self.weights = state_dict["best"], state_dict["weights"]
