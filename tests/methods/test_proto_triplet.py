"""The proto-triplet loss against a re-derivation in loops."""

from __future__ import annotations

import math

import pytest
import torch
from method_case import build
from torch import Tensor
from torch.nn import functional

from oodml.methods.base import Batch, Output
from oodml.records import Scalar


def example(seed: int, labels: list[int]) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(len(labels), 5, generator=generator), dim=1), torch.tensor(labels)


def loss_of(z: Tensor, labels: Tensor, **options: Scalar) -> Tensor:
    return build("proto_triplet", 0, **options)[0].method.loss(
        [Output(z, None, {"embedding": z})], Batch((z,), labels, labels, 0)
    )


def naive(z: Tensor, labels: Tensor, margin: float) -> tuple[float, int]:
    """Loss, and the number of queries."""
    members: dict[int, list[int]] = {}
    for row, label in enumerate(labels.tolist()):
        members.setdefault(label, []).append(row)
    means, queries = {}, []
    for label, rows in members.items():
        half = len(rows) - len(rows) // 2
        means[label] = [sum(float(z[r, c]) for r in rows[:half]) / half for c in range(z.shape[1])]
        queries += [(r, label) for r in rows[half:]]
    terms = []
    for row, label in queries:
        d = {
            k: math.sqrt(sum((float(v) - m) ** 2 for v, m in zip(z[row], mean, strict=True)) + 1e-6)
            for k, mean in means.items()
        }
        terms.append(max(0.0, d[label] - min(v for k, v in d.items() if k != label) + margin))
    return sum(terms) / len(terms), len(terms)


@pytest.mark.parametrize(
    ("labels", "queries"),
    [
        ([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2], 6),
        ([7, 3, 7, 3, 3, 5, 7, 5, 3, 7, 3], 5),  # shuffled, classes of 4, 5 and 2
        ([4, 4, 9, 2], 1),  # single samples only repel
    ],
)
def test_the_loss_is_the_mean_over_queries(labels: list[int], queries: int) -> None:
    for seed in range(3):
        z, y = example(seed, labels)
        for margin in (0.5, 0.1):
            expected, count = naive(z, y, margin)
            assert count == queries
            assert float(loss_of(z, y, margin=margin)) == pytest.approx(expected, abs=1e-5)


def test_a_hand_computed_episode() -> None:
    z = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [-1.0, 0.0]])
    y = torch.tensor([0, 0, 1, 1])
    # supports are samples 0 and 2; query 1 lies on the wrong one, query 3 is sqrt(2) from its own and 2 from the other
    expected = (math.sqrt(2) - 0 + 0.5) / 2 + max(0.0, math.sqrt(2) - 2 + 0.5) / 2
    assert float(loss_of(z, y)) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3], [5]], ids=["one class", "no query", "one sample"])
def test_a_batch_without_queries_or_without_a_second_class_gives_zero_with_a_gradient(labels: list[int]) -> None:
    z, y = example(0, labels)
    z.requires_grad_()
    loss = loss_of(z, y)
    loss.backward()
    assert float(loss.detach()) == 0 and z.grad is not None and not z.grad.any()


def test_the_gradient_is_that_of_finite_differences() -> None:
    z, y = example(4, [0, 0, 1, 1, 2, 2, 2])
    points = z.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss_of(x, y), (points,), eps=1e-6, atol=1e-5)


def test_duplicates_keep_the_gradient_finite() -> None:
    z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]).requires_grad_()
    loss = loss_of(z, torch.tensor([0, 0, 1, 1]))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.5) and z.grad is not None and z.grad.isfinite().all()
