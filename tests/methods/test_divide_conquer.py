"""Divide and conquer: matching, mining and the two phases against re-derivations in loops."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from method_case import DIM, OPTIONS, ROWS, OnStep, batch_of, begin, build, data, killed, loss_of, undisturbed
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from oodml import registry
from oodml.checkpoints import Checkpoint
from oodml.methods.base import Context, Output, TrainState
from oodml.methods.cluster_matching import clustered, has_partner, new_numbers, symmetric_differences
from oodml.methods.divide_conquer import DivideConquer, closest_beyond, pair_loss
from oodml.model import Network, embed
from oodml.records import Scalar
from oodml.training import train

K = 4


def started(**options: Scalar) -> tuple[Network, DivideConquer, TrainState]:
    network, source = build("divide_conquer", 0, **options)
    method = network.method
    assert isinstance(method, DivideConquer)
    return network, method, begin(network, source)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def unit(*shape: int, seed: int = 0) -> Tensor:
    return functional.normalize(random(*shape, seed=seed), dim=-1)


OLD = torch.randint(3, (60,), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("renaming", list(permutations(range(3))))
def test_a_renamed_clustering_gets_its_old_numbers_back(renaming: tuple[int, ...]) -> None:
    new = torch.tensor(renaming)[OLD]
    assert torch.equal(new_numbers(new, OLD, 3)[new], OLD)
    cycle = renaming in {(1, 2, 0), (2, 0, 1)}  # the only ones that differ from their inverse
    assert torch.equal(new_numbers(new, OLD, 3, published=True)[new], OLD) != cycle


def test_matching_minimises_the_symmetric_differences() -> None:
    generator = torch.Generator().manual_seed(5)
    new, old = (torch.randint(K, (50,), generator=generator) for _ in range(2))
    members = [[{i for i in range(50) if c[i] == k} for k in range(K)] for c in (new, old)]
    cost = [[len(a ^ b) for b in members[1]] for a in members[0]]
    assert symmetric_differences(new, old, K).tolist() == cost
    best = min(permutations(range(K)), key=lambda p: sum(cost[r][p[r]] for r in range(K)))
    found = new_numbers(new, old, K).tolist()
    assert sorted(found) == list(range(K))
    assert sum(cost[r][found[r]] for r in range(K)) == sum(cost[r][best[r]] for r in range(K))


def test_samples_alone_of_their_class_in_a_cluster_have_no_partner() -> None:
    generator = torch.Generator().manual_seed(2)
    labels, clusters = torch.randint(6, (40,), generator=generator), torch.randint(3, (40,), generator=generator)
    expected = [
        any(labels[i] == labels[j] and clusters[i] == clusters[j] and i != j for j in range(40)) for i in range(40)
    ]
    assert has_partner(labels, clusters).tolist() == expected and 0 < sum(expected) < 40


def test_clusters_are_those_of_the_features_and_repeat_with_the_seed() -> None:
    truth = torch.arange(3).repeat(10)
    features = torch.eye(3)[truth] + 0.05 * random(30, 3)
    found = clustered(features, 3, torch.Generator().manual_seed(4))
    cells = {(int(a), int(b)) for a, b in zip(found, truth, strict=True)}
    assert len(cells) == 3 and torch.equal(found, clustered(features, 3, torch.Generator().manual_seed(4)))
    assert clustered(features[:2], 3, torch.Generator()).unique().tolist() == [0, 1]


def naive_negatives(z: Tensor, labels: Tensor) -> list[list[int]]:
    """Per anchor the closest of other classes from .5 on, then the farthest of the rest."""
    n = len(z)
    count = round(sum(int(labels[i] == labels[j]) for i in range(n) for j in range(n) if i != j) / n)
    chosen = []
    for i in range(n):
        gaps = {j: float((z[i] - z[j]).norm()) for j in range(n) if labels[j] != labels[i]}
        beyond = sorted((j for j in gaps if gaps[j] >= 0.5), key=lambda j: gaps[j])
        within = sorted((j for j in gaps if gaps[j] < 0.5), key=lambda j: -gaps[j])
        chosen.append([*beyond, *within][:count])
    return chosen


@pytest.mark.parametrize("spread", [1.0, 0.25, 0.01])
def test_negatives_are_the_closest_beyond_the_cutoff(spread: float) -> None:
    z = functional.normalize(torch.ones(12, 5) + spread * 3 * random(12, 5), dim=1)
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3])
    anchors, negatives = closest_beyond(z, labels, 0.5)
    found: list[list[int]] = [[] for _ in z]
    for a, n in zip(anchors.tolist(), negatives.tolist(), strict=True):
        found[a].append(n)
    expected = naive_negatives(z, labels)
    assert found == expected and len(expected[0]) == 2


def test_the_loss_is_the_mean_active_term_of_all_pairs() -> None:
    z, labels = unit(12, 3), torch.arange(4).repeat_interleave(3)
    terms = []
    for i, negatives in enumerate(naive_negatives(z, labels)):
        positives = [j for j in range(12) if labels[j] == labels[i] and j != i]
        assert len(positives) == len(negatives)
        terms += [float((z[i] - z[j]).norm()) - 0.9 + 0.2 for j in positives]
        terms += [0.9 - float((z[i] - z[j]).norm()) + 0.2 for j in negatives]
    active = [t for t in terms if t > 0]
    assert 0 < len(active) < len(terms)
    value = pair_loss(z, labels, torch.tensor(0.9), 0.2, 0.5)
    assert float(value) == pytest.approx(sum(active) / len(active), abs=1e-5)


def test_equal_samples_and_lone_classes_give_a_finite_gradient() -> None:
    for labels in (torch.zeros(4), torch.arange(4), torch.tensor([0, 0, 1, 1])):
        z = unit(1, 3).repeat(4, 1).requires_grad_()
        value = pair_loss(z, labels, torch.tensor(1.2), 0.2, 0.5)
        value.backward()
        assert value.isfinite() and z.grad is not None and z.grad.isfinite().all()


def test_every_slice_has_unit_length_and_the_whole_too() -> None:
    network, method, _ = started()
    network.eval()
    values = method.heads["embedding"](random(5, 16)).detach()
    z = method(random(5, 16)).embeddings["embedding"].detach()
    for row in range(5):
        parts = [values[row, 2 * k : 2 * k + 2] for k in range(K)]
        expected = torch.cat([part / part.norm() for part in parts])
        assert z[row].tolist() == pytest.approx((expected / math.sqrt(K)).tolist(), abs=1e-6)
        assert method.slices(z)[row].flatten().tolist() == pytest.approx(expected.tolist(), abs=1e-6)


def test_slices_are_initialised_each_on_its_own() -> None:
    card = registry.load("method", "divide_conquer")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        method = card.build(Context(500, 130, 5, torch.Generator()), card.resolve_options("sop", {}))
    assert method.num_learners == 8
    parts = method.heads["embedding"].weight.detach().view(8, 16, 500)
    # Xavier of 500 -> 16; of the layer as a whole it would be a tenth smaller
    assert parts.std((1, 2)).tolist() == pytest.approx([math.sqrt(2 / 516)] * 8, rel=0.035)


def test_dropout_scales_what_it_keeps_and_rests_in_eval_mode() -> None:
    network, method, _ = started(dropout=0.25)
    pooled = torch.ones(200, 16)
    dropped = method._drop(pooled)
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    assert float((dropped == 0).float().mean()) == pytest.approx(0.25, abs=0.03)
    network.eval()
    assert method._drop(pooled) is pooled


@pytest.mark.parametrize("learner", range(K))
def test_a_batch_of_a_cluster_trains_its_slice_alone(learner: int) -> None:
    network, method, _ = started()
    _, source = build("divide_conquer")
    method.cluster_of.copy_(torch.arange(36) // 2 % K)
    loss_of(network, batch_of(ROWS[(method.cluster_of == learner).numpy()], source)).backward()
    gradient = next(method.heads.parameters()).grad
    assert gradient is not None
    reached = gradient.view(K, 2, -1).abs().sum((1, 2)) > 0
    assert reached.tolist() == [k == learner for k in range(K)]


def test_a_mixed_batch_trains_the_learner_whose_turn_it_is_and_the_end_trains_all() -> None:
    _, method, _ = started(joint_from=0.5)
    _, source = build("divide_conquer")
    method.cluster_of.copy_(torch.arange(36) % K)
    method.turn.fill_(7)
    assert method.learner_of(batch_of(ROWS, source)) == 2
    assert method.learner_of(batch_of(ROWS[1::4], source)) == 1
    assert [method.learner_of(batch_of(ROWS[1::4], source, step=s)) for s in (14, 15)] == [1, K]


def test_the_published_loss_turns_to_the_whole_embedding_earlier() -> None:
    _, method, _ = started(joint_from=0.95, published=True)
    _, source = build("divide_conquer")
    # 30 steps: the joint phase from 28.5 on, the loss from 8/19 of 29 = 12.2 on
    assert [method.learner_of(batch_of(ROWS, source, step=s)) for s in (12, 13)] == [0, K]


def test_batches_come_from_one_cluster_after_the_other_then_from_all() -> None:
    _, method, state = started(joint_from=0.5)
    labels, clusters = state.labels, torch.arange(36) % 3
    clusters[:2] = 3  # two of one class: too few for a batch of their own
    method.cluster_of.copy_(clusters)
    for turn in range(3 * K):
        rows = next(state.batches)
        seen = clusters[rows].unique().tolist()
        assert len(rows) == OPTIONS.batch_size
        assert seen == [turn % K] if turn % K < 3 else len(seen) > 1
    state.step = 15
    assert len(clusters[next(state.batches)].unique()) > 1 and len(labels.unique()) == 6
    assert int(method.turn) == 3 * K


def test_samples_without_a_partner_are_not_drawn() -> None:
    _, method, state = started()
    clusters = torch.arange(36) // 6 % 2
    clusters[0] = 1  # class 0 is otherwise in cluster 0
    method.cluster_of.copy_(clusters)
    drawn = set(torch.cat([next(state.batches) for _ in range(40)][1::4]).tolist())
    assert drawn == set((clusters == 1).nonzero().squeeze(1).tolist()) - {0}


def test_new_clusters_are_used_at_once_and_keep_their_numbers() -> None:
    _, method, state = started()
    truth = torch.arange(36) // 2 % K
    features = torch.eye(K)[truth] + 0.02 * random(36, K)
    state.extract = lambda rows, pick: features[rows]
    next(state.batches)
    method.divide(state)
    first = method.cluster_of.clone()
    assert len({(int(a), int(b)) for a, b in zip(first, truth, strict=True)}) == K
    assert clusters_of_batches(method, state, first) == set(range(K))
    for _ in range(4):
        method.divide(state)  # another seed each time, so k-means numbers its clusters anew
        assert torch.equal(method.cluster_of, first)
    assert int(method.clusterings) == 5


def clusters_of_batches(method: DivideConquer, state: TrainState, clusters: Tensor) -> set[int]:
    found = set()
    for _ in range(K):
        rows = next(state.batches)
        assert clusters[rows].unique().tolist() == [(int(method.turn) - 1) % K]
        found.add(int(clusters[rows[0]]))
    return found


def test_features_are_unit_pooled_ones_of_all_training_images() -> None:
    network, method, state = started()
    _, source = build("divide_conquer")
    seen: list[Tensor] = []
    inner = state.extract

    def watched(rows: Tensor, pick: Callable[[Output], Tensor]) -> Tensor:
        seen.append(inner(rows, pick))
        return seen[-1]

    state.extract = watched
    method.divide(state)
    pooled = network.eval()(source.test_inputs(ROWS)).pooled.detach()
    assert torch.allclose(seen[0], pooled / pooled.norm(dim=1, keepdim=True), atol=1e-5)


@pytest.mark.parametrize(("every", "expected"), [(1, [0, 3, 6, 9, 12]), (2, [0, 6, 12])])
def test_images_are_clustered_every_so_many_epochs_until_the_end(every: int, expected: list[int]) -> None:
    network, source = build("divide_conquer", every_epochs=every, joint_from=0.5)
    method, counts = network.method, []
    assert isinstance(method, DivideConquer)
    options = replace(OPTIONS, steps=30)
    train(network, source, ROWS, data()[1], options, "run", on_step=lambda step: counts.append(int(method.clusterings)))
    changed = [step for step in range(30) if counts[step] != (counts[step - 1] if step else 0)]
    assert changed == expected


def test_boundaries_are_learned_only_if_asked() -> None:
    for learned in (False, True):
        network, source = build("divide_conquer", learn_beta=learned, joint_from=0.5)
        train(network, source, ROWS, data()[1], OPTIONS, "run")
        method = network.method
        assert isinstance(method, DivideConquer) and method.beta.shape == (K + 1,)
        assert bool((method.beta != 1.2).any()) == learned


def run(checkpoint: Checkpoint | None = None, on_step: OnStep = undisturbed) -> NDArray[np.float32]:
    network, source = build("divide_conquer", joint_from=0.8, dropout=0.1)

    train(network, source, ROWS, data()[1], OPTIONS, "run", checkpoint=checkpoint, on_step=on_step)
    return embed(network, source, ROWS)


@pytest.mark.parametrize("die_at", [1, 13, 18, 26])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path: Path, die_at: int) -> None:
    whole = run()
    assert np.array_equal(whole, run(killed(run, tmp_path / "run", die_at)))
    assert whole.shape == (36, DIM)
