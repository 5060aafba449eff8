"""Batches: classes, samples, determinism."""

from __future__ import annotations

from collections import Counter

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oodml.sampling import SAMPLERS, balanced, class_random


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(1, 7), min_size=2, max_size=12),
    per_class=st.integers(1, 4),
    classes=st.integers(1, 8),
    name=st.sampled_from(sorted(SAMPLERS)),
)
def test_a_batch_is_full_and_grouped_by_class(counts: list[int], per_class: int, classes: int, name: str) -> None:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=generator(1))]
    rows = next(SAMPLERS[name](labels, per_class * classes, per_class, generator()))
    assert rows.shape == (per_class * classes,)
    groups = labels[rows].view(classes, per_class)
    assert (groups == groups[:, :1]).all()


def test_balanced_batches_repeat_neither_class_nor_sample() -> None:
    labels = torch.arange(20).repeat_interleave(5)
    rows = next(balanced(labels, 48, 4, generator()))
    assert len(set(rows.tolist())) == 48
    assert len(set(labels[rows].tolist())) == 12


def test_balanced_uses_all_of_a_small_class_before_repeating() -> None:
    labels = torch.tensor([0, 0, 1, 1, 1, 1, 1])
    rows = next(balanced(labels, 8, 4, generator()))
    seen = Counter(rows[labels[rows] == 0].tolist())
    assert sorted(seen.values()) == [2, 2]


def test_balanced_takes_classes_again_when_there_are_too_few() -> None:
    labels = torch.arange(3).repeat_interleave(6)
    rows = next(balanced(labels, 16, 2, generator()))
    assert max(Counter(labels[rows].tolist()).values()) <= 6  # three rounds of two


def test_class_random_draws_classes_uniformly_whatever_their_size() -> None:
    labels = torch.tensor([0] + [1] * 9)
    batches = class_random(labels, 100, 2, generator())
    share = torch.stack([(labels[next(batches)] == 0).float().mean() for _ in range(100)]).mean()
    assert abs(float(share) - 0.5) < 0.03


def test_the_same_seed_gives_the_same_batches() -> None:
    labels = torch.arange(10).repeat_interleave(4)
    for make in SAMPLERS.values():
        one, two, other = (make(labels, 12, 3, generator(seed)) for seed in (4, 4, 5))
        first = [next(one).tolist() for _ in range(3)]
        assert first == [next(two).tolist() for _ in range(3)]
        assert first != [next(other).tolist() for _ in range(3)]
