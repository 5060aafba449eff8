"""Triplets of shared and intra-class features: which classes, with which probabilities."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from naive_losses import unit
from torch import Tensor

from oodml.methods.mining_shared import permuted_labels, three_classes, within_class

DRAWS = 4000


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def log_weight(a: Tensor, b: Tensor) -> float:
    d, dim = min(max(math.dist(a.tolist(), b.tolist()), 0.5), 1.999), len(a)
    return (2 - dim) * math.log(d) - (dim - 3) / 2 * math.log(1 - d * d / 4)


@pytest.mark.parametrize("weighted", [False, True], ids=["standard", "full"])
def test_the_three_members_come_from_three_classes(weighted: bool) -> None:
    labels = torch.arange(5).repeat_interleave(3)
    for seed in range(20):
        a, p, n = three_classes(unit(15, 8, seed), labels, generator(seed), weighted)
        assert a.tolist() == list(range(15))
        assert all(len({int(labels[i]), int(labels[j]), int(labels[k])}) == 3 for i, j, k in zip(a, p, n, strict=True))


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 0, 1, 1]])
def test_fewer_than_three_classes_give_no_triplets(labels: list[int]) -> None:
    assert all(len(index) == 0 for index in three_classes(unit(4, 8, 0), torch.tensor(labels), generator()))


@pytest.mark.parametrize("weighted", [False, True], ids=["standard", "full"])
def test_negatives_and_positives_follow_their_weights(weighted: bool) -> None:
    z, labels = unit(6, 8, 3), torch.tensor([0, 0, 1, 1, 2, 3])
    source, pairs = generator(1), Counter[tuple[int, int]]()
    for _ in range(DRAWS):
        _, p, n = three_classes(z, labels, source, weighted)
        pairs[int(n[0]), int(p[0])] += 1
    weights = {j: math.exp(log_weight(z[0], z[j])) for j in range(2, 6)}
    for j in range(2, 6):
        third = [k for k in range(2, 6) if labels[k] != labels[j]]
        share = {k: weights[k] if weighted else 1.0 for k in third}
        for k in third:
            wanted = weights[j] / sum(weights.values()) * share[k] / sum(share.values())
            assert pairs[j, k] / DRAWS == pytest.approx(wanted, abs=0.03)


def test_permuted_labels_ignore_the_true_classes_and_draw_near_negatives() -> None:
    z, labels = unit(12, 16, 0), torch.arange(4).repeat_interleave(3)
    z[1] = z[0]  # of one class, and so near that they are each other's negative wherever the shuffle parts them
    source, same_positive, near, anchors = generator(2), 0, 0, 0
    for _ in range(500):
        a, p, n = permuted_labels(z, labels, source)
        assert len(a) == 12 and (a != p).all() and (a != n).all() and (p != n).all()
        same_positive += int((labels[a] == labels[p]).sum())
        near += int(n[0] == 1) + int(p[0] == 1)
        anchors += 12
    assert same_positive / anchors == pytest.approx(2 / 11, abs=0.02)  # chance, where the true classes would give 1
    assert near > 0.8 * 500


def test_permuted_labels_skip_samples_alone_under_their_label() -> None:
    labels = torch.tensor([0, 0, 1, 2, 3])
    for seed in range(10):
        a, p, _ = permuted_labels(unit(5, 8, seed), labels, generator(seed))
        assert len(a) == 2 and sorted(a.tolist()) == sorted(p.tolist())
    assert all(len(index) == 0 for index in permuted_labels(unit(3, 8, 0), torch.tensor([1, 1, 1]), generator()))


def test_triplets_within_a_class_take_classes_and_members_uniformly() -> None:
    labels = torch.tensor([7, 7, 7, 7, 2])
    source, anchors, triples = generator(3), Counter[int](), Counter[tuple[int, ...]]()
    for _ in range(DRAWS // 5):
        a, p, n = within_class(labels, source)
        assert len(a) == 5 and torch.equal(labels[a], labels[p]) and torch.equal(labels[a], labels[n])
        anchors.update(a.tolist())
        triples.update(tuple(t) for t in torch.stack([a, p, n], 1).tolist())
    assert anchors[4] / DRAWS == pytest.approx(1 / 2, abs=0.03)  # a class, not a sample, has even odds
    assert all(anchors[i] / DRAWS == pytest.approx(1 / 8, abs=0.03) for i in range(4))
    assert len(triples) == 4**3 + 1  # with replacement: all three may be one
