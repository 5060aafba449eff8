"""Low-rank updates: where they go, that nothing else moves, and that they start at the network as it is."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

import numpy as np
import pytest
import torch
from adapter_case import adapter, problems, recall, trained
from network_case import on_vectors, pictured, support_loss, train_in_loops, zero_shot
from torch import Tensor, nn
from torch.nn.utils import parametrize

from oodml.adapters.base import Problem
from oodml.adapters.criteria import CRITERIA
from oodml.adapters.lora import Lora, LowRank
from oodml.errors import UsageError
from oodml.model import Network
from oodml.records import Scalar

BATCH, STEPS, LR, RANK = 12, 8, 1e-2, 2
QUICK: Mapping[str, Scalar] = {"batch_size": BATCH, "steps": STEPS, "lr": LR, "rank": RANK, "alpha": 3.0}
NAMES = ["vit_tiny_patch16_224", "test_resnet.r160_in1k", "test_efficientnet"]  # the last with depthwise convolutions


def lora(**overrides: Scalar) -> Lora:
    built = adapter("lora", **{**QUICK, **overrides})
    assert isinstance(built, Lora)
    return built


def layers(network: Network) -> dict[str, Tensor]:
    """Weights of all linear and convolution layers, by name."""
    kinds = nn.Linear | nn.Conv2d
    return {name: layer.weight.detach() for name, layer in network.named_modules() if isinstance(layer, kinds)}


def plain(problem: Problem) -> Tensor:
    """Adapted embeddings of the queries, with layers and updates of the tiny network written out."""
    network, generator = problem.model.network, problem.generator("lora")
    (w, head), (bias, head_bias) = (
        [network.get_parameter(f"{layer}.{kind}").detach() for layer in ("backbone.layer", "method.heads.embedding")]
        for kind in ("weight", "bias")
    )
    leaves = []
    for o, m in (w.shape, head.shape):
        a = torch.randn(RANK, m, generator=generator) / m**0.5
        leaves += [a.requires_grad_(), torch.zeros(o, RANK, requires_grad=True)]

    def embed(inputs: Tensor) -> Tensor:
        a, b, head_a, head_b = leaves
        pooled = torch.relu(inputs @ (w + 1.5 * b @ a).T + bias).reshape(len(inputs), -1, 4).mean(2)
        z = pooled @ (head + 1.5 * head_b @ head_a).T + head_bias
        unit: Tensor = z / z.square().sum(1, keepdim=True).sqrt()
        return unit

    train_in_loops(problem, embed, leaves, STEPS, BATCH, LR)
    return embed(problem.model.source.test_inputs(problem.model.rows[problem.queries])).detach()


@pytest.mark.parametrize("shots", [1, 3])
def test_a_loop_with_the_same_draws_gives_the_same(shots: int) -> None:
    for problem in problems(trained(noise=0.3), shots, 2):
        z = lora().adapt_one(problem)
        torch.testing.assert_close(z, plain(problem), rtol=0, atol=1e-5)
        assert float((z - zero_shot(problem)).abs().max()) > 0.01


@pytest.mark.parametrize("name", NAMES)
def test_it_starts_exactly_at_the_network_as_it_is(name: str) -> None:
    (problem,) = problems(pictured(name), 2, 1)
    for still in (lora(lr=0.0, steps=1), lora(alpha=0.0, steps=1)):
        assert torch.equal(still.adapt_one(problem), zero_shot(problem))


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_gets_an_update_of_low_rank_and_nothing_else_moves(name: str) -> None:
    model = pictured(name)
    network = lora(steps=4).trained(problems(model, 2, 1)[0])
    before, after = layers(model.network), layers(network)
    assert len(before) > 10
    for layer, weight in before.items():
        values = torch.linalg.svdvals((after[layer].double() - weight.double()).flatten(1))
        assert values[0] > 1e-3, layer
        assert (values[RANK:] < 1e-4 * values[0]).all(), layer
    own, others = model.network.state_dict(), network.state_dict()
    assert own.keys() == others.keys()
    still = [key for key in own if key.removesuffix(".weight") not in before]
    assert all(torch.equal(own[key], others[key]) for key in still)
    assert len(still) > 10


def test_convolutions_with_and_without_groups_and_linear_layers_are_among_them() -> None:
    kinds = {name: [m for m in pictured(name).network.modules() if isinstance(m, nn.Conv2d)] for name in NAMES}
    assert [len(kinds[name]) > 1 for name in NAMES] == [False, True, True]  # a transformer has one, at its input
    assert any(layer.groups > 1 for layer in kinds["test_efficientnet"])


def test_the_network_stays_as_it_is_and_its_copy_ends_plain() -> None:
    model = pictured("test_resnet.r160_in1k")
    (problem,) = problems(model, 2, 1)
    before, wanted = deepcopy(model.network), [p.requires_grad for p in model.network.parameters()]
    network = lora(steps=2).trained(problem)
    states = zip(before.state_dict().values(), model.network.state_dict().values(), strict=True)
    assert all(torch.equal(*pair) for pair in states)
    assert wanted == [p.requires_grad for p in model.network.parameters()] and all(wanted)
    assert all(p.grad is None for p in model.network.parameters())
    for found in (model.network, network):
        assert not any(module.training or parametrize.is_parametrized(module) for module in found.modules())


def test_only_the_factors_require_a_gradient() -> None:
    model = pictured("test_efficientnet")
    network = deepcopy(model.network)
    lora().prepare(network, problems(model, 2, 1)[0])
    wanted = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert wanted == {
        f"{layer}.parametrizations.weight.0.{factor}" for layer in layers(model.network) for factor in "ab"
    }


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_loss_of_the_support_falls_and_recall_of_the_queries_rises(criterion: str) -> None:
    found = problems(trained(noise=0.3), 5, 2)
    adapting = lora(steps=60, criterion=criterion)
    before = [recall(problem, zero_shot(problem)) for problem in found]
    after = [recall(problem, z) for problem, z in zip(found, adapting.adapt(found), strict=True)]
    assert np.mean(after) > np.mean(before) + 0.05
    network = adapting.trained(found[0])
    assert support_loss(found[0], network, criterion) < 0.95 * support_loss(found[0], found[0].model.network, criterion)


def test_a_problem_gets_the_same_alone_and_beside_others() -> None:
    model = pictured("test_resnet.r160_in1k")
    found = [*problems(trained(noise=0.3), 2, 1), *problems(model, 2, 2), *problems(model, 3, 1, classes=[0, 2])]
    together = list(lora(steps=3).adapt(found))
    for problem, z in zip(found, together, strict=True):
        assert torch.equal(lora(steps=3).adapt_one(problem), z)


@pytest.mark.parametrize("shape", [(6, 5), (6, 4, 3, 3), (6, 1, 3, 3), (3, 40)])
def test_an_update_has_no_more_rows_than_the_weight_and_keeps_shape_and_layout(shape: tuple[int, ...]) -> None:
    layout = torch.channels_last if len(shape) == 4 else torch.contiguous_format
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(shape, generator=generator).to(memory_format=layout)
    update = LowRank(weight, 5, 0.5, generator)
    assert len(update.a) == update.b.shape[1] == min(5, shape[0])
    start = update(weight)
    assert torch.equal(start, weight)
    assert start.is_contiguous(memory_format=layout)
    with torch.no_grad():
        update.b.normal_(generator=generator)
        change, a, b = (update(weight) - weight).flatten(1), update.a.detach(), update.b.detach()
    for i in range(shape[0]):
        for j in range(change.shape[1]):
            entry = 0.5 * sum(float(b[i, r] * a[r, j]) for r in range(len(a)))
            assert abs(float(change[i, j]) - entry) < 1e-5


def test_the_first_factor_has_outputs_of_about_unit_variance() -> None:
    generator = torch.Generator().manual_seed(0)
    update, inputs = LowRank(torch.zeros(8, 400), 8, 1.0, generator), torch.randn(400, 500, generator=generator)
    assert abs(float((update.a.detach() @ inputs).var()) - 1) < 0.2


def test_the_backbone_trains_also_without_a_head() -> None:
    model = trained("frozen", noise=0.3)
    network = lora().trained(problems(model, 2, 1)[0])
    assert not torch.equal(network.get_parameter("backbone.layer.weight"), layers(model.network)["backbone.layer"])


def test_on_vectors_the_head_trains() -> None:
    model = on_vectors(trained(), "margin")
    network = lora().trained(problems(model, 2, 1)[0])
    head = "method.heads.embedding"
    assert torch.linalg.matrix_rank(layers(network)[head] - layers(model.network)[head], rtol=1e-4) == RANK


def test_a_network_without_anything_to_train_is_refused() -> None:
    model = on_vectors(trained(), "frozen")
    with pytest.raises(UsageError, match="Frozen on VectorBackbone has no layer that lora could train; use linear"):
        lora().adapt_one(problems(model, 2, 1)[0])


@pytest.mark.parametrize("wrong", [{"rank": 0}, {"batch_size": 5}, {"steps": -1}])
def test_options_out_of_range_are_refused(wrong: dict[str, Scalar]) -> None:
    with pytest.raises(UsageError, match=r"^lora"):
        lora(**wrong)
