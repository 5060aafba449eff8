"""The training loop. It knows no method by name: everything special happens behind `Method` and its hooks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oodml.errors import OodmlError
from oodml.inputs import Source
from oodml.methods.base import Batch, TrainState
from oodml.model import Network, embed
from oodml.presets import TrainingOptions
from oodml.sampling import SAMPLERS
from oodml.seeds import torch_generator

CHECK_EVERY = 20  # steps between looks at the loss: each look waits for the device


class DivergedError(OodmlError):
    """The loss or the embeddings are no longer finite."""


def train(
    network: Network,
    source: Source,
    rows: NDArray[np.int64],
    labels: NDArray[np.int64],
    options: TrainingOptions,
    run_id: str,
    *,
    score: Callable[[], float] | None = None,
    validate: Callable[[], dict[str, float]] = dict,
    on_step: Callable[[int], None] | None = None,
) -> None:
    """Trains the network in place.

    Args:
        network: Backbone and method, on the device that trains.
        source: Where inputs come from.
        rows: Rows of the dataset to train on, shape (n,).
        labels: Their classes as 0 .. C - 1, shape (n,).
        options: Training options.
        run_id: Names the seeds of sampling and augmentation.
        score: If given, called `options.evaluations` times; the weights with the highest score are kept at the end.
        validate: Metrics on held-out training classes, for methods whose hooks ask.
        on_step: Called with the number of steps done.

    Raises:
        DivergedError: If the loss is not finite.
    """
    method, steps = network.method, options.num_steps(len(rows))
    state = _start(network, source, rows, torch.from_numpy(labels), options, run_id, validate)
    optimizer = _optimizer(network, options)
    per_epoch = max(1, len(rows) // options.batch_size)
    keeper = _BestWeights(network, score, steps, options.evaluations)
    watch = _LossWatch(steps)
    for step in range(steps):
        if step % per_epoch == 0:
            method.on_epoch_start(state)
            state.epoch += 1
        batch = state.make_batch(next(state.batches), step)
        loss = method.loss([network(view) for view in batch.inputs], batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        state.step = step + 1
        method.after_step(state)
        watch.after_step(loss, state.step)
        keeper.after_step(state.step)
        if on_step:
            on_step(state.step)
    keeper.restore()


def _start(
    network: Network,
    source: Source,
    rows: NDArray[np.int64],
    labels: Tensor,
    options: TrainingOptions,
    run_id: str,
    validate: Callable[[], dict[str, float]],
) -> TrainState:
    sampling, augmenting = (torch_generator(run_id, purpose) for purpose in ("sampling", "augmentation"))
    device = next(network.parameters()).device
    own = network.method.sampler(labels, sampling)
    batches = own or SAMPLERS[options.sampler](labels, options.batch_size, options.per_class, sampling)

    def make_batch(picked: Tensor, step: int) -> Batch:
        chosen = rows[picked.numpy()]
        views = tuple(source.train_inputs(chosen, augmenting) for _ in range(network.method.num_views))
        return Batch(views, labels[picked].to(device), picked, step)

    def embed_rows(picked: Tensor) -> Tensor:
        return torch.from_numpy(embed(network, source, rows[picked.numpy()]))

    state = TrainState(network, labels, batches, make_batch, embed_rows, validate)
    network.train()
    network.method.on_start(state)
    return state


def _optimizer(network: Network, options: TrainingOptions) -> torch.optim.Optimizer:
    extra = network.method.extra_groups()
    special = {id(parameter) for group in extra for parameter in group["params"]}
    shared = [p for p in network.parameters() if p.requires_grad and id(p) not in special]
    groups: list[dict[str, Any]] = [{"params": shared}, *extra]
    kinds: dict[str, type[torch.optim.Adam]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    return kinds[options.optimizer](groups, lr=options.lr, weight_decay=options.weight_decay)


class _LossWatch:
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


class _BestWeights:
    """Keeps a copy of the weights with the highest score so far (the first of equals); idle without a score."""

    def __init__(self, network: Network, score: Callable[[], float] | None, steps: int, evaluations: int) -> None:
        self.network, self.score = network, score
        count = max(1, min(evaluations, steps))
        self.moments = {round(steps * (i + 1) / count) for i in range(count)}
        self.best = -float("inf")
        self.weights: Mapping[str, Any] | None = None

    def after_step(self, step: int) -> None:
        """Scores the weights at the chosen steps."""
        if self.score and step in self.moments and (value := self.score()) > self.best:
            self.best, self.weights = value, copy.deepcopy(self.network.state_dict())

    def restore(self) -> None:
        """Puts the best weights back."""
        if self.weights is not None:
            self.network.load_state_dict(self.weights)
