"""The training loop. It knows no method by name: everything special happens behind `Method` and its hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oodml.checkpoints import Checkpoint, RandomState, Stateful
from oodml.inputs import Source
from oodml.methods.base import Batch, TrainState
from oodml.model import Network, extract
from oodml.presets import TrainingOptions
from oodml.sampling import SAMPLERS
from oodml.seeds import torch_generator
from oodml.training_watch import BestWeights, Clock, LossWatch

Score = Callable[[Tensor, Sequence[str]], dict[str, float]]


def train(
    network: Network,
    source: Source,
    rows: NDArray[np.int64],
    labels: NDArray[np.int64],
    options: TrainingOptions,
    run_id: str,
    *,
    select: Callable[[], float] | None = None,
    score: Score | None = None,
    checkpoint: Checkpoint | None = None,
    on_step: Callable[[int], None] = lambda step: None,
) -> float:
    """Trains the network in place.

    Args:
        network: Backbone and method, on the device that trains.
        source: Where inputs come from.
        rows: Rows of the dataset to train on, shape (n,).
        labels: Their classes as 0 .. C - 1, shape (n,).
        options: Training options.
        run_id: Names the seeds of sampling and augmentation.
        select: Called `options.evaluations` times; the weights with the highest value are kept at the end.
        score: Rows among the training samples, and names of metrics, to their values; for methods that ask.
        checkpoint: Where the run goes on from, and is put away from time to time.
        on_step: Called with the number of steps done.

    Returns:
        Seconds of training, with those before a resumption.

    Raises:
        DivergedError: If the loss is not finite.
    """
    random = {purpose: torch_generator(run_id, purpose) for purpose in ("sampling", "augmentation")}
    optimizer = optimizer_of(network, options)
    state = start(network, source, rows, torch.from_numpy(labels), options, random, optimizer, score)
    keeper = BestWeights(network, select, state.num_steps, options.evaluations)
    watch, clock = LossWatch(state.num_steps), Clock(state)
    parts = {**_changing(network, optimizer, random), "keeper": keeper, "watch": watch, "clock": clock}
    if checkpoint:
        checkpoint.restore(parts)
    while state.step < state.num_steps:
        loss = _step(network, state, options.warmup_epochs)
        watch.after_step(loss, state.step)
        keeper.after_step(state.step)
        if checkpoint:
            checkpoint.after_step(parts)
        on_step(state.step)
    keeper.restore()
    return clock.seconds


def _step(network: Network, state: TrainState, warmup_epochs: int) -> Tensor:
    """One batch and what the method does around it."""
    method = network.method
    if state.step % state.steps_per_epoch == 0:
        network.set_backbone_trains(state.epoch >= warmup_epochs)
        method.on_epoch_start(state)
        state.epoch += 1
    batch = state.make_batch(next(state.batches), state.step)
    loss = method.loss([network(view) for view in batch.inputs], batch)
    state.optimize(loss)
    state.step += 1
    method.after_step(state)
    return loss


def start(
    network: Network,
    source: Source,
    rows: NDArray[np.int64],
    labels: Tensor,
    options: TrainingOptions,
    random: dict[str, torch.Generator],
    optimizer: torch.optim.Optimizer,
    score: Score | None = None,
) -> TrainState:
    """The state of a run before its first step, after `on_start`.

    The arguments are those of `train`; `random` holds the generators of "sampling" and "augmentation", `optimizer` is
    what steps on the loss.
    """
    device = next(network.parameters()).device

    def make_sampler(labels: Tensor) -> Iterator[Tensor]:
        return SAMPLERS[options.sampler](labels, options.batch_size, options.per_class, random["sampling"])

    def make_batch(picked: Tensor, step: int) -> Batch:
        chosen = rows[picked.numpy()]
        views = tuple(source.train_inputs(chosen, random["augmentation"]) for _ in range(network.method.num_views))
        return Batch(views, labels[picked].to(device, non_blocking=True), picked, step)

    def optimize(loss: Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    state = TrainState(
        network=network,
        labels=labels,
        batches=make_sampler(labels),
        make_sampler=make_sampler,
        make_batch=make_batch,
        extract=lambda picked, pick: extract(network, source, rows[picked.numpy()], pick),
        score=score or _no_score,
        optimize=optimize,
        batch_size=options.batch_size,
        num_steps=options.num_steps(len(rows)),
        steps_per_epoch=options.steps_per_epoch(len(rows)),
    )
    network.train()
    network.method.on_start(state)
    return state


def _no_score(rows: Tensor, metrics: Sequence[str]) -> dict[str, float]:
    raise RuntimeError("this training has no metrics: pass `score` to train()")


def _changing(
    network: Network, optimizer: torch.optim.Optimizer, random: dict[str, torch.Generator]
) -> dict[str, Stateful]:
    """What training changes, by name; what looks on comes beside it."""
    own = {f"own_{i}": item for i, item in enumerate(network.method.own_optimizers())}
    generators = RandomState({**random, "method": network.method.context.generator})
    return {"network": network, "optimizer": optimizer, "random": generators, **own}


def optimizer_of(network: Network, options: TrainingOptions) -> torch.optim.Optimizer:
    """Optimiser of backbone, heads and the method's extra groups, but not of what the method steps by itself."""
    extra = network.method.extra_groups()
    own = [group for optimizer in network.method.own_optimizers() for group in optimizer.param_groups]
    special = {id(parameter) for group in [*extra, *own] for parameter in group["params"]}
    shared = [p for p in network.parameters() if p.requires_grad and id(p) not in special]
    groups: list[dict[str, Any]] = [{"params": shared}, *extra]
    kinds: dict[str, type[torch.optim.Adam]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    # one pass over each tensor: six times the speed of the plain loop for a small network on a CPU
    return kinds[options.optimizer](groups, lr=options.lr, weight_decay=options.weight_decay, fused=True)
