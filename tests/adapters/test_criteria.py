"""Losses of many few-shot problems at once: those of loops over problems, anchors and samples."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from oodml.adapters.criteria import CRITERIA, Criterion, make_criterion
from oodml.errors import UnknownNameError

BETA, MARGIN = 1.1, 0.3
P, B, D = 4, 12, 6


def criterion(name: str) -> Criterion:
    return make_criterion("linear", {"criterion": name, "beta": BETA, "margin": MARGIN})


def batch(draws: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Close unit vectors, labels with classes of 1 to 6 samples, and uniform numbers."""
    generator = torch.Generator().manual_seed(seed)
    z = functional.normalize(torch.randn(P, B, D, generator=generator) + 0.7, dim=2)
    labels = torch.randint(5, (P, B // 2), generator=generator).repeat_interleave(2, 1)
    labels[:, -1] = 7  # alone in its class
    return z, labels, torch.rand(P, B, draws, generator=generator)


def positive_of(labels: list[int], anchor: int, u: float) -> int:
    others = [j for j, label in enumerate(labels) if label == labels[anchor] and j != anchor]
    return others[int(u * len(others))] if others else anchor


def drawn_of(weights: dict[int, float], u: float) -> int:
    """The first key at which the running sum reaches 1 - u of all."""
    total, reached = sum(weights.values()), 0.0
    for j, weight in weights.items():
        reached += weight
        if reached >= (1 - u) * total:
            return j
    raise AssertionError


def log_weight(d: float) -> float:
    d = min(max(d, 0.5), 1.999)
    return (2 - D) * math.log(d) - (D - 3) / 2 * math.log(1 - d * d / 4)


def naive_margin(z: Tensor, labels: list[int], uniform: list[list[float]]) -> Tensor:
    terms, active, fixed = [], 0, z.detach()
    for i in range(B):
        weights = {
            j: math.exp(log_weight(float((fixed[i] - fixed[j]).norm()))) for j in range(B) if labels[j] != labels[i]
        }
        n, p = drawn_of(weights, uniform[i][0]), positive_of(labels, i, uniform[i][1])
        far = ((z[i] - z[p]).square().sum() + 1e-8).sqrt() - BETA + MARGIN
        close = BETA - ((z[i] - z[n]).square().sum() + 1e-8).sqrt() + MARGIN
        for term in (far, close):
            if term > 0:
                terms.append(term)
                active += 1
    return torch.stack(terms).sum() / active


def naive_triplet(z: Tensor, labels: list[int], uniform: list[list[float]]) -> Tensor:
    total = z.new_zeros(())
    for i in range(B):
        n = drawn_of({j: 1.0 for j in range(B) if labels[j] != labels[i]}, uniform[i][0])
        p = positive_of(labels, i, uniform[i][1])
        total = total + ((z[i] - z[p]).square().sum() - (z[i] - z[n]).square().sum() + MARGIN).clamp(min=0)
    return total / B


def naive_multisimilarity(z: Tensor, labels: list[int], uniform: list[list[float]]) -> Tensor:
    total = z.new_zeros(())
    for i in range(B):
        s = [z[i] @ z[j] for j in range(B)]
        negatives = [j for j in range(B) if labels[j] != labels[i]]
        positives = [j for j in range(B) if labels[j] == labels[i] and j != i]
        hard = max(float(s[j].detach()) for j in negatives)
        easy = min((float(s[j].detach()) for j in positives), default=math.inf)
        pull = [torch.exp(-2 * (s[j] - 0.5)) for j in positives if s[j] - 0.1 < hard]
        push = [torch.exp(40 * (s[j] - 0.5)) for j in negatives if s[j] + 0.1 > easy]
        total = total + torch.log(1 + sum(pull, z.new_zeros(()))) / 2 + torch.log(1 + sum(push, z.new_zeros(()))) / 40
    return total / B


NAIVE = {"margin": naive_margin, "triplet": naive_triplet, "multisimilarity": naive_multisimilarity}


@pytest.mark.parametrize("name", CRITERIA)
def test_losses_and_gradients_are_those_of_a_loop_over_anchors(name: str) -> None:
    losses = criterion(name)
    z, labels, uniform = batch(losses.draws)
    z.requires_grad_()
    found = losses(z, labels, uniform)
    expected = torch.stack([NAIVE[name](z[i], labels[i].tolist(), uniform[i].tolist()) for i in range(P)])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert (found > 0).all()
    slopes = [torch.autograd.grad(value.sum(), z)[0] for value in (found, expected)]
    torch.testing.assert_close(*slopes, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", CRITERIA)
def test_a_problem_has_the_same_loss_and_gradient_alone(name: str) -> None:
    losses = criterion(name)
    z, labels, uniform = batch(losses.draws)
    z.requires_grad_()
    together = losses(z, labels, uniform)
    (slopes,) = torch.autograd.grad(together.sum(), z)
    for i in range(P):
        alone = losses(z[i : i + 1], labels[i : i + 1], uniform[i : i + 1])
        assert torch.equal(alone[0], together[i])
        assert torch.equal(torch.autograd.grad(alone.sum(), z)[0][i], slopes[i])


@pytest.mark.parametrize("name", CRITERIA)
def test_a_batch_of_one_class_gives_no_gradient_and_leaves_the_others_alone(name: str) -> None:
    losses = criterion(name)
    z, labels, uniform = batch(losses.draws)
    expected = losses(z, labels, uniform)
    labels[1] = 3
    z[2, 1] = z[2, 0]  # a duplicate
    z.requires_grad_()
    found = losses(z, labels, uniform)
    (slopes,) = torch.autograd.grad(found.sum(), z)
    assert float(found[1].detach()) == 0 and not slopes[1].any()
    assert slopes.isfinite().all() and slopes[2].any()
    assert torch.equal(found[[0, 3]], expected[[0, 3]])


def test_an_unknown_criterion_is_a_mistake_of_the_user() -> None:
    with pytest.raises(UnknownNameError, match=r"linear\.criterion"):
        criterion("margins")
