"""Every registered method keeps the contract of `oodml.methods.base`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oodml import registry
from oodml.backbones.base import Backbone, Features
from oodml.inputs import VectorSource
from oodml.methods.base import Batch, Context, Method
from oodml.methods.cards import CARDS, MethodInfo
from oodml.model import Network, embed
from oodml.presets import QUICK
from oodml.training import train

CLASSES, PER_CLASS, WIDTH, DIM = 6, 6, 10, 8
TRAINED = sorted(name for name in registry.names("method") if registry.load("method", name).trains)
OPTIONS = QUICK.__class__(embedding_dim=DIM, batch_size=12, per_class=3, steps=30, lr=3e-3)


class Perceptron(Backbone):
    """A tiny backbone with something to learn."""

    num_features = 16

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(WIDTH, self.num_features)

    def forward(self, inputs: Tensor) -> Features:
        return Features(torch.relu(self.layer(inputs)))


def data() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(CLASSES, WIDTH))
    labels = np.repeat(np.arange(CLASSES), PER_CLASS)
    return (centres[labels] + 0.7 * rng.normal(size=(len(labels), WIDTH))).astype(np.float32), labels


def build(name: str, seed: int = 0) -> tuple[Network, VectorSource]:
    card: MethodInfo = registry.load("method", name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = Perceptron()
        context = Context(backbone.num_features, DIM, CLASSES, torch.Generator().manual_seed(seed))
        method: Method = registry.resolve(card.target)(context, card.resolve_options("glyphs", {}))
    return Network(backbone, method), VectorSource(data()[0], torch.device("cpu"))


def batch_of(rows: NDArray[np.int64], source: VectorSource, labels: NDArray[np.int64]) -> Batch:
    inputs = source.test_inputs(rows)
    return Batch((inputs,), torch.from_numpy(labels[rows]), torch.from_numpy(rows), 0)


def loss_of(network: Network, batch: Batch) -> Tensor:
    views = batch.inputs * network.method.num_views
    return network.method.loss([network(view) for view in views], batch)


def run(name: str, seed: int) -> NDArray[np.float32]:
    network, source = build(name, seed)
    rows = np.arange(CLASSES * PER_CLASS)
    train(network, source, rows, data()[1], OPTIONS, f"run {seed}")
    return embed(network, source, rows)


def test_records_and_registry_agree() -> None:
    assert all(name == card.name for name, card in CARDS.items())
    for card in CARDS.values():
        assert card.summary.endswith(".") and card.paper
        assert callable(registry.resolve(card.target))


@pytest.mark.parametrize("name", registry.names("method"))
def test_embeddings_have_unit_length_and_the_promised_width(name: str) -> None:
    network, source = build(name)
    z = embed(network, source, np.arange(5))
    width = DIM if registry.load("method", name).trains else Perceptron.num_features
    assert z.shape == (5, width)
    assert np.allclose(np.linalg.norm(z, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("name", TRAINED)
def test_the_loss_is_finite_and_its_gradient_reaches_the_backbone(name: str) -> None:
    network, source = build(name)
    loss = loss_of(network, batch_of(np.arange(36), source, data()[1]))
    loss.backward()
    assert loss.ndim == 0 and loss.isfinite()
    grads = [parameter.grad for parameter in network.backbone.parameters()]
    assert all(grad is not None and grad.abs().sum() > 0 for grad in grads)


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [0, 6, 12, 18], [0, 0, 6, 6]], ids=["one class", "singles", "copies"])
def test_degenerate_batches_give_a_finite_loss_and_gradient(name: str, rows: list[int]) -> None:
    network, source = build(name)
    loss = loss_of(network, batch_of(np.array(rows), source, data()[1]))
    loss.backward()
    assert loss.isfinite()
    grads = [p.grad for p in network.parameters() if p.grad is not None]
    assert all(grad.isfinite().all() for grad in grads)


@pytest.mark.parametrize("name", TRAINED)
def test_over_fitting_one_batch_lowers_the_loss(name: str) -> None:
    network, source = build(name)
    batch = batch_of(np.arange(36), source, data()[1])
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    history = []
    for _ in range(60):
        loss = loss_of(network, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(float(loss.detach()))
    assert np.mean(history[-5:]) < np.mean(history[:5])


@pytest.mark.parametrize("name", TRAINED)
def test_the_same_seed_gives_the_same_numbers_and_another_does_not(name: str) -> None:
    assert np.array_equal(run(name, 1), run(name, 1))
    assert not np.array_equal(run(name, 1), run(name, 2))


@pytest.mark.parametrize("name", TRAINED)
def test_every_parameter_is_trained(name: str) -> None:
    network, source = build(name)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    train(network, source, np.arange(36), data()[1], OPTIONS, "all move")
    after = network.state_dict()
    still = [key for key, value in before.items() if value.is_floating_point() and torch.equal(value, after[key])]
    assert not still
