"""Plain classification on the embedding."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from method_case import DIM, OPTIONS, ROWS, batch_of, build, data, loss_of
from torch import nn

from oodml.methods.softmax import Softmax
from oodml.model import Network, embed
from oodml.training import optimizer_of, train


def classifier(network: Network) -> nn.Linear:
    assert isinstance(network.method, Softmax)
    return network.method.classifier


def test_the_loss_is_the_cross_entropy_of_a_layer_with_bias_on_the_free_embedding() -> None:
    network, source = build("softmax")
    batch = batch_of(ROWS, source)
    output = network(batch.inputs[0])
    x, layer = output.embeddings["embedding"].detach().tolist(), classifier(network)
    losses = []
    for row, y in zip(x, batch.labels.tolist(), strict=True):
        logits = [
            sum(w * v for w, v in zip(weights, row, strict=True)) + b
            for weights, b in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
        ]
        losses.append(math.log(sum(math.exp(v) for v in logits)) - logits[y])
    assert float(loss_of(network, batch).detach()) == pytest.approx(np.mean(losses), abs=1e-5)


def test_training_sees_lengths_that_the_test_embedding_has_not() -> None:
    network, source = build("softmax")
    output = network(source.test_inputs(ROWS))
    raw = output.embeddings["embedding"].detach().numpy()
    lengths = np.linalg.norm(raw, axis=1)
    assert raw.shape[1] == DIM and lengths.std() > 1e-3
    assert np.allclose(embed(network, source, ROWS), raw / lengths[:, None], atol=1e-6)


def test_the_gradient_of_the_bias_is_the_mean_probability_less_the_share_of_each_class() -> None:
    network, source = build("softmax")
    batch = batch_of(ROWS[:10], source)
    loss_of(network, batch).backward()
    layer = classifier(network)
    assert layer.bias.grad is not None
    probabilities = layer(network(batch.inputs[0]).embeddings["embedding"]).softmax(1).mean(0)
    share = torch.bincount(batch.labels, minlength=len(layer.bias)) / 10
    assert torch.allclose(layer.bias.grad, (probabilities - share).detach(), atol=1e-6)


def test_the_classifier_trains_like_the_network() -> None:
    network, _ = build("softmax")
    (group,) = optimizer_of(network, OPTIONS).param_groups
    assert any(parameter is classifier(network).weight for parameter in group["params"])
    assert group["lr"] == OPTIONS.lr and group["weight_decay"] == OPTIONS.weight_decay


def test_training_classifies_the_training_samples() -> None:
    network, source = build("softmax")
    train(network, source, ROWS, data()[1], replace(OPTIONS, steps=120), "classify")
    with torch.no_grad():
        z = network(source.test_inputs(ROWS)).embeddings["embedding"]
        predicted = classifier(network)(z).argmax(1).numpy()
    assert (predicted == data()[1]).mean() > 0.9
