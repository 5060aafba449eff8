"""Online semi-hard triplets against loops over all pairs."""

from __future__ import annotations

import pytest
import torch
from method_case import build
from torch import Tensor
from torch.nn import functional

from oodml.methods.base import Batch, Output
from oodml.methods.facenet import semihard_pairs


def example(seed: int, sizes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    labels = labels[torch.randperm(len(labels), generator=generator)]
    return functional.normalize(torch.randn(len(labels), 8, generator=generator), dim=1), labels


def naive(z: Tensor, labels: Tensor) -> dict[tuple[int, int], int]:
    """Negative of every ordered pair."""
    d = [[float((a - b).norm()) for b in z] for a in z]
    found = {}
    for a in range(len(z)):
        others = [n for n in range(len(z)) if labels[n] != labels[a]]
        for p in range(len(z)):
            if p == a or labels[p] != labels[a] or not others:
                continue
            farther = [n for n in others if d[a][n] > d[a][p]]
            found[a, p] = min(farther, key=d[a].__getitem__) if farther else max(others, key=d[a].__getitem__)
    return found


@pytest.mark.parametrize("sizes", [(3, 3, 3, 3), (5, 1, 2), (1, 1, 1), (4,), (12, 2)])
def test_every_pair_gets_the_nearest_negative_beyond_its_positive_or_else_the_farthest(sizes: tuple[int, ...]) -> None:
    for seed in range(5):
        z, labels = example(seed, sizes)
        a, p, n = (indices.tolist() for indices in semihard_pairs(z, labels))
        assert dict(zip(zip(a, p, strict=True), n, strict=True)) == naive(z, labels)


def test_the_examples_hold_pairs_with_and_without_a_semihard_negative() -> None:
    z, labels = example(0, (12, 2))
    d = (z[:, None] - z[None]).norm(dim=2)
    beyond = [bool(d[a, n] > d[a, p]) for (a, p), n in naive(z, labels).items()]
    assert any(beyond) and not all(beyond)


def test_the_loss_is_the_mean_over_all_pairs_of_squared_distances() -> None:
    z, labels = example(3, (4, 3, 2))
    terms = [
        max(0.0, float((z[a] - z[p]).square().sum() - (z[a] - z[n]).square().sum()) + 0.2)
        for (a, p), n in naive(z, labels).items()
    ]
    assert min(terms) == 0.0  # zeros count
    method = build("facenet")[0].method
    loss = method.loss([Output(z, None, {"embedding": z})], Batch((z,), labels, labels, 0))
    assert float(loss) == pytest.approx(sum(terms) / len(terms), abs=1e-6)


def test_a_step_against_the_gradient_pulls_a_positive_and_pushes_its_negative() -> None:
    z = functional.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.5], [1.0, -0.55], [0.9, -0.6]]), dim=1)
    z.requires_grad_()
    labels = torch.tensor([0, 0, 1, 1])
    loss = build("facenet")[0].method.loss([Output(z, None, {"embedding": z})], Batch((z,), labels, labels, 0))
    (gradient,) = torch.autograd.grad(loss, z)
    moved = functional.normalize((z - 0.05 * gradient).detach(), dim=1)
    before = (z.detach()[:, None] - z.detach()[None]).norm(dim=2)
    after = (moved[:, None] - moved[None]).norm(dim=2)
    assert after[0, 1] < before[0, 1] and after[0, 2] > before[0, 2]


def test_a_single_class_gives_zero_that_still_has_a_gradient() -> None:
    z = functional.normalize(torch.randn(4, 3, generator=torch.Generator().manual_seed(0)), dim=1).requires_grad_()
    labels = torch.zeros(4, dtype=torch.long)
    loss = build("facenet")[0].method.loss([Output(z, None, {"embedding": z})], Batch((z,), labels, labels, 0))
    loss.backward()
    assert float(loss.detach()) == 0 and z.grad is not None and not z.grad.any()
