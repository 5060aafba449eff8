"""A tiny trained network at a tiny level, and few-shot problems for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from method_case import OPTIONS, ROWS, WIDTH, build, data, scorer
from numpy.typing import NDArray
from torch import Tensor

from oodml import registry
from oodml.adapters.base import Adapter, Problem, Trained
from oodml.adapters.cards import AdapterInfo
from oodml.evaluation import evaluate_embeddings
from oodml.inputs import VectorSource
from oodml.records import Scalar
from oodml.training import train

SIZES = (12, 9, 11, 10, 12)  # test images per class
STEPS = 10


class NoisySource(VectorSource):
    """Vectors whose augmentation is noise; without noise they come as they are."""

    def __init__(self, vectors: NDArray[np.float32], noise: float) -> None:
        super().__init__(vectors, torch.device("cpu"))
        self.noise = noise

    def train_inputs(self, rows: NDArray[np.int64], generator: torch.Generator) -> Tensor:
        clean = self.test_inputs(rows)
        return clean + self.noise * torch.randn(clean.shape, generator=generator) if self.noise else clean


def unseen_data() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Vectors of classes that training does not see, noisier than those: (54, 10) and labels, classes mixed."""
    rng = np.random.default_rng(1)
    labels = rng.permutation(np.repeat(np.arange(len(SIZES)), SIZES))
    centres = rng.normal(size=(len(SIZES), WIDTH))
    return (centres[labels] + 0.9 * rng.normal(size=(len(labels), WIDTH))).astype(np.float32), labels


def trained(method_name: str = "margin", seed: int = 0, *, noise: float = 0.0) -> Trained:
    """A network after a few steps on `method_case.data`, with `unseen_data` as its test images.

    Args:
        method_name: Registered name of the method.
        seed: Of the network and its training.
        noise: Standard deviation of the noise that stands for augmentation; 0 for vectors, which have none.
    """
    network, plain = build(method_name, seed)
    if registry.load("method", method_name).trains:
        options = replace(OPTIONS, steps=STEPS)
        train(network, plain, ROWS, data()[1], options, f"run {seed}", score=scorer(network, plain))
    network.zero_grad()  # as a network from disk
    vectors, labels = unseen_data()
    source = NoisySource(np.concatenate([data()[0], vectors]), noise)
    rows = len(ROWS) + np.arange(len(labels))
    run_id = f"{method_name} {seed}"
    return Trained(run_id, network, source, rows, labels, ROWS, data()[1], augments=noise > 0)


def problems(
    model: Trained, shots: int = 2, episodes: int = 3, *, classes: Sequence[int] | None = None
) -> list[Problem]:
    """Episodes of a model: random support of every class (or of those given), the rest as queries."""
    chosen = np.unique(model.labels) if classes is None else np.array(sorted(classes))
    found = []
    for episode in range(episodes):
        rng = np.random.default_rng([shots, episode])
        support = np.stack([rng.permutation(np.flatnonzero(model.labels == c))[:shots] for c in chosen])
        images = np.flatnonzero(np.isin(model.labels, chosen))
        found.append(Problem(model, shots, episode, support, chosen, np.setdiff1d(images, support)))
    return found


def adapter(name: str, **overrides: Scalar) -> Adapter:
    """An adapter with its default options and overrides."""
    card: AdapterInfo = registry.load("adapter", name)
    built: Adapter = card.build(card.resolve_options(overrides))
    return built


def recall(problem: Problem, embeddings: Tensor) -> float:
    """Recall@1 of the queries of a problem among each other, by cosine."""
    labels = problem.model.labels[problem.queries]
    return evaluate_embeddings(embeddings.numpy(), labels, metrics=["recall_at_1"])["recall_at_1"]


def with_embeddings(embeddings: NDArray[np.float32], labels: NDArray[np.int64]) -> Trained:
    """A model whose test images have these embeddings (n, d) and labels (n,), whatever its network says."""
    model = trained("frozen")
    model.rows, model.labels = np.arange(len(labels)), labels
    model.__dict__["embeddings"] = torch.from_numpy(embeddings)
    return model
