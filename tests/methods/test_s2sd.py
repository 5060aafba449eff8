"""Similarity distillation against a re-derivation in loops, and against values of the original."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from method_case import CLASSES, DIM, OPTIONS, ROWS, batch_of, begin, build, data
from torch import Tensor, nn
from torch.nn import functional

from oodml import registry
from oodml.errors import UnknownNameError, UsageError
from oodml.methods.base import Batch, Context, Output
from oodml.methods.mining import distance_weighted, rho_regularised
from oodml.methods.s2sd import S2SD, similarity_kl, target_dims
from oodml.records import Scalar
from oodml.training import optimizer_of, train

# The part `s2sd` of the values that the original computes on small random inputs. Regenerate with np.savez_compressed(
# GOLDEN, **{k.removeprefix("s2sd/"): v for k, v in np.load(REFERENCE).items() if k.startswith("s2sd/")})
GOLDEN = Path(__file__).parents[1] / "golden" / "s2sd_reference.npz"
REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "fixtures" / "reference_values.npz"
FEATURES = 16


def make(context: Context | None = None, **options: Scalar) -> S2SD:
    card = registry.load("method", "s2sd")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        context = context or Context(FEATURES, DIM, CLASSES, torch.Generator().manual_seed(7))
        method: S2SD = card.build(context, card.resolve_options("glyphs", options))
    return method


def example(step: int = 0) -> tuple[Output, Batch]:
    generator = torch.Generator().manual_seed(4)
    labels = torch.arange(CLASSES).repeat_interleave(2)
    z = functional.normalize(torch.randn(len(labels), DIM, generator=generator), dim=1).requires_grad_()
    last = torch.rand(len(labels), FEATURES, 2, 3, generator=generator).requires_grad_()
    return Output(last.mean((2, 3)), last, {"embedding": z}), Batch((z,), labels, torch.arange(len(z)), step)


def rows_of_softmax(vectors: Tensor, temperature: float) -> list[list[float]]:
    rows = []
    for a in vectors:
        weights = [math.exp(float((a @ b).detach()) / temperature) for b in vectors]
        rows.append([w / sum(weights) for w in weights])
    return rows


def kl_by_loops(learns: Tensor, teaches: Tensor, temperature: float = 1.0) -> float:
    p, q = rows_of_softmax(teaches, temperature), rows_of_softmax(learns, temperature)
    total = sum(pi * math.log(pi / qi) for pr, qr in zip(p, q, strict=True) for pi, qi in zip(pr, qr, strict=True))
    return temperature**2 * total / len(learns)


def margin_by_loops(z: Tensor, labels: Tensor, beta: float, triplets: tuple[Tensor, Tensor, Tensor]) -> float:
    terms = []
    for a, p, n in zip(*(part.tolist() for part in triplets), strict=True):
        terms.append(max(0.0, float((z[a] - z[p]).detach().norm()) - beta + 0.2))
        terms.append(max(0.0, beta - float((z[a] - z[n]).detach().norm()) + 0.2))
    active = [t for t in terms if t > 0]
    return sum(active) / max(1, len(active))


def wide_by_hand(method: S2SD, output: Output, pool: str) -> tuple[Tensor, list[Tensor]]:
    """Pooled features and what each target head makes of them."""
    assert output.feature_map is not None
    flat = output.feature_map.flatten(2)
    features = flat.mean(2) + flat.max(2).values if pool == "sum" else flat.mean(2)
    weights = dict(method.named_parameters())
    spaces = []
    for k in range(2):
        first, second = (f"targets.{k}.{layer}" for layer in (0, 2))
        hidden = (features @ weights[f"{first}.weight"].T + weights[f"{first}.bias"]).clamp(min=0)
        v = hidden @ weights[f"{second}.weight"].T + weights[f"{second}.bias"]
        spaces.append(v / v.norm(dim=1, keepdim=True))
    return features, spaces


@pytest.mark.parametrize("criterion", ["margin", "r_margin"])
@pytest.mark.parametrize("pool", ["sum", "avg"])
def test_loss_equals_loops_with_mining_in_every_space(pool: str, criterion: str) -> None:
    output, batch = example()
    options: dict[str, Any] = {"criterion": criterion, "pool": pool, "p": 0.5, "temperature": 0.5}
    method = make(**options, dims="12,20", weight=30.0, feature_weight=20.0)
    features, spaces = wide_by_hand(method, output, pool)
    z, generator = output.embeddings["embedding"], torch.Generator().manual_seed(7)
    losses = []
    for space in (z, *spaces):  # the embedding draws first, then one head after the other
        if criterion == "margin":
            triplets = distance_weighted(space, batch.labels, generator)
        else:
            triplets = rho_regularised(space, batch.labels, generator, 0.5)
        losses.append(margin_by_loops(space, batch.labels, 0.6, triplets))
    unit = features / features.norm(dim=1, keepdim=True)
    expected = (losses[0] + (losses[1] + losses[2]) / 2) / 2
    expected += 30 * (kl_by_loops(z, spaces[0], 0.5) + kl_by_loops(z, spaces[1], 0.5)) / 2
    expected += 20 * kl_by_loops(z, unit, 0.5)
    assert float(method.loss([output], batch).detach()) == pytest.approx(expected, abs=1e-4)


def golden() -> dict[str, np.ndarray]:
    return dict(np.load(GOLDEN))


def test_golden_arrays_are_those_of_the_reference() -> None:
    if not REFERENCE.exists():
        pytest.skip("the reference values are not beside the project")
    part = {k.removeprefix("s2sd/"): v for k, v in np.load(REFERENCE).items() if k.startswith("s2sd/")}
    assert part.keys() == golden().keys()
    assert all(np.array_equal(part[key], value) for key, value in golden().items())


def test_loss_and_gradients_equal_those_of_the_original() -> None:
    values = {key: torch.from_numpy(value) for key, value in golden().items()}
    z, last = values["z"].requires_grad_(), values["feature_map"].requires_grad_()
    context = Context(last.shape[1], z.shape[1], 8, torch.Generator())
    options: dict[str, Any] = {"criterion": "multisimilarity", "published": True, "dims": "12,20"}
    method = make(context, **options, weight=50.0, feature_weight=50.0)
    weights = {key.removeprefix("param_"): v for key, v in values.items() if key.startswith("param_")}
    method.targets.load_state_dict(weights)
    unit = functional.normalize(z, dim=1)  # the gradients are those through the normalisation that ends every head
    output = Output(last.mean((2, 3)), last, {"embedding": unit})
    loss = method.loss([output], Batch((z,), values["labels"], torch.arange(len(z)), 0))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(values["loss"]), abs=1e-4)
    assert z.grad is not None and torch.allclose(z.grad, values["grad_z"], atol=1e-4, rtol=0)
    assert last.grad is not None
    assert torch.allclose(last.grad.sum((0, 2, 3)), values["grad_feature_map_sum"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_divergence_of_equal_similarities_is_zero_and_of_others_positive(temperature: float) -> None:
    z = functional.normalize(torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    other = functional.normalize(torch.randn(6, 4, generator=torch.Generator().manual_seed(1)), dim=1)
    assert float(similarity_kl(z @ z.T, z @ z.T, temperature)) == pytest.approx(0, abs=1e-7)
    value = float(similarity_kl(z @ z.T, other @ other.T, temperature))
    assert value == pytest.approx(kl_by_loops(z, other, temperature), rel=1e-4) and value > 1e-3


def test_the_divergence_of_two_samples_by_hand() -> None:
    """Similarities (1, 0) against (1, 1): the teacher's rows are (.5, .5), ours (e, 1) / (1 + e)."""
    learns, teaches = torch.eye(2), torch.ones(2, 2)
    q = math.e / (1 + math.e)
    expected = 0.5 * math.log(0.5 / q) + 0.5 * math.log(0.5 / (1 - q))
    assert float(similarity_kl(learns, teaches, 1.0)) == pytest.approx(expected, abs=1e-6)


