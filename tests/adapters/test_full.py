"""Fine-tuning of the whole network: what trains, by which steps, and what stays."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

import numpy as np
import pytest
import torch
from adapter_case import NoisySource, adapter, problems, recall, trained
from network_case import network_on, on_vectors, pictured, support_loss, train_in_loops, zero_shot
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from oodml.adapters import protocol
from oodml.adapters.base import Problem
from oodml.adapters.criteria import CRITERIA
from oodml.adapters.full import Full
from oodml.backbones.base import Backbone, Features
from oodml.errors import UnknownNameError, UsageError
from oodml.model import Network
from oodml.records import Scalar
from oodml.training_watch import DivergedError

BATCH, STEPS, LR = 12, 8, 3e-3
QUICK: Mapping[str, Scalar] = {"batch_size": BATCH, "steps": STEPS, "lr": LR}


def full(**overrides: Scalar) -> Full:
    built = adapter("full", **{**QUICK, **overrides})
    assert isinstance(built, Full)
    return built


def plain(problem: Problem) -> Tensor:
    """Adapted embeddings of the queries, with the layers of the tiny network written out."""
    names = [f"{layer}.{kind}" for layer in ("backbone.layer", "method.heads.embedding") for kind in ("weight", "bias")]
    leaves = [problem.model.network.get_parameter(name).detach().clone().requires_grad_() for name in names]

    def embed(inputs: Tensor) -> Tensor:
        w, b, head, bias = leaves
        pooled = torch.relu(inputs @ w.T + b).reshape(len(inputs), -1, 4).mean(2)
        z = pooled @ head.T + bias
        return z / z.square().sum(1, keepdim=True).sqrt()

    train_in_loops(problem, embed, leaves, STEPS, BATCH, LR)
    return embed(problem.model.source.test_inputs(problem.model.rows[problem.queries])).detach()


@pytest.mark.parametrize("shots", [1, 2, 5])
def test_a_loop_with_the_same_draws_gives_the_same(shots: int) -> None:
    for problem in problems(trained(noise=0.3), shots, 2):
        z = full().adapt_one(problem)
        torch.testing.assert_close(z, plain(problem), rtol=0, atol=1e-5)
        assert float((z - zero_shot(problem)).abs().max()) > 0.01


def test_steps_of_length_0_leave_the_embeddings_exactly_as_they_are() -> None:
    for model in (trained("diva", noise=0.3), pictured("test_resnet.r160_in1k", freeze=True)):
        (problem,) = problems(model, 2, 1)
        assert torch.equal(full(lr=0.0).adapt_one(problem), zero_shot(problem))


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_loss_of_the_support_falls_and_recall_of_the_queries_rises(criterion: str) -> None:
    found = problems(trained(noise=0.3), 5, 2)
    adapting = full(steps=60, criterion=criterion)
    before = [recall(problem, zero_shot(problem)) for problem in found]
    after = [recall(problem, z) for problem, z in zip(found, adapting.adapt(found), strict=True)]
    assert np.mean(after) > np.mean(before) + 0.05
    network = adapting.trained(found[0])
    assert support_loss(found[0], network, criterion) < 0.7 * support_loss(found[0], found[0].model.network, criterion)


def test_criteria_differ() -> None:
    (problem,) = problems(trained(noise=0.3), 2, 1)
    found = [full(criterion=criterion).adapt_one(problem) for criterion in CRITERIA]
    assert not any(torch.equal(found[i], found[j]) for i in range(3) for j in range(i))


def moved(before: Network, after: Network) -> dict[str, bool]:
    own, others = before.state_dict(), after.state_dict()
    assert own.keys() == others.keys()
    return {name: not torch.equal(tensor, others[name]) for name, tensor in own.items() if isinstance(tensor, Tensor)}


@pytest.mark.parametrize("freeze", [False, True])
def test_all_parameters_train_and_statistics_move_only_where_the_run_let_them(freeze: bool) -> None:
    model = pictured("test_resnet.r160_in1k", freeze=freeze)
    (problem,) = problems(model, 2, 1)
    network = full(steps=3).trained(problem)
    found = moved(model.network, network)
    assert all(found[name] for name, _ in network.backbone.named_parameters(prefix="backbone"))
    assert found["method.heads.embedding.weight"] and found["method.heads.embedding.bias"]
    statistics = [name for name in found if "running" in name or "tracked" in name]
    assert statistics and all(found[name] != freeze for name in statistics)
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert all(layer.training != freeze for layer in norms)


@pytest.mark.parametrize("method", ["linear", "frozen"])
def test_the_backbone_trains_also_where_the_method_leaves_it_alone(method: str) -> None:
    model = trained(method, noise=0.3)
    trains = model.network.trains_backbone
    network = full().trained(problems(model, 2, 1)[0])
    assert all(found for name, found in moved(model.network, network).items() if name.startswith("backbone."))
    assert model.network.trains_backbone == trains


def test_fixed_parameters_stay() -> None:
    model = trained(noise=0.3)
    model.network.backbone.layer.bias.requires_grad_(False)  # type: ignore[union-attr]
    found = moved(model.network, full().trained(problems(model, 2, 1)[0]))
    assert [name for name in found if not found[name] and name.startswith("backbone")] == ["backbone.layer.bias"]


def test_the_network_stays_as_it_is() -> None:
    model = pictured("test_resnet.r160_in1k")
    before, wanted = deepcopy(model.network), [p.requires_grad for p in model.network.parameters()]
    for _ in full(steps=3).adapt(problems(model, 2, 2)):
        pass
    assert not any(moved(before, model.network).values())
    assert wanted == [p.requires_grad for p in model.network.parameters()]
    assert all(p.grad is None for p in model.network.parameters())
    assert not any(module.training for module in model.network.modules())


def test_a_problem_gets_the_same_alone_and_beside_others() -> None:
    model = pictured("test_resnet.r160_in1k")
    found = [*problems(trained(noise=0.3), 2, 1), *problems(model, 2, 2), *problems(model, 3, 1, classes=[0, 2])]
    together = list(full(steps=3).adapt(found))
    for problem, z in zip(found, together, strict=True):
        assert torch.equal(full(steps=3).adapt_one(problem), z)
    assert not torch.equal(together[1], together[2])


class Dropping(Backbone):
    """A backbone behind dropout."""

    def __init__(self, inner: Backbone) -> None:
        super().__init__()
        self.inner, self.drop, self.num_features = inner, nn.Dropout(0.5), inner.num_features

    def forward(self, inputs: Tensor) -> Features:
        found: Features = self.inner(self.drop(inputs))
        return found


def test_layers_that_draw_do_so_from_the_problem() -> None:
    model = trained(noise=0.3)
    backbone = Dropping(model.network.backbone)
    model.network = network_on(backbone, "divide_conquer").eval()
    model.network.method.options = {**model.network.method.options, "dropout": 0.5}
    (problem,) = problems(model, 2, 1)
    own, found = model.network.method.context.generator, []
    for seed in (1, 2):
        torch.manual_seed(seed)
        own.manual_seed(seed)
        states = torch.get_rng_state(), own.get_state()
        found.append(full().adapt_one(problem))
        assert torch.equal(states[0], torch.get_rng_state()) and torch.equal(states[1], own.get_state())
    assert torch.equal(found[0], found[1])
    backbone.drop.p = 0.0
    found.append(full().adapt_one(problem))
    model.network.method.options = {**model.network.method.options, "dropout": 0.0}
    found.append(full().adapt_one(problem))
    assert not torch.equal(found[1], found[2]) and not torch.equal(found[2], found[3])


class Counting(NoisySource):
    """Counts the batches that it augments."""

    batches = 0

    def train_inputs(self, rows: NDArray[np.int64], generator: torch.Generator) -> Tensor:
        self.batches += 1
        return super().train_inputs(rows, generator)


def test_the_number_of_steps_is_as_published() -> None:
    model, published = trained(), adapter("full")
    assert isinstance(published, Full)
    found = {shots: problems(model, shots, 1)[0] for shots in (1, 2, 3, 5)}
    assert {shots: published.steps(problem) for shots, problem in found.items()} == {1: 1000, 2: 1000, 3: 1500, 5: 1500}
    assert full(steps=7).steps(found[2]) == 7


def test_every_step_augments_the_images_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "STEPS_FEW", 4)
    model = trained(noise=0.3)
    assert isinstance(model.source, NoisySource)
    model.source = source = Counting(model.source.vectors.numpy(), 0.3)
    full(steps=0).adapt_one(problems(model, 2, 1)[0])
    assert source.batches == 4


def test_on_vectors_the_head_trains() -> None:
    model = on_vectors(trained(), "margin")
    (problem,) = problems(model, 2, 1)
    z = full().adapt_one(problem)
    assert float((z - zero_shot(problem)).abs().max()) > 0.01
    torch.testing.assert_close(functional.normalize(z, dim=1), z)


def test_a_network_without_anything_to_train_is_refused() -> None:
    model = on_vectors(trained(), "frozen")
    with pytest.raises(UsageError, match="Frozen on VectorBackbone has no layer that full could train; use linear"):
        full().adapt_one(problems(model, 2, 1)[0])


def test_a_loss_that_is_not_finite_ends_the_training() -> None:
    model = trained(noise=float("nan"))
    with pytest.raises(DivergedError, match="not finite by step 8 of 8"):
        full().adapt_one(problems(model, 2, 1)[0])


@pytest.mark.parametrize("wrong", [{"batch_size": 3}, {"batch_size": 0}, {"steps": -1}, {"lr": -1.0}])
def test_options_out_of_range_are_refused(wrong: dict[str, Scalar]) -> None:
    with pytest.raises(UsageError, match=r"^full"):
        full(**wrong)


def test_an_unknown_criterion_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"full\.criterion"):
        full(criterion="margins")
