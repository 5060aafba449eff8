"""DiVA: its loss from its parts, what it keeps beside the trained network, and its resumption."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from method_case import (
    CLASSES,
    DIM,
    OPTIONS,
    ROWS,
    OnStep,
    Perceptron,
    batch_of,
    begin,
    build,
    data,
    killed,
    undisturbed,
)
from naive_losses import naive_decorrelation, naive_margin, unit
from torch import Tensor, nn

from oodml import registry
from oodml.checkpoints import Checkpoint
from oodml.errors import UsageError
from oodml.inputs import VectorSource
from oodml.methods.base import Output, TrainState
from oodml.methods.dance import dance_loss
from oodml.methods.diva import Diva
from oodml.methods.mining import distance_weighted
from oodml.methods.mining_shared import permuted_labels, within_class
from oodml.model import Network, embed
from oodml.records import Scalar
from oodml.training import optimizer_of, train

PARTS = ("discriminative", "shared", "selfsimilarity", "intra")


def started(**options: Scalar) -> tuple[Network, VectorSource, Diva, TrainState]:
    network, source = build("diva", 0, key_batches=2, **options)
    state = begin(network, source)
    return network, source, cast(Diva, network.method), state


@pytest.mark.parametrize("published", [False, True])
def test_the_loss_is_the_sum_of_its_parts(published: bool) -> None:
    network, source, method, _ = started(alpha=0.3, rho=900.0, temperature=0.1)
    method.options = {**method.options, "published": published}
    for criterion in method.criteria.values():
        cast(nn.Parameter, criterion.beta).data = torch.linspace(0.9, 1.3, CLASSES)
    batch = batch_of(ROWS[::3], source)
    output = network(batch.inputs[0])
    draws = torch.Generator()
    draws.set_state(method.context.generator.get_state())
    loss = float(method.loss([output], batch).detach())

    z, labels, betas = {k: v.detach() for k, v in output.embeddings.items()}, batch.labels, method.criteria
    main = distance_weighted(z["discriminative"], labels, draws)
    shared = permuted_labels(z["shared"], labels, draws)
    intra = permuted_labels(z["intra"], labels, draws) if published else within_class(labels, draws)
    key = z["selfsimilarity"]  # the copy is still the network, and vectors have no second view
    wanted = float(dance_loss(key, key, method.momentum.queue, 0.1, published))
    for part, triplets in (("shared", shared), ("intra", intra)):
        wanted += naive_margin(z[part], labels, triplets, cast(Tensor, betas[part].beta))
    wanted = 0.3 * wanted + naive_margin(z["discriminative"], labels, main, cast(Tensor, betas["discriminative"].beta))
    for part in PARTS[1:]:
        network_of = cast(nn.Sequential, method.decorrelation.regressors[part])
        scaled = 900.0 * (DIM // 4 / 128) ** 2
        wanted -= scaled * naive_decorrelation(z["discriminative"], z[part], network_of)
    assert loss == pytest.approx(wanted, abs=2e-4)


def test_test_similarities_are_weighted_means_of_those_of_the_heads() -> None:
    method = started(weights="0.5,1.5,1,2")[2]
    heads = {part: unit(4, 2, seed) for seed, part in enumerate(PARTS)}
    z = method.embed(Output(unit(4, 3, 9), None, heads))
    squares = [0.25, 2.25, 1.0, 4.0]
    for i in range(4):
        for j in range(4):
            parts = [w * float(heads[p][i] @ heads[p][j]) for w, p in zip(squares, PARTS, strict=True)]
            assert float(z[i] @ z[j]) == pytest.approx(sum(parts) / sum(squares), abs=1e-6)


@pytest.mark.parametrize("weights", ["1,1,1", "1,1,1,x", "0,0,0,0"])
def test_weights_that_do_not_fit_the_heads_are_refused(weights: str) -> None:
    with pytest.raises(UsageError, match="weights takes a number per head"):
        build("diva", weights=weights)


def test_the_momentum_network_is_kept_with_the_weights_but_never_trained() -> None:
    network, source, method, state = started()
    assert {name.split(".")[0] for name in method.momentum.state_dict()} == {"backbone", "head", "queue"}
    assert not [name for name in network.state_dict() if name.count("momentum") > 1]
    trained = {id(p) for group in optimizer_of(network, OPTIONS).param_groups for p in group["params"]}
    assert not trained & {id(p) for p in method.momentum.parameters()}
    assert trained == {id(p) for p in network.parameters() if p.requires_grad}
    before = [p.clone() for p in method.momentum.parameters()]
    batch = batch_of(ROWS, source)
    state.optimize(method.loss([network(batch.inputs[0])], batch))
    assert all(torch.equal(a, b) for a, b in zip(before, method.momentum.parameters(), strict=True))


def test_boundaries_and_regressors_train_without_weight_decay_at_their_own_rates() -> None:
    boundaries, regressors = started(beta_lr=0.25)[2].extra_groups()
    assert boundaries["lr"] == 0.25 and "lr" not in regressors
    assert [p.shape for p in boundaries["params"]] == [(CLASSES,)] * 3
    assert len(regressors["params"]) == 3 * 4
    assert boundaries["weight_decay"] == regressors["weight_decay"] == 0


def test_the_queue_starts_full_of_keys_of_the_training_samples() -> None:
    network, source, method, _ = started()
    assert len(method.momentum.queue) == 2 * OPTIONS.batch_size
    keys = network(source.test_inputs(ROWS)).embeddings["selfsimilarity"].detach()
    nearest = (method.momentum.queue @ keys.T).max(1).values
    torch.testing.assert_close(nearest, torch.ones(len(nearest)))


def test_a_step_moves_the_momentum_network_and_then_its_keys_enter_the_queue() -> None:
    network, source, method, state = started()
    old_queue = method.momentum.queue.clone()
    old = [p.clone() for p in method.momentum.backbone.parameters()]
    batch = batch_of(ROWS[:5], source)
    keys = method.momentum(batch.inputs[0])  # of the weights before the step
    state.optimize(method.loss([network(batch.inputs[0])], batch))
    assert torch.equal(method.momentum.queue, old_queue)
    method.after_step(state)
    assert torch.equal(method.momentum.queue, torch.cat([old_queue, keys])[5:])
    originals = network.backbone.parameters()
    for before, target, found in zip(old, originals, method.momentum.backbone.parameters(), strict=True):
        torch.testing.assert_close(found, 0.9 * before + 0.1 * target)
        assert not torch.equal(found, before)


def test_keys_are_those_of_a_second_view() -> None:
    class TwoViews(VectorSource):
        def train_inputs(self, rows: np.ndarray, generator: torch.Generator) -> Tensor:
            return super().train_inputs(rows, generator) + torch.randn(len(rows), 1, generator=generator)

    network, _ = build("diva", key_batches=1)
    source = TwoViews(data()[0], torch.device("cpu"))
    state, method = begin(network, source), cast(Diva, network.method)
    batch = state.make_batch(torch.from_numpy(ROWS[:6]), 0)
    method.loss([network(batch.inputs[0])], batch)
    method.after_step(state)
    same = network(batch.inputs[0]).embeddings["selfsimilarity"]
    assert (method.momentum.queue[-6:] * same).sum(1).min() < 0.999


def test_options_follow_the_dataset() -> None:
    card = registry.load("method", "diva")
    found = {name: card.resolve_options(name, {}) for name in ("cub200", "cars196", "sop", "other")}
    assert [found[n]["alpha"] for n in found] == [0.3, 0.15, 0.2, 0.2]
    assert [found[n]["rho"] for n in found] == [1500, 100, 150, 150]
    assert [found[n]["key_batches"] for n in found] == [30, 30, 70, 30]
    assert found["cub200"]["weights"] == "0.75,1.25,1.25,1.25" and found["cars196"]["weights"] == "0.5,1.5,1.5,1.5"
    assert card.paper_training("sop") == {"batch_size": 108}


def test_a_killed_run_goes_on_with_the_same_weights_and_the_same_queue(tmp_path: Path) -> None:
    def run(
        checkpoint: Checkpoint | None = None, on_step: OnStep = undisturbed
    ) -> tuple[np.ndarray, dict[str, Tensor]]:
        network, source = build("diva", key_batches=2)
        train(network, source, ROWS, data()[1], OPTIONS, "resume", checkpoint=checkpoint, on_step=on_step)
        return embed(network, source, ROWS), network.state_dict()

    embeddings, weights = run()
    again, resumed = run(killed(run, tmp_path / "run", after=7))
    assert np.array_equal(embeddings, again)
    assert "method.momentum.queue" in weights and "method.momentum.backbone.layer.weight" in weights
    assert all(torch.equal(value, resumed[name]) for name, value in weights.items())


def test_heads_share_the_width() -> None:
    method = started()[2]
    assert {name: cast(nn.Linear, head).weight.shape for name, head in method.heads.items()} == dict.fromkeys(
        PARTS, (DIM // 4, Perceptron.num_features)
    )