def test_no_gradient_reaches_heads_or_features_through_the_distillation() -> None:
    gradients = []
    for weight in (0.0, 50.0):
        output, batch = example()
        method = make(weight=weight, feature_weight=weight)
        method.loss([output], batch).backward()
        assert output.feature_map is not None and output.feature_map.grad is not None
        heads = [p.grad for p in method.targets.parameters()]
        gradients.append((output.embeddings["embedding"].grad, [output.feature_map.grad, *heads]))
    (z_without, rest_without), (z_with, rest_with) = gradients
    for a, b in zip(rest_without, rest_with, strict=True):
        assert a is not None and b is not None and torch.equal(a, b) and a.abs().sum() > 0
    assert z_without is not None and z_with is not None and not torch.allclose(z_without, z_with)


def test_without_weights_the_loss_is_half_the_sum_of_source_and_targets() -> None:
    output, batch = example()
    options: dict[str, Any] = {"criterion": "multisimilarity", "dims": "12,20"}
    method = make(**options, weight=0.0, feature_weight=0.0)
    alone = registry.load("method", "multisimilarity").build(method.context, method.source_criterion.options)
    _, spaces = wide_by_hand(method, output, "sum")
    losses = [
        float(alone.loss([Output(v, None, {"embedding": v})], batch).detach())
        for v in (output.embeddings["embedding"], *spaces)
    ]
    expected = (losses[0] + (losses[1] + losses[2]) / 2) / 2
    assert float(method.loss([output], batch).detach()) == pytest.approx(expected, abs=1e-5)


