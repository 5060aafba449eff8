"""The linear control: a margin loss that stops at the features."""

from __future__ import annotations

import numpy as np
import torch
from method_case import DIM, OPTIONS, ROWS, batch_of, begin, build, data
from torch.nn import functional

from oodml.methods.base import Output
from oodml.model import embed
from oodml.training import train


def test_the_loss_is_that_of_margin() -> None:
    z = functional.normalize(torch.randn(len(ROWS), DIM, generator=torch.Generator().manual_seed(0)), dim=1)
    batch, outputs = batch_of(ROWS, build("linear")[1]), [Output(z, None, {"embedding": z})]
    losses = [build(name)[0].method.loss(outputs, batch) for name in ("linear", "margin")]
    assert losses[0] == losses[1] > 0


def test_training_moves_the_head_and_the_boundaries_but_neither_weights_nor_statistics_below() -> None:
    network, source = build("linear")
    begin(network, source)
    assert not network.backbone.training
    before = {name: value.clone() for name, value in network.state_dict().items()}
    train(network, source, ROWS, data()[1], OPTIONS, "head")
    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    statistics = {f"method.heads.embedding.0.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")}
    layer = {f"method.heads.embedding.1.{name}" for name in ("weight", "bias")}
    assert moved == {"method.criterion.beta"} | layer | statistics


def test_the_embedding_is_an_affine_map_of_standardised_features_at_unit_length() -> None:
    network, source = build("linear")
    train(network, source, ROWS, data()[1], OPTIONS, "head")
    state = {name.rpartition("embedding.")[2]: v.double().numpy() for name, v in network.method.state_dict().items()}
    with torch.no_grad():
        pooled = network.backbone(source.test_inputs(ROWS)).pooled.double().numpy()
    standard = (pooled - state["0.running_mean"]) / np.sqrt(state["0.running_var"] + 1e-5)
    raw = standard @ state["1.weight"].T + state["1.bias"]
    expected = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    assert np.allclose(embed(network, source, ROWS), expected, atol=1e-5)
