"""The uniform prior: what the discriminator sees, when it steps, and what reaches the network."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from method_case import OPTIONS, ROWS, OnStep, batch_of, begin, build, data, killed, loss_of, scorer, undisturbed
from torch import nn

from oodml import registry
from oodml.checkpoints import Checkpoint
from oodml.errors import UsageError
from oodml.methods.base import Context, Output
from oodml.methods.uniform_prior import UniformPrior, chunk_width
from oodml.model import Network, embed
from oodml.training import train


def judge_of(network: Network) -> nn.Module:
    assert isinstance(network.method, UniformPrior)
    return network.method.discriminator


def weights(network: Network) -> list[torch.Tensor]:
    return [p.detach().clone() for p in judge_of(network).parameters()]


def unchanged(network: Network, before: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(network), before, strict=True))


def study(**options: float | str) -> UniformPrior:
    card = registry.load("method", "uniform_prior")
    context = Context(2048, 512, 5, torch.Generator().manual_seed(0))
    method: UniformPrior = card.build(context, card.resolve_options("cub200", options))
    return method


def test_rows_are_chunks_of_128_pooled_features() -> None:
    pooled = torch.rand(3, 2048)
    rows = study().rows(Output(pooled, None, {"embedding": torch.rand(3, 512)}))
    assert rows.shape == (3 * 2048 // 128, 128)
    for image in range(3):
        for chunk in range(16):
            assert torch.equal(rows[16 * image + chunk], pooled[image, 128 * chunk : 128 * (chunk + 1)])


def test_rows_may_be_those_of_the_embedding() -> None:
    z = torch.rand(3, 512)
    assert torch.equal(
        study(input="embedding").rows(Output(torch.rand(3, 2048), None, {"embedding": z}))[1], z[0, 128:256]
    )


@pytest.mark.parametrize(
    ("width", "chunk", "expected"),
    [(2048, 128, 128), (1280, 128, 128), (512, 100, 64), (100, 128, 100), (192, 128, 96), (97, 128, 97), (257, 128, 1)],
)
def test_the_chunk_is_the_largest_divisor_of_the_width_that_fits(width: int, chunk: int, expected: int) -> None:
    assert chunk_width(width, chunk) == expected


def test_an_unknown_input_is_refused() -> None:
    with pytest.raises(UsageError, match="pooled, embedding"):
        build("uniform_prior", input="map")


def test_the_discriminator_steps_on_multiples_of_k_only_and_only_in_training() -> None:
    network, source = build("uniform_prior", every=4)
    state = begin(network, source)
    moved = []
    for step in range(9):
        before = weights(network)
        state.optimize(loss_of(network, batch_of(ROWS, source, step=step)))
        moved.append(not unchanged(network, before))
    assert [step for step, has in enumerate(moved) if has] == [0, 4, 8]
    network.eval()
    before = weights(network)
    loss_of(network, batch_of(ROWS, source, step=0))
    assert unchanged(network, before)


def test_the_network_gets_weight_times_the_cross_entropy_of_passing_for_noise() -> None:
    network, source = build("uniform_prior", weight=0.3)
    margin, _ = build("margin")
    margin.load_state_dict(network.state_dict(), strict=False)
    batch = batch_of(ROWS, source, step=1)  # a step at which the discriminator rests
    with torch.no_grad():
        pooled = network(batch.inputs[0]).pooled
        terms = [-math.log(float(torch.sigmoid(judge_of(network)(row)))) for row in pooled]
        expected = float(loss_of(margin, batch)) + 0.3 * np.mean(terms)
        assert float(loss_of(network, batch)) == pytest.approx(expected, abs=1e-5)


def test_the_discriminators_step_is_that_of_adam_on_both_cross_entropies() -> None:
    network, source = build("uniform_prior", lr=0.01)
    twin, _ = build("uniform_prior", lr=0.01)
    batch = batch_of(ROWS, source, step=0)
    rows = network(batch.inputs[0]).pooled.detach()
    noise = torch.rand(rows.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    judge = judge_of(twin)
    real, fake = torch.sigmoid(judge(noise)), torch.sigmoid(judge(rows))
    (-real.log().mean() - (1 - fake).log().mean()).backward()
    loss_of(network, batch)
    for ours, theirs in zip(judge_of(network).parameters(), judge.parameters(), strict=True):
        # the first step of Adam, whatever its momenta
        assert theirs.grad is not None
        expected = theirs.detach() - 0.01 * theirs.grad / (theirs.grad.abs() + 1e-8)
        large = theirs.grad.abs() > 1e-6
        torch.testing.assert_close(ours.detach()[large], expected[large], rtol=0, atol=1e-4)
    (optimizer,) = network.method.own_optimizers()
    assert optimizer.defaults["betas"] == (0.5, 0.999) and optimizer.defaults["weight_decay"] == 0


def test_what_the_networks_steps_leave_on_the_discriminator_does_not_enter_its_own() -> None:
    found = []
    for left in (False, True):
        network, source = build("uniform_prior", every=1)
        if left:
            for parameter in judge_of(network).parameters():
                parameter.grad = torch.full_like(parameter, 100.0)
        loss_of(network, batch_of(ROWS, source, step=0))
        found.append(weights(network))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize(("name", "reaches_head"), [("pooled", False), ("embedding", True)])
def test_the_gradient_of_the_prior_reaches_what_it_looks_at(name: str, reaches_head: bool) -> None:
    network, source = build("uniform_prior", input=name)
    batch = batch_of(ROWS, source, step=1)
    gradients = []
    for weight in (0.0, 1.0):
        network.method.options = {**network.method.options, "weight": weight}
        network.method.context.generator.manual_seed(0)
        parameters = dict(network.named_parameters())
        wanted = [parameters["backbone.layer.weight"], parameters["method.heads.embedding.weight"]]
        gradients.append(torch.autograd.grad(loss_of(network, batch), wanted))
    (backbone, head), (backbone_prior, head_prior) = gradients
    assert not torch.allclose(backbone, backbone_prior)
    assert torch.allclose(head, head_prior, atol=1e-6) != reaches_head


def test_the_study_has_its_own_values_per_dataset() -> None:
    card = registry.load("method", "uniform_prior")
    names = ("weight", "hidden", "every", "chunk", "lr")
    found = {key: tuple(card.resolve_options(key, {})[n] for n in names) for key in ("x", "cub200", "cars196", "sop")}
    assert found == {
        "x": (0.1, 100, 10, 128, 1e-5),
        "cub200": (0.2, 100, 10, 128, 1e-5),
        "cars196": (0.2, 100, 10, 128, 1e-5),
        "sop": (0.02, 50, 200, 128, 1e-5),
    }


def test_a_run_that_was_killed_goes_on_bit_for_bit(tmp_path: Path) -> None:
    options = replace(OPTIONS, steps=12)

    def run(checkpoint: Checkpoint | None = None, on_step: OnStep = undisturbed) -> np.ndarray:
        network, source = build("uniform_prior", every=4, lr=0.01)
        train(
            *(network, source, ROWS, data()[1], options, "resumed"),
            score=scorer(network, source),
            checkpoint=checkpoint,
            on_step=on_step,
        )
        return np.concatenate([embed(network, source, ROWS).ravel(), *(w.numpy().ravel() for w in weights(network))])

    whole, checkpoint = run(), killed(run, tmp_path / "run.pt", after=6)
    assert (tmp_path / "run.pt").exists()
    assert np.array_equal(run(checkpoint), whole)