def test_feature_distillation_begins_after_the_delay() -> None:
    def value(step: int, feature_weight: float) -> float:
        output, batch = example(step)
        return float(make(delay=5, feature_weight=feature_weight).loss([output], batch).detach())

    assert value(4, 50.0) == value(4, 0.0)
    assert value(5, 50.0) > value(5, 0.0) + 1e-3


def test_without_a_feature_map_the_heads_see_the_pooled_features() -> None:
    output, batch = example()
    average = make(pool="avg").loss([output], batch)
    for pool in ("sum", "avg"):
        assert torch.equal(make(pool=pool).loss([replace(output, feature_map=None)], batch), average)


def test_every_space_has_parameters_of_its_own() -> None:
    method = make(dims="12,20,5", criterion="r_margin")
    names = [name for name, _ in method.named_parameters() if name.endswith("beta")]
    assert names == ["source_criterion.criterion.beta", *(f"target_criteria.{k}.criterion.beta" for k in range(3))]
    assert all(float(p.detach().mean()) == pytest.approx(0.6) for n, p in method.named_parameters() if n in names)


@pytest.mark.parametrize(("published", "rate"), [(False, 5e-4), (True, OPTIONS.lr)])
def test_heads_and_boundaries_have_no_decay_and_their_own_rates(published: bool, rate: float) -> None:
    network, _ = build("s2sd", published=published)
    groups = optimizer_of(network, OPTIONS).param_groups
    kinds = {id(p): (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    of = {name: kinds[id(p)] for name, p in network.named_parameters()}
    decay = OPTIONS.weight_decay
    assert {of[name] for name in of if name.endswith("beta")} == {(rate, 0.0)}
    assert {of[name] for name in of if ".targets." in name} == {(OPTIONS.lr, 0.0)}
    assert {of[name] for name in of if "backbone" in name or "heads" in name} == {(OPTIONS.lr, decay)}
    assert len(of) == len(kinds)


def test_widths_are_numbers_or_multiples_of_the_embedding() -> None:
    assert target_dims("1024,1536, 2048", 64) == [1024, 1536, 2048]
    assert target_dims("2x,3x,4x", 512) == [1024, 1536, 2048]
    assert target_dims("2x,100", 8) == [16, 100]
    heads = make().targets
    last = [head[2] for head in heads if isinstance(head, nn.Sequential)]
    assert [layer.out_features for layer in last if isinstance(layer, nn.Linear)] == [2 * DIM, 3 * DIM, 4 * DIM]


@pytest.mark.parametrize("text", ["", "2x,wide", "0", "0x", "x", "-4", "1.5x"])
def test_other_widths_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="s2sd.dims"):
        target_dims(text, 8)


@pytest.mark.parametrize("option", ["criterion", "pool"])
def test_unknown_choices_name_the_option(option: str) -> None:
    with pytest.raises(UnknownNameError, match=f"s2sd.{option}"):
        make(None, **{option: "proxy"})


@pytest.mark.parametrize("criterion", ["r_margin", "multisimilarity"])
@pytest.mark.parametrize("rows", [[0, 1, 2], [0, 6, 12], [0, 0, 6, 6]], ids=["one class", "singles", "copies"])
def test_degenerate_batches_give_a_finite_loss_and_gradient(criterion: str, rows: list[int]) -> None:
    network, source = build("s2sd", criterion=criterion)
    begin(network, source)
    batch = batch_of(np.array(rows), source)
    value = network.method.loss([network(batch.inputs[0])], batch)
    value.backward()
    assert value.isfinite()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize("criterion", ["r_margin", "multisimilarity"])
def test_every_parameter_is_trained(criterion: str) -> None:
    network, source = build("s2sd", criterion=criterion)
    before = {key: p.detach().clone() for key, p in network.named_parameters()}
    train(network, source, ROWS, data()[1], replace(OPTIONS, steps=15), "all move")
    assert not [key for key, p in network.named_parameters() if torch.equal(before[key], p)]


def test_the_test_embedding_is_the_narrow_head() -> None:
    network, source = build("s2sd")
    output = network(batch_of(ROWS, source).inputs[0])
    assert list(output.embeddings) == ["embedding"] and output.embeddings["embedding"].shape == (len(ROWS), DIM)
    assert torch.equal(network.method.embed(output), output.embeddings["embedding"])
