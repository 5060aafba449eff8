"""Every registered method keeps the contract of `oodml.methods.base`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from method_case import OPTIONS, ROWS, batch_of, begin, build, data, loss_of, scorer, trained

from oodml import registry
from oodml.errors import ResultsError
from oodml.kept_models import load_model, save_model
from oodml.methods.cards import CARDS, GROUPS
from oodml.model import Network, embed
from oodml.training import train

NAMES = registry.names("method")
# the pairs that r_margin pushes apart keep the mean over its active terms up, however well the others fit
OVER_FITTING: dict[str, dict[str, Any]] = {"r_margin": {"p": 0.0}}
TRAINED = [name for name in NAMES if registry.load("method", name).trains]


def test_records_and_registry_agree() -> None:
    assert all(name == card.name for name, card in CARDS.items())
    for card in CARDS.values():
        assert card.summary.endswith(".") and card.paper and card.equation, card.name
        assert card.group in GROUPS
        assert callable(registry.resolve(card.target))


@pytest.mark.parametrize("name", NAMES)
def test_embeddings_have_unit_length(name: str) -> None:
    network, source = build(name)
    z = embed(network, source, np.arange(5))
    assert z.shape[0] == 5 and np.allclose(np.linalg.norm(z, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("bf16", [False, True], ids=["float32", "bf16"])
@pytest.mark.parametrize("name", TRAINED)
def test_the_loss_is_finite_and_its_gradient_reaches_the_backbone(name: str, bf16: bool) -> None:
    network, source = build(name)
    network.bf16 = bf16
    begin(network, source)
    loss = loss_of(network, batch_of(ROWS, source, network.method.num_views))
    loss.backward()
    assert loss.ndim == 0 and loss.isfinite() and loss.dtype == torch.float32
    grads = [parameter.grad for parameter in network.backbone.parameters()]
    reached = all(grad is not None and grad.isfinite().all() and grad.abs().sum() > 0 for grad in grads)
    assert reached == registry.load("method", name).trains_backbone


@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [0, 6, 12, 18], [0, 0, 6, 6]], ids=["one class", "singles", "copies"])
@pytest.mark.parametrize("name", TRAINED)
def test_degenerate_batches_give_a_finite_loss_and_gradient(name: str, rows: list[int]) -> None:
    network, source = build(name)
    begin(network, source)
    loss = loss_of(network, batch_of(np.array(rows), source, network.method.num_views))
    loss.backward()
    assert loss.isfinite()
    grads = [p.grad for p in network.parameters() if p.grad is not None]
    assert all(grad.isfinite().all() for grad in grads)


@pytest.mark.parametrize("name", TRAINED)
def test_over_fitting_one_batch_lowers_the_loss(name: str) -> None:
    network, source = build(name, **OVER_FITTING.get(name, {}))
    state = begin(network, source)
    history = []
    for step in range(60):
        loss = loss_of(network, batch_of(ROWS, source, network.method.num_views, step))
        state.optimize(loss)
        history.append(float(loss.detach()))
    assert np.mean(history[-5:]) < np.mean(history[:5])


@pytest.mark.parametrize("name", TRAINED)
def test_the_same_seed_gives_the_same_numbers_and_another_does_not(name: str) -> None:
    first = trained(name, 1)
    assert np.array_equal(first, trained(name, 1))
    assert not np.array_equal(first, trained(name, 2))


@pytest.mark.parametrize("name", TRAINED)
def test_a_kept_network_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    network, source = build(name)
    train(network, source, ROWS, data()[1], OPTIONS, "kept", score=scorer(network, source))
    save_model(tmp_path / "kept.pt", network, "kept")
    again, _ = build(name, seed=1)
    load_model(tmp_path / "kept.pt", again, "kept")
    assert np.array_equal(embed(again, source, ROWS), embed(network, source, ROWS))


def test_a_kept_network_that_lacks_weights_is_refused_by_name(tmp_path: Path) -> None:
    network, _ = build("margin")
    kept = {key: value for key, value in network.state_dict().items() if key != "backbone.layer.bias"}
    torch.save({"run_id": "kept", "network": kept}, tmp_path / "kept.pt")
    with pytest.raises(ResultsError, match=r"kept.pt has no weights backbone.layer.bias .*repeat the sweep"):
        load_model(tmp_path / "kept.pt", network, "kept")


def parameters(network: Network, trains_backbone: bool) -> dict[str, torch.Tensor]:
    wanted = {key: p for key, p in network.named_parameters() if p.requires_grad}
    return {key: p.detach().clone() for key, p in wanted.items() if trains_backbone or not key.startswith("backbone")}


@pytest.mark.parametrize("name", TRAINED)
def test_every_parameter_is_trained(name: str) -> None:
    network, source = build(name)
    trains_backbone = registry.load("method", name).trains_backbone
    before = parameters(network, trains_backbone)
    train(network, source, ROWS, data()[1], OPTIONS, "all move", score=scorer(network, source))
    after = parameters(network, trains_backbone)
    assert not [key for key, value in before.items() if torch.equal(value, after[key])]


@pytest.mark.parametrize("name", TRAINED)
def test_a_backbone_that_does_not_train_stays_as_it_is(name: str) -> None:
    network, source = build(name)
    before = [p.detach().clone() for p in network.backbone.parameters()]
    train(network, source, ROWS, data()[1], OPTIONS, "backbone", score=scorer(network, source))
    same = all(torch.equal(a, b) for a, b in zip(before, network.backbone.parameters(), strict=True))
    assert same != registry.load("method", name).trains_backbone
