"""The ICNN score against a re-derivation in loops, and by hand."""

from __future__ import annotations

import math

import pytest
import torch
from method_case import build
from torch import Tensor
from torch.nn import functional

from oodml.methods.base import Batch, Output
from oodml.methods.icnn import icnn_score
from oodml.records import Scalar


def example(seed: int, labels: list[int]) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(len(labels), 5, generator=generator), dim=1), torch.tensor(labels)


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def naive(z: Tensor, labels: Tensor, k: int) -> float:
    n, y = len(z), labels.tolist()
    d = [[math.sqrt(float((a - b).square().sum()) + 1e-6) for b in z.double()] for a in z.double()]
    near = {i: sorted((j for j in range(n) if j != i), key=d[i].__getitem__)[:k] for i in range(n)}
    largest = max((d[i][j] for i in range(n) for j in near[i] if y[i] != y[j]), default=0.0)
    intra, inter, share = [], [], []
    for i in range(n):
        other = min(d[i][j] for j in range(n) if y[j] != y[i])
        top = max(1.0, max(d[i][j] / other for j in near[i]))
        same = [d[i][j] / other / top for j in near[i] if y[i] == y[j]]
        strange = [d[i][j] / largest for j in near[i] if y[i] != y[j]]
        intra += [mean(same)] if same else []
        inter += [mean(strange)] if strange else []
        share.append(len(same) / len(near[i]))
    lam = ((1 - mean(intra) if intra else 1.0) + (mean(inter) if inter else 1.0)) / 2
    return (lam + mean(share)) / 2


@pytest.mark.parametrize("labels", [[0, 0, 0, 1, 1, 1, 2, 2, 2], [3, 1, 3, 3, 1, 2, 3, 1], [0, 1, 2, 3], [0, 0, 0, 1]])
@pytest.mark.parametrize("k", [1, 4, 50])
def test_the_score_is_that_of_the_loops(labels: list[int], k: int) -> None:
    for seed in range(3):
        z, y = example(seed, labels)
        assert float(icnn_score(z, y, k)) == pytest.approx(naive(z, y, min(k, len(z) - 1)), abs=1e-5)


def test_four_points_by_hand() -> None:
    angles = torch.tensor([0.0, math.pi / 3, math.pi, 4 * math.pi / 3])
    z = torch.stack([angles.cos(), angles.sin()], 1)
    y = torch.tensor([0, 0, 1, 1])
    # nearest other class: sqrt(3) for all; two neighbours each: the own one at 1, the stranger at sqrt(3), the largest
    lam = (1 - 1 / math.sqrt(3) + 1) / 2
    assert float(icnn_score(z, y, 2)) == pytest.approx((lam + 0.5) / 2, abs=1e-4)
    # the nearest neighbour alone is of the own class everywhere: no stranger to measure
    assert float(icnn_score(z, y, 1)) == pytest.approx(((1 - 1 / math.sqrt(3) + 1) / 2 + 1) / 2, abs=1e-4)


def test_collapsed_far_classes_score_one_and_mixed_ones_less() -> None:
    z = torch.eye(2).repeat_interleave(3, 0)
    apart = float(icnn_score(z, torch.tensor([0, 0, 0, 1, 1, 1]), 2))
    mixed = float(icnn_score(z, torch.tensor([0, 1, 0, 1, 0, 1]), 2))
    assert apart == pytest.approx(1, abs=2e-3) and mixed < 0.9 * apart


def loss_of(z: Tensor, labels: Tensor, **options: Scalar) -> Tensor:
    return build("icnn", 0, **options)[0].method.loss(
        [Output(z, None, {"embedding": z})], Batch((z,), labels, labels, 0)
    )


def test_the_loss_is_minus_the_logarithm_of_the_score() -> None:
    z, y = example(0, [0, 0, 0, 1, 1, 1, 2, 2, 2])
    assert float(loss_of(z, y)) == pytest.approx(-math.log(naive(z, y, 4)), abs=1e-5)
    assert float(loss_of(z, y, neighbours=2)) == pytest.approx(-math.log(naive(z, y, 2)), abs=1e-5)


def test_the_gradient_is_that_of_finite_differences_on_the_sphere() -> None:
    z, y = example(1, [0, 0, 0, 1, 1, 1, 2, 2])
    points = z.double().requires_grad_()
    on_sphere = lambda x: loss_of(functional.normalize(x, dim=1), y)  # noqa: E731
    assert torch.autograd.gradcheck(on_sphere, (points,), eps=1e-6, atol=1e-5)


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3], [0, 0, 1, 1]], ids=["one class", "singles", "copies"])
def test_degenerate_batches_are_finite_and_one_class_gives_zero(labels: list[int]) -> None:
    z = torch.eye(3)[[0, 0, 0, 0]].requires_grad_()
    loss = loss_of(z, torch.tensor(labels))
    loss.backward()
    assert loss.isfinite() and z.grad is not None and z.grad.isfinite().all()
    assert (float(loss.detach()) == 0) == (len(set(labels)) == 1)
