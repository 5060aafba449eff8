"""A tiny network, data and training state for any method by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oodml import registry
from oodml.backbones.base import Backbone, Features
from oodml.checkpoints import Checkpoint
from oodml.evaluation import evaluate_embeddings
from oodml.inputs import VectorSource
from oodml.methods.base import Batch, Context, Method, TrainState
from oodml.methods.cards import MethodInfo
from oodml.model import Network, embed
from oodml.presets import QUICK
from oodml.records import Scalar
from oodml.training import Score, optimizer_of, start, train

CLASSES, PER_CLASS, WIDTH, DIM = 6, 6, 10, 8
OPTIONS = replace(QUICK, embedding_dim=DIM, batch_size=12, per_class=3, steps=30, lr=3e-3)
ROWS = np.arange(CLASSES * PER_CLASS)
OnStep = Callable[[int], None]


class Perceptron(Backbone):
    """A tiny backbone with something to learn, and a feature map of 2 x 2 that it pools by the mean."""

    num_features = 16

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(WIDTH, 4 * self.num_features)

    def forward(self, inputs: Tensor) -> Features:
        last = torch.relu(self.layer(inputs)).view(len(inputs), self.num_features, 2, 2)
        return Features(last.mean((2, 3)), last)


def data() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Noisy classes around random centres: vectors (36, 10) and labels."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(CLASSES, WIDTH))
    labels = np.repeat(np.arange(CLASSES), PER_CLASS)
    return (centres[labels] + 0.7 * rng.normal(size=(len(labels), WIDTH))).astype(np.float32), labels


def build(name: str, seed: int = 0, **overrides: Scalar) -> tuple[Network, VectorSource]:
    """The network of a method with its default options, and where its inputs come from."""
    card: MethodInfo = registry.load("method", name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = Perceptron()
        context = Context(backbone.num_features, DIM, CLASSES, torch.Generator().manual_seed(seed))
        method: Method = card.build(context, card.resolve_options("glyphs", overrides))
    return Network(backbone, method), VectorSource(data()[0], torch.device("cpu"))


def scorer(network: Network, source: VectorSource) -> Score:
    """Metrics of rows under the network, as a run offers them to methods."""

    def score(rows: Tensor, metrics: Sequence[str]) -> dict[str, float]:
        return evaluate_embeddings(embed(network, source, rows.numpy()), data()[1][rows.numpy()], metrics=metrics)

    return score


def begin(network: Network, source: VectorSource, seed: int = 0) -> TrainState:
    """The training state after `on_start`."""
    random = {name: torch.Generator().manual_seed(seed) for name in ("sampling", "augmentation")}
    labels, optimizer = torch.from_numpy(data()[1]), optimizer_of(network, OPTIONS)
    return start(network, source, ROWS, labels, OPTIONS, random, optimizer, scorer(network, source))


def batch_of(rows: NDArray[np.int64], source: VectorSource, views: int = 1, step: int = 0) -> Batch:
    """A batch of these rows."""
    inputs = source.test_inputs(rows)
    return Batch((inputs,) * views, torch.from_numpy(data()[1][rows]), torch.from_numpy(rows), step)


def loss_of(network: Network, batch: Batch) -> Tensor:
    """Loss of a batch."""
    return network.method.loss([network(view) for view in batch.inputs], batch)


class KilledError(Exception):
    """Stands for SIGKILL: nothing of the run survives but its file."""


def killed(run: Callable[[Checkpoint | None, OnStep], object], path: Path, after: int) -> Checkpoint:
    """The checkpoint that a run leaves which is killed after so many steps.

    Args:
        run: Trains from the start or from a checkpoint, and calls back after every step.
        path: File of the checkpoint, written after every step.
        after: Steps before the end.
    """

    def kill(step: int) -> None:
        if step == after:
            raise KilledError

    with pytest.raises(KilledError):
        run(Checkpoint(path, every_s=0), kill)
    return Checkpoint(path)


def undisturbed(step: int) -> None:
    """Lets a run go on."""


def trained(name: str, seed: int) -> NDArray[np.float32]:
    """Test-time embeddings of all rows after a short training."""
    network, source = build(name, seed)
    train(network, source, ROWS, data()[1], OPTIONS, f"run {seed}", score=scorer(network, source))
    return embed(network, source, ROWS)
