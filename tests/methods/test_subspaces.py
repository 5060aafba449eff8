"""Dynamic subspaces: when and how learners are added, who trains on what, and resumption."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from method_case import DIM, OPTIONS, ROWS, OnStep, batch_of, begin, build, data, killed, loss_of, undisturbed
from torch import Tensor, nn

from oodml.checkpoints import Checkpoint
from oodml.methods.base import Method, TrainState
from oodml.methods.mining import distance_weighted
from oodml.methods.subspaces import Subspaces
from oodml.model import Network, embed
from oodml.records import Scalar
from oodml.training import train

EAGER: dict[str, Scalar] = {"patience": 0.1, "min_width": 1, "recluster_epochs": 2, "max_learners": 3}


def divided(owner: list[int], **overrides: Scalar) -> tuple[Network, Subspaces, TrainState]:
    """A network whose dimensions belong to these learners, before its first step."""
    network, source = build("subspaces", 0, **overrides)
    state = begin(network, source)
    method = network.method
    assert isinstance(method, Subspaces)
    method.owner.copy_(torch.tensor(owner))
    method.active = max(owner) + 1
    return network, method, state


def head(method: Method) -> nn.Linear:
    layer = method.heads["embedding"]
    assert isinstance(layer, nn.Linear)
    return layer


def test_every_slice_has_the_same_length_and_the_whole_is_unit() -> None:
    network, _, _ = divided([0, 0, 1, 1, 1, 2, 1, 0])
    z = network(batch_of(ROWS, build("subspaces")[1]).inputs[0]).embeddings["embedding"].detach()
    for dims in ([0, 1, 7], [2, 3, 4, 6], [5]):
        assert torch.allclose(z[:, dims].norm(dim=1), torch.full((len(z),), 3**-0.5), atol=1e-6)
    assert torch.allclose(z.norm(dim=1), torch.ones(len(z)), atol=1e-6)


def test_attention_weighs_the_places_of_the_map_and_without_a_map_the_features_stay() -> None:
    network, source = build("subspaces")
    method = network.method
    assert isinstance(method, Subspaces)
    features = network.backbone(source.test_inputs(ROWS[:4]))
    assert features.feature_map is not None
    weights = method.attention(features.feature_map)
    assert weights.shape == (4, 1, 2, 2) and weights.min() > 0 and weights.max() < 1
    seen = method(features.pooled, features.feature_map).pooled
    for i in range(4):
        for c in range(3):
            places = [(weights[i, 0, y, x] * features.feature_map[i, c, y, x]) for y in range(2) for x in range(2)]
            assert float(seen[i, c]) == pytest.approx(float(sum(places)) / 4, abs=1e-6)
    assert method(features.pooled, None).pooled is features.pooled


def margin_loss(z: Tensor, labels: Tensor) -> float:
    terms = []
    for a, p, n in zip(
        *(t.tolist() for t in distance_weighted(z, labels, torch.Generator().manual_seed(0))), strict=True
    ):
        terms.append(max(0.0, float((z[a] - z[p]).norm()) - 1.2 + 0.2))
        terms.append(max(0.0, 1.2 - float((z[a] - z[n]).norm()) + 0.2))
    active = [t for t in terms if t > 0]
    return sum(active) / len(active)


@pytest.mark.parametrize(("step", "dims"), [(0, [0, 2, 4, 6]), (1, [1, 3, 5, 7]), (2, [0, 2, 4, 6]), (24, None)])
def test_learners_take_turns_on_their_unit_slice_and_join_in_the_end(step: int, dims: list[int] | None) -> None:
    network, _, _ = divided([0, 1] * 4, joint_from=0.8)  # 24 of 30 steps
    batch = batch_of(ROWS, build("subspaces")[1], step=step)
    z = network(batch.inputs[0]).embeddings["embedding"].detach()
    part = z if dims is None else z[:, dims] / z[:, dims].norm(dim=1, keepdim=True)
    loss = loss_of(network, batch)
    assert float(loss.detach()) == pytest.approx(margin_loss(part, batch.labels), abs=1e-4)
    loss.backward()
    gradient = head(network.method).weight.grad
    assert gradient is not None
    moved = gradient.abs().sum(1) > 0
    assert moved.nonzero().squeeze(1).tolist() == (list(range(DIM)) if dims is None else dims)


def test_importance_is_activation_times_gradient_summed_over_samples() -> None:
    network, method, _ = divided([0] * DIM)
    batch = batch_of(ROWS, build("subspaces")[1])
    output = network(batch.inputs[0])
    z = output.embeddings["embedding"]
    loss = method.loss([output], batch)
    (gradient,) = torch.autograd.grad(loss, z)
    expected = [sum(float(z[i, c]) * float(gradient[i, c]) for i in range(len(z))) for c in range(DIM)]
    assert np.allclose(method.taylor.numpy(), expected, atol=1e-6) and any(abs(v) > 1e-4 for v in expected)


def watch(method: Subspaces, losses: list[float]) -> list[bool]:
    answers = []
    for loss in losses:
        method.epoch_loss.copy_(torch.tensor([10 * loss, 10.0]))
        answers.append(method._plateau())
    return answers


def test_a_plateau_is_patience_epochs_without_a_loss_one_percent_lower() -> None:
    _, method, _ = divided([0] * DIM, patience=0.3)  # of 10 epochs
    assert watch(method, [1.0, 0.9, 0.899, 0.898, 0.7, 0.699, 0.8]) == [False] * 7
    assert watch(method, [0.695]) == [True]
    method.active = 8
    assert watch(method, [0.695]) == [False]  # no more than max_learners


def test_a_split_closes_off_the_important_dimensions_and_restarts_the_others() -> None:
    _, method, _ = divided([0, 0, 1, 1, 1, 1, 1, 1], min_width=2)
    method.taylor.copy_(torch.tensor([9.0, 9.0, 0.1, -1.0, 0.9, 0.2, -0.3, 0.0]))
    before = head(method).weight.detach().clone()
    assert method._split()
    assert method.owner.tolist() == [0, 0, 2, 1, 1, 2, 2, 2] and method.active == 3
    same = [bool(torch.equal(a, b)) for a, b in zip(before, head(method).weight, strict=True)]
    assert same == [True, True, False, True, True, False, False, False]
    assert (method.best, method.waited) == (float("inf"), 0)


@pytest.mark.parametrize(
    ("owner", "scores"),
    [
        ([0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1, 0, 0]),  # four dimensions are not more than twice two
        ([0] * 8, [9, 1, 1, 1, 1, 1, 1, 0]),  # one important dimension is less than two
    ],
)
def test_a_learner_too_narrow_to_split_stays(owner: list[int], scores: list[float]) -> None:
    _, method, _ = divided(owner, min_width=2)
    method.taylor.copy_(torch.tensor(scores, dtype=torch.float32))
    active = method.active
    assert not method._split() and method.owner.tolist() == owner and method.active == active


def test_batches_of_a_learner_come_from_its_cluster_where_classes_have_two_samples() -> None:
    _, method, state = divided([0, 1] * 4)
    method._recluster(state)
    clusters, labels = method.clusters, state.labels
    assert {0, 1} <= set(clusters.tolist()) <= {-1, 0, 1}
    for learner in (0, 1):
        counts = torch.bincount(labels[clusters == learner])
        assert 1 not in counts.tolist()
    for step in range(6):
        state.step = step
        rows = next(state.batches)
        assert len(rows) == OPTIONS.batch_size and (clusters[rows] == step % 2).all()
    state.step = state.num_steps - 1  # all samples in the joint phase
    assert len(set(torch.cat([next(state.batches) for _ in range(20)]).tolist())) == len(labels)


def test_a_cluster_of_one_class_falls_back_to_all_samples() -> None:
    _, method, state = divided([0, 1] * 4)
    method.clusters.fill_(0)
    method.clusters[state.labels == 3] = 1
    state.step = 1
    assert len(state.labels[next(state.batches)].unique()) > 1


def run(
    checkpoint: Checkpoint | None = None, on_step: OnStep = undisturbed
) -> tuple[Subspaces, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    network, source = build("subspaces", 0, **EAGER)
    options = replace(OPTIONS, steps=60, lr=1e-2)
    train(network, source, ROWS, data()[1], options, "resume", checkpoint=checkpoint, on_step=on_step)
    assert isinstance(network.method, Subspaces)
    return network.method, embed(network, source, ROWS)


@pytest.mark.parametrize("stop", [4, 31, 55])
def test_a_run_that_goes_on_from_a_checkpoint_ends_at_the_same_embeddings(stop: int, tmp_path: Path) -> None:
    method, whole = run()
    assert method.active == 3  # learners were added
    again, resumed = run(killed(run, tmp_path / "checkpoint", stop))
    assert np.array_equal(whole, resumed) and torch.equal(method.owner, again.owner)
