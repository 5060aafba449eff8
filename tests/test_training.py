"""The training loop: hooks, selection of weights, divergence."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from oodml.backbones.vectors import VectorBackbone
from oodml.inputs import VectorSource
from oodml.methods.base import Batch, Context, Method, Output, TrainState
from oodml.model import Network, embed
from oodml.presets import QUICK
from oodml.training import train
from oodml.training_watch import DivergedError

LABELS = np.repeat(np.arange(4), 6)
ROWS = np.arange(len(LABELS)) + 10  # rows of the dataset, not positions
OPTIONS = replace(QUICK, batch_size=8, per_class=2, steps=7, lr=0.01, embedding_dim=3)


class Recorder(Method):
    """Notes what the loop does; the loss is the mean of the first coordinate."""

    num_views = 2

    def __init__(self, nan_from: int | None = None) -> None:
        super().__init__(Context(5, 3, 4, torch.Generator()), {})
        self.calls: list[str] = []
        self.batches: list[Batch] = []
        self.nan_from = nan_from

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        self.batches.append(batch)
        value = outputs[0].embeddings["embedding"][:, 0].mean()
        return value * torch.nan if self.nan_from is not None and batch.step >= self.nan_from else value

    def on_start(self, state: TrainState) -> None:
        self.calls.append("start")

    def on_epoch_start(self, state: TrainState) -> None:
        self.calls.append(f"epoch {state.epoch}")

    def after_step(self, state: TrainState) -> None:
        self.calls.append(f"step {state.step}")


def make(method: Method) -> tuple[Network, VectorSource]:
    vectors = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    return Network(VectorBackbone(5), method), VectorSource(vectors, torch.device("cpu"))


def test_hooks_are_called_in_order_and_an_epoch_is_a_pass_over_the_samples() -> None:
    method = Recorder()
    train(*make(method), ROWS, LABELS, OPTIONS, "run")  # 24 samples, 8 a batch: 3 steps an epoch
    assert method.calls == [
        *("start", "epoch 0", "step 1", "step 2", "step 3"),
        *("epoch 1", "step 4", "step 5", "step 6", "epoch 2", "step 7"),
    ]


def test_a_batch_carries_views_labels_and_rows_that_belong_together() -> None:
    method = Recorder()
    network, source = make(method)
    train(network, source, ROWS, LABELS, OPTIONS, "run")
    for step, batch in enumerate(method.batches):
        assert batch.step == step and len(batch.inputs) == 2
        assert batch.labels.tolist() == LABELS[batch.rows.numpy()].tolist()
        assert torch.equal(batch.inputs[0], source.vectors[torch.from_numpy(ROWS)[batch.rows]])


def test_a_loss_that_is_not_finite_ends_the_run() -> None:
    with pytest.raises(DivergedError, match="not finite by step 7 of 7"):
        train(*make(Recorder(nan_from=5)), ROWS, LABELS, OPTIONS, "run")


def test_the_weights_with_the_best_score_are_kept() -> None:
    method = Recorder()
    network, source = make(method)
    scores = iter([0.1, 0.9, 0.3, 0.9])  # the first of equals wins
    seen: list[Any] = []

    def score() -> float:
        seen.append({key: value.clone() for key, value in network.state_dict().items()})
        return next(scores)

    train(network, source, ROWS, LABELS, replace(OPTIONS, steps=8, evaluations=4), "run", select=score)
    assert [call for call in method.calls if call.startswith("step")][-1] == "step 8"
    assert len(seen) == 4
    for key, value in network.state_dict().items():
        assert torch.equal(value, seen[1][key])
    key = "method.heads.embedding.weight"
    assert not torch.equal(network.state_dict()[key], seen[3][key])


def test_without_score_the_last_weights_stay() -> None:
    one, two = make(Recorder()), make(Recorder())
    two[0].load_state_dict(one[0].state_dict())
    train(*one, ROWS, LABELS, OPTIONS, "run")
    train(*two, ROWS, LABELS, OPTIONS, "run", select=lambda: 0.0)  # first of ten scores wins
    first = embed(*one, ROWS)
    assert not np.array_equal(first, embed(*two, ROWS))


def test_seeds_come_from_the_run_and_the_global_state_is_untouched() -> None:
    methods = [Recorder() for _ in range(3)]
    networks = [make(method) for method in methods]
    before = torch.random.get_rng_state()
    for (network, source), run_id in zip(networks, ("a", "a", "b"), strict=True):
        train(network, source, ROWS, LABELS, OPTIONS, run_id)
    rows = [[batch.rows.tolist() for batch in method.batches] for method in methods]
    assert rows[0] == rows[1] != rows[2]
    assert torch.equal(before, torch.random.get_rng_state())


class OwnWay(Method):
    """A method that brings batches, a parameter group, an optimiser and steps of its own, and looks at embeddings."""

    def __init__(self) -> None:
        super().__init__(Context(5, 3, 4, torch.Generator()), {})
        self.scale = torch.nn.Parameter(torch.ones(1))
        self.critic = torch.nn.Linear(3, 1)
        self.critic_steps = torch.optim.SGD(self.critic.parameters(), lr=1.0)
        self.shapes: list[tuple[int, ...]] = []

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        assert batch.rows.tolist() == [3, 4, 5]
        z = outputs[0].embeddings["embedding"]
        weighted: Tensor = (self.scale * z).sum(1).mean() + 0 * self.critic(z).sum()
        return weighted

    def extra_groups(self) -> list[dict[str, Any]]:
        return [{"params": [self.scale], "lr": 0.5, "weight_decay": 0.0}]

    def own_optimizers(self) -> list[torch.optim.Optimizer]:
        return [self.critic_steps]

    def on_start(self, state: TrainState) -> None:
        self.first = self.critic.weight.detach().clone()
        state.batches = itertools.repeat(torch.tensor([3, 4, 5]))
        assert (state.num_steps, state.steps_per_epoch, state.batch_size) == (2, 3, 8)

    def on_epoch_start(self, state: TrainState) -> None:
        self.shapes.append(tuple(state.extract(torch.arange(6), self.embed).shape))
        assert state.score(torch.arange(6), ["recall_at_1"]) == {"recall_at_1": 6.0}
        own = state.make_batch(torch.tensor([0, 1]), state.step)
        assert own.labels.tolist() == [0, 0]
        picked = next(state.make_sampler(state.labels[:12]))
        assert picked.shape == (8,) and picked.max() < 12

    def after_step(self, state: TrainState) -> None:
        assert torch.equal(self.critic.weight, self.first)  # no weight decay of the run's optimiser reaches it
        batch = state.make_batch(torch.tensor([3, 4, 5]), state.step)
        (weight, _) = self.heads["embedding"].parameters()
        before = weight.detach().clone()
        state.optimize(self.loss([state.network(batch.inputs[0])], batch))
        assert not torch.equal(before, weight)


def test_a_method_may_bring_its_own_batches_groups_optimisers_and_steps() -> None:
    method = OwnWay()
    options = replace(OPTIONS, steps=2)
    train(
        *make(method), ROWS, LABELS, options, "run", score=lambda rows, metrics: {m: float(len(rows)) for m in metrics}
    )
    assert method.shapes == [(6, 3)]
    assert abs(float(method.scale.detach()) - 1) > 0.3  # its own learning rate, not 0.01
