"""MIC: surrogate labels, auxiliary batches, both losses, relabelling, resumption."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from method_case import CLASSES, DIM, OPTIONS, ROWS, OnStep, batch_of, begin, build, data, killed, undisturbed
from naive_losses import naive_decorrelation, naive_margin
from torch import Tensor, nn

from oodml import registry
from oodml.checkpoints import Checkpoint
from oodml.inputs import VectorSource
from oodml.methods.base import TrainState
from oodml.methods.mic import Mic, class_centred, cluster_batches
from oodml.methods.mining import distance_weighted
from oodml.model import Network, embed
from oodml.records import Scalar
from oodml.training import train

STEPS_PER_EPOCH = len(ROWS) // OPTIONS.batch_size  # 3


def made(**options: Scalar) -> tuple[Network, VectorSource, Mic]:
    network, source = build("mic", 0, **options)
    return network, source, cast(Mic, network.method)


def test_every_class_has_mean_zero_after_its_mean_is_subtracted() -> None:
    labels = torch.tensor([0, 2, 0, 2, 2, 5])
    features = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)) + 7
    centred = class_centred(features, labels)
    rows = (features / features.norm(dim=1, keepdim=True)).tolist()
    for label in (0, 2, 5):
        members = [i for i in range(6) if labels[i] == label]
        means = [sum(rows[i][d] for i in members) / len(members) for d in range(4)]
        torch.testing.assert_close(centred[members].mean(0), torch.zeros(4), atol=1e-6, rtol=0)
        for i in members:
            assert centred[i].tolist() == pytest.approx([x - m for x, m in zip(rows[i], means, strict=True)], abs=1e-6)


def test_first_clusters_ignore_what_tells_the_classes_apart() -> None:
    network, source, method = made(clusters=2)
    labels = torch.from_numpy(data()[1])
    style = torch.arange(len(ROWS)) % 2  # the same two styles in every class, weaker than the classes
    features = 4 * torch.eye(CLASSES, 8)[labels]
    features[:, -1] = style.float()
    state = begin(network, source)
    state.extract = lambda rows, pick: features[rows]
    method.on_start(state)
    agreement = float((method.clusters == style).float().mean())
    assert agreement in (0.0, 1.0)


def rows_in_order(batch: Tensor) -> Iterator[Tensor]:
    while True:
        yield batch


@pytest.mark.parametrize("noise", [0.0, 0.2, 1.0])
def test_auxiliary_samples_come_from_another_cluster_as_often_as_asked(noise: float) -> None:
    clusters = torch.tensor([0, 1, 1, 1, 2, 2])
    batch = torch.tensor([0, 1, 4] * 400)
    rows, labels = cluster_batches(clusters, rows_in_order(batch), noise)(torch.Generator().manual_seed(0))
    assert torch.equal(labels, clusters[batch])  # they keep the label of the cluster they stand in for
    foreign = clusters[rows] != labels
    assert float(foreign.float().mean()) == pytest.approx(noise, abs=0.04)
    assert torch.equal(rows[~foreign], batch[~foreign])
    if noise == 1.0:
        found = Counter(rows[labels == 0].tolist())
        # another cluster by even odds, then one of its members by even odds
        for row, share in ((1, 1 / 6), (2, 1 / 6), (3, 1 / 6), (4, 1 / 4), (5, 1 / 4)):
            assert found[row] / 400 == pytest.approx(share, abs=0.07)


def test_a_single_cluster_has_no_strangers() -> None:
    draw = cluster_batches(torch.zeros(4, dtype=torch.long), rows_in_order(torch.tensor([2, 0])), 1.0)
    rows, labels = draw(torch.Generator().manual_seed(0))
    assert labels.tolist() == [0, 0] and rows.max() < 4


def test_the_losses_of_both_steps_are_the_sums_of_their_parts() -> None:
    network, source, method = made(gamma=800.0, clusters=4)
    method.auxiliary.beta.data = torch.linspace(0.9, 1.2, 4)
    batch = batch_of(ROWS[::2], source)
    surrogate = torch.arange(len(batch.labels)) % 4
    output = network(batch.inputs[0])
    z = {name: value.detach() for name, value in output.embeddings.items()}
    regressor = cast(nn.Sequential, method.decorrelation.regressors["auxiliary"])
    common = -800.0 * (DIM / 128) ** 2 * naive_decorrelation(z["embedding"], z["auxiliary"], regressor)
    draws = torch.Generator()
    draws.set_state(method.context.generator.get_state())
    main = naive_margin(
        z["embedding"], batch.labels, distance_weighted(z["embedding"], batch.labels, draws), method.criterion.beta
    )
    assert float(method.loss([output], batch).detach()) == pytest.approx(main + common, abs=1e-4)
    triplets = distance_weighted(z["auxiliary"], surrogate, draws)
    aside = naive_margin(z["auxiliary"], surrogate, triplets, method.auxiliary.beta)
    assert float(method.auxiliary_loss(output, surrogate).detach()) == pytest.approx(aside + common, abs=1e-4)


def test_only_the_class_head_is_used_at_test_time() -> None:
    network, source, method = made()
    before = embed(network, source, ROWS)
    cast(nn.Linear, method.heads["auxiliary"]).weight.data.zero_()
    assert np.array_equal(before, embed(network, source, ROWS))
    assert before.shape[1] == DIM


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_auxiliary_steps_are_taken_as_often_as_asked(share: float) -> None:
    network, source, method = made(share=share)
    state = begin(network, source)
    taken: list[Tensor] = []
    optimize = state.optimize

    def counted(loss: Tensor) -> None:
        taken.append(loss)
        optimize(loss)

    state.optimize = counted
    boundaries, classes = method.auxiliary.beta.detach().clone(), method.criterion.beta.detach().clone()
    for _ in range(10):
        method.after_step(state)
    assert len(taken) == 10 * share
    assert torch.equal(boundaries, method.auxiliary.beta) == (share == 0)
    assert torch.equal(classes, method.criterion.beta)  # the class boundaries have no part in it


def test_the_share_is_that_of_the_dataset_and_regressors_decay_as_published() -> None:
    card = registry.load("method", "mic")
    found = [card.resolve_options(name, {}) for name in ("cub200", "cars196", "sop", "other")]
    assert [(o["clusters"], o["gamma"], o["share"]) for o in found] == [
        (30, 2500, 0.8),
        (150, 500, 0.8),
        (50, 250, 0.5),
        (30, 500, 0.8),
    ]
    boundaries, regressor = made(beta_lr=0.5)[2].extra_groups()
    assert (boundaries["lr"], boundaries["weight_decay"]) == (0.5, 0) and "lr" not in regressor
    assert regressor["weight_decay"] == 1e-6 and len(regressor["params"]) == 4


@pytest.mark.parametrize(("published", "epochs"), [(False, [3, 6, 9]), (True, [4, 8])])
def test_clusters_are_renewed_every_third_epoch_and_published_every_fourth(published: bool, epochs: list[int]) -> None:
    network, source, method = made(published=published)
    renewed: list[int] = []
    state: list[TrainState] = []
    cluster, start = method._cluster, method.on_start

    def on_start(given: TrainState) -> None:
        start(given)
        state.append(given)

    def noted(features: Tensor) -> None:
        if state:
            renewed.append(state[0].epoch)
            wanted = given_embeddings(network, source)
            torch.testing.assert_close(features, wanted)  # of the auxiliary head, not centred
        cluster(features)

    method.on_start, method._cluster = on_start, noted  # type: ignore[method-assign, assignment]
    train(network, source, ROWS, data()[1], replace(OPTIONS, steps=10 * STEPS_PER_EPOCH), "relabel")
    assert renewed == epochs


def given_embeddings(network: Network, source: VectorSource) -> Tensor:
    with torch.no_grad():
        return cast(Tensor, network(source.test_inputs(ROWS)).embeddings["auxiliary"])


@pytest.mark.parametrize(("asked", "given"), [(4, 4), (30, 3 * CLASSES)])
def test_there_are_as_many_clusters_as_asked_but_no_more_than_three_per_class(asked: int, given: int) -> None:
    network, source, method = made(clusters=asked)
    begin(network, source)
    assert method.auxiliary.beta.shape == (given,)
    assert method.clusters.shape == ROWS.shape and sorted(set(method.clusters.tolist())) == list(range(given))


def test_a_run_killed_after_relabelling_goes_on_bit_for_bit(tmp_path: Path) -> None:
    def run(
        checkpoint: Checkpoint | None = None, on_step: OnStep = undisturbed
    ) -> tuple[np.ndarray, dict[str, Tensor]]:
        network, source, _ = made()
        train(network, source, ROWS, data()[1], OPTIONS, "resume", checkpoint=checkpoint, on_step=on_step)
        return embed(network, source, ROWS), network.state_dict()

    embeddings, weights = run()
    again, resumed = run(killed(run, tmp_path / "run", after=3 * STEPS_PER_EPOCH + 2))
    assert np.array_equal(embeddings, again)
    assert "method.clusters" in weights
    assert all(torch.equal(value, resumed[name]) for name, value in weights.items())
