"""Shared beside discriminative features: loss from its parts, choice of miner."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from method_case import DIM, ROWS, batch_of, build, loss_of
from naive_losses import naive_decorrelation, naive_margin, unit
from torch import Tensor, nn

from oodml.errors import UnknownNameError
from oodml.inputs import VectorSource
from oodml.methods.base import Output
from oodml.methods.mining import distance_weighted
from oodml.methods.mining_shared import permuted_labels, three_classes
from oodml.methods.sharing import Sharing
from oodml.model import Network
from oodml.records import Scalar


def made(**options: Scalar) -> tuple[Network, VectorSource, Sharing]:
    network, source = build("sharing", 0, **options)
    return network, source, cast(Sharing, network.method)


@pytest.mark.parametrize("mining", ["standard", "full", "random"])
def test_the_loss_is_the_sum_of_its_parts(mining: str) -> None:
    network, source, method = made(mining=mining, alpha=0.4, rho=700.0)
    for criterion in method.criteria.values():
        cast(nn.Parameter, criterion.beta).data = torch.linspace(0.8, 1.3, 6)
    batch = batch_of(ROWS[::2], source)
    z = {name: value.detach() for name, value in network(batch.inputs[0]).embeddings.items()}
    draws = torch.Generator()
    draws.set_state(method.context.generator.get_state())
    main = distance_weighted(z["discriminative"], batch.labels, draws)
    if mining == "random":
        shared = permuted_labels(z["shared"], batch.labels, draws)
    else:
        shared = three_classes(z["shared"], batch.labels, draws, mining == "full")
    wanted = naive_margin(z["discriminative"], batch.labels, main, cast(Tensor, method.criteria["discriminative"].beta))
    wanted += 0.4 * naive_margin(z["shared"], batch.labels, shared, cast(Tensor, method.criteria["shared"].beta))
    (regressor,) = method.decorrelation.regressors.values()  # one direction only
    scaled = 700.0 * (DIM // 2 / 128) ** 2
    wanted -= scaled * naive_decorrelation(z["discriminative"], z["shared"], cast(nn.Sequential, regressor))
    assert float(loss_of(network, batch).detach()) == pytest.approx(wanted, abs=1e-4)


def test_the_miners_differ() -> None:
    losses = []
    for mining in ("standard", "full", "random"):
        network, source, _ = made(mining=mining)
        losses.append(float(loss_of(network, batch_of(ROWS, source)).detach()))
    assert len(set(losses)) == 3


def test_the_heads_lie_side_by_side_in_the_test_embedding() -> None:
    method = made()[2]
    heads = {"discriminative": unit(5, DIM // 2, 0), "shared": unit(5, DIM // 2, 1)}
    z = method.embed(Output(unit(5, 3, 2), None, heads))
    both = torch.cat([heads["discriminative"], heads["shared"]], dim=1)
    torch.testing.assert_close(z, both / 2**0.5)


def test_two_classes_train_the_discriminative_boundaries_only() -> None:
    network, source, method = made(rho=0.0)
    loss_of(network, batch_of(ROWS[:12], source)).backward()
    moved = {
        part: 0.0 if (grad := cast(nn.Parameter, criterion.beta).grad) is None else float(grad.abs().sum())
        for part, criterion in method.criteria.items()
    }
    assert moved["shared"] == 0 and moved["discriminative"] > 0
    three, source, method = made(rho=0.0)
    loss_of(three, batch_of(ROWS[:18], source)).backward()
    grad = cast(nn.Parameter, method.criteria["shared"].beta).grad
    assert grad is not None and grad.abs().sum() > 0


def test_an_unknown_miner_is_named() -> None:
    network, source, _ = made(mining="halves")
    with pytest.raises(UnknownNameError, match=r"sharing\.mining"):
        loss_of(network, batch_of(ROWS, source))
