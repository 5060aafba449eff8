"""Normalised softmax against loops; initialisation and learning rate of the class vectors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from method_case import CLASSES, DIM, OPTIONS, build
from torch import nn
from torch.nn import functional

from oodml.methods.base import Batch, Output
from oodml.methods.norm_softmax import NormSoftmax
from oodml.model import Network
from oodml.training import optimizer_of


def class_vectors(network: Network) -> nn.Parameter:
    assert isinstance(network.method, NormSoftmax)
    weight = network.method.criterion.W
    assert isinstance(weight, nn.Parameter)
    return weight


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_the_loss_is_the_cross_entropy_of_cosines_over_the_temperature(temperature: float) -> None:
    network, _ = build("norm_softmax", temperature=temperature)
    method = network.method
    z = functional.normalize(torch.randn(9, DIM, generator=torch.Generator().manual_seed(1)), dim=1)
    labels = torch.arange(9) % CLASSES
    vectors = class_vectors(network).detach().T.tolist()
    losses = []
    for row, y in zip(z.tolist(), labels.tolist(), strict=True):
        logits = [sum(a * b for a, b in zip(row, w, strict=True)) / math.hypot(*w) / temperature for w in vectors]
        losses.append(math.log(sum(math.exp(v) for v in logits)) - logits[y])
    loss = method.loss([Output(z, None, {"embedding": z})], Batch((z,), labels, labels, 0))
    assert float(loss.detach()) == pytest.approx(np.mean(losses), abs=1e-4)


def test_class_vectors_start_uniform_and_small() -> None:
    weight = class_vectors(build("norm_softmax")[0]).detach()
    bound = 1 / math.sqrt(DIM)
    assert weight.shape == (DIM, CLASSES)
    assert 0.8 * bound < float(weight.abs().max()) <= bound
    assert float(weight.std()) == pytest.approx(bound / math.sqrt(3), rel=0.25)


@pytest.mark.parametrize(("given", "rate"), [(0.0, OPTIONS.lr), (0.07, 0.07)])
def test_class_vectors_have_no_decay_and_the_rate_of_the_run_or_their_own(given: float, rate: float) -> None:
    network, _ = build("norm_softmax", class_lr=given)
    shared, own = optimizer_of(network, OPTIONS).param_groups
    assert [id(p) for p in own["params"]] == [id(class_vectors(network))]
    assert (own["lr"], own["weight_decay"]) == (rate, 0.0)
    assert id(class_vectors(network)) not in {id(p) for p in shared["params"]}


def test_the_gradient_turns_samples_towards_their_class() -> None:
    network, _ = build("norm_softmax")
    method = network.method
    z = functional.normalize(torch.randn(6, DIM, generator=torch.Generator().manual_seed(2)), dim=1).requires_grad_()
    labels = torch.arange(6) % CLASSES
    loss = method.loss([Output(z, None, {"embedding": z})], Batch((z,), labels, labels, 0))
    (gradient,) = torch.autograd.grad(loss, z)
    own = functional.normalize(class_vectors(network).detach().T, dim=1)[labels]
    moved = functional.normalize(z.detach() - 1e-3 * gradient, dim=1)
    assert ((moved * own).sum(1) > (z.detach() * own).sum(1)).all()
