"""Losses against a re-derivation in loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from oodml import registry
from oodml.methods.base import Batch, Context, Method, Output
from oodml.methods.margin import MarginCriterion
from oodml.methods.mining import distance_weighted, semihard

DIM, CLASSES, PER_CLASS = 8, 5, 3


def make(name: str, **options: float) -> Method:
    card = registry.load("method", name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        context = Context(6, DIM, CLASSES, torch.Generator().manual_seed(7))
        method: Method = card.build(context, card.resolve_options("glyphs", options))
    return method


def example() -> tuple[Tensor, Tensor, Batch]:
    z = functional.normalize(torch.randn(CLASSES * PER_CLASS, DIM, generator=torch.Generator().manual_seed(2)), dim=1)
    labels = torch.arange(CLASSES).repeat_interleave(PER_CLASS)
    return z, labels, Batch((z,), labels, torch.arange(len(z)), 0)


def value(method: Method, z: Tensor, batch: Batch) -> float:
    return float(method.loss([Output(z, None, {"embedding": z})], batch).detach())


def uneven() -> tuple[Tensor, Tensor, Batch]:
    """A batch whose classes occur 5, 3, 2, 1 and 0 times."""
    z = functional.normalize(torch.randn(11, DIM, generator=torch.Generator().manual_seed(4)), dim=1)
    labels = torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3])
    return z, labels, Batch((z,), labels, torch.arange(11), 0)


@pytest.mark.parametrize("published", [False, True])
def test_margin_by_hand_on_the_circle(published: bool) -> None:
    degrees = torch.tensor([0.0, 90.0, 60.0, 180.0])  # distances: 0-1 and 1-3 sqrt 2, 0-2 1, 2-3 sqrt 3, 1-2 .5176
    z = torch.stack([(degrees * math.pi / 180).cos(), (degrees * math.pi / 180).sin()], 1)
    criterion = MarginCriterion(2, beta=1.2, margin=0.2, published=published)
    triplets = torch.tensor([[0, 1, 2], [1, 0, 3], [2, 2, 1], [3, 3, 0]]).T
    loss = criterion(z, torch.tensor([0, 0, 1, 1]), tuple(triplets))
    near, far = 2 * math.sin(math.radians(15)), math.sqrt(2)
    terms = [[far - 1, 1.4 - 1], [far - 1], [1.4 - near], []]  # the last is a copy and 2 away from its negative
    count = 3 if published else 4
    assert float(loss.detach()) == pytest.approx(sum(map(sum, terms)) / count, abs=1e-4)
    loss.backward()
    # class 0 has two active positives and one active negative, class 1 one active negative
    torch.testing.assert_close(criterion.beta.grad, torch.tensor([-1.0, 1.0]) / count)


def test_the_gradient_of_a_boundary_has_the_sign_of_active_negatives_minus_active_positives() -> None:
    z, labels, _ = example()
    a, p, n = distance_weighted(z, labels, torch.Generator().manual_seed(1))
    criterion = MarginCriterion(CLASSES)
    criterion.beta.data.copy_(torch.linspace(0.4, 2.0, CLASSES))
    criterion(z, labels, (a, p, n)).backward()
    surplus = torch.zeros(CLASSES)
    for i, j, k in zip(a.tolist(), p.tolist(), n.tolist(), strict=True):
        beta = 0.4 + 0.4 * int(labels[i])
        surplus[labels[i]] += (beta - float((z[i] - z[k]).norm()) + 0.2 > 0) - (
            float((z[i] - z[j]).norm()) - beta + 0.2 > 0
        )
    assert criterion.beta.grad is not None
    assert criterion.beta.grad.sign().tolist() == surplus.sign().tolist()
    assert {-1.0, 1.0} <= set(surplus.sign().tolist())


def test_margin_without_a_triplet_is_zero() -> None:
    z = functional.normalize(torch.randn(4, DIM), dim=1).requires_grad_()
    none = torch.zeros(0, dtype=torch.long)
    loss = MarginCriterion(1)(z, torch.zeros(4, dtype=torch.long), (none, none, none))
    loss.backward()
    assert float(loss.detach()) == 0 and z.grad is not None and not z.grad.any()


@pytest.mark.parametrize("published", [False, True])
def test_margin(published: bool) -> None:
    z, labels, batch = example()
    method = make("margin", published=published)
    a, p, n = distance_weighted(z, labels, torch.Generator().manual_seed(7))
    terms = []
    for i, j, k in zip(a.tolist(), p.tolist(), n.tolist(), strict=True):
        pos, neg = float((z[i] - z[j]).norm()) - 1.2 + 0.2, 1.2 - float((z[i] - z[k]).norm()) + 0.2
        terms.append([term for term in (pos, neg) if term > 0])
    count = sum(1 for term in terms if term) if published else sum(map(len, terms))
    assert value(method, z, batch) == pytest.approx(sum(map(sum, terms)) / count, abs=1e-4)


def test_triplet() -> None:
    z, labels, batch = example()
    a, p, n = semihard(z, labels, torch.Generator().manual_seed(7), 0.2)
    terms = [
        max(0.0, float((z[i] - z[j]).square().sum() - (z[i] - z[k]).square().sum()) + 0.2)
        for i, j, k in zip(a.tolist(), p.tolist(), n.tolist(), strict=True)
    ]
    assert value(make("triplet"), z, batch) == pytest.approx(np.mean(terms), abs=1e-5)


def test_contrastive() -> None:
    z, labels, batch = example()
    a, p, n = distance_weighted(z, labels, torch.Generator().manual_seed(7))
    pos = [float((z[i] - z[j]).norm()) for i, j in zip(a.tolist(), p.tolist(), strict=True)]
    neg = [max(0.0, 1 - float((z[i] - z[k]).norm())) for i, k in zip(a.tolist(), n.tolist(), strict=True)]
    assert value(make("contrastive"), z, batch) == pytest.approx(np.mean(pos) + np.mean(neg), abs=1e-4)


def test_multisimilarity() -> None:
    z, labels, batch = example()
    s = (z @ z.T).tolist()
    total = 0.0
    for i in range(len(z)):
        positives = [j for j in range(len(z)) if labels[j] == labels[i] and j != i]
        negatives = [j for j in range(len(z)) if labels[j] != labels[i]]
        hard_p = [j for j in positives if s[i][j] - 0.1 < max(s[i][k] for k in negatives)]
        hard_n = [j for j in negatives if s[i][j] + 0.1 > min(s[i][k] for k in positives)]
        if hard_p:
            total += math.log1p(sum(math.exp(-2 * (s[i][j] - 0.5)) for j in hard_p)) / 2
        if hard_n:
            total += math.log1p(sum(math.exp(40 * (s[i][j] - 0.5)) for j in hard_n)) / 40
    assert value(make("multisimilarity"), z, batch) == pytest.approx(total / len(z), abs=1e-4)


@pytest.mark.parametrize("similar", [False, True], ids=["apart", "a negative above .9"])
def test_multisimilarity_as_published(similar: bool) -> None:
    z, labels, batch = example()
    if similar:
        z[3] = functional.normalize(z[0] + 0.1 * z[3], dim=0)
        z[7] = functional.normalize(z[5] + 0.1 * z[7], dim=0)
    s = (z @ z.T).tolist()
    pulls, pushes, own = [], [], 0
    for i in range(len(z)):
        members = [j for j in range(len(z)) if labels[j] == labels[i]]
        negatives = [j for j in range(len(z)) if labels[j] != labels[i]]
        hard_p = [j for j in members if s[i][j] - 0.1 < max(s[i][k] for k in negatives)]
        hard_n = [j for j in negatives if s[i][j] + 0.1 > min(s[i][k] for k in members if k != i)]
        own += i in hard_p
        if hard_p:
            pulls.append(math.log1p(sum(math.exp(-2 * (s[i][j] - 0.5)) for j in hard_p)) / 2)
        if hard_n:
            pushes.append(math.log1p(sum(math.exp(40 * (s[i][j] - 0.5)) for j in hard_n)) / 40)
    assert (own > 0) == similar
    found = value(make("multisimilarity", published=True), z, batch)
    assert found == pytest.approx(np.mean(pulls) + np.mean(pushes), abs=1e-4)


def test_multisimilarity_as_published_is_a_constant_where_no_pair_is_worth_a_gradient() -> None:
    labels = torch.arange(4).repeat_interleave(2)
    z = torch.eye(4, DIM)[labels].requires_grad_()
    batch = Batch((z,), labels, torch.arange(8), 0)
    loss = make("multisimilarity", published=True).loss([Output(z, None, {"embedding": z})], batch)
    assert float(loss.detach()) == pytest.approx(math.log(2) / 2 + math.log(2) / 40, abs=1e-6)
    loss.backward()
    assert z.grad is not None and not z.grad.any()
    assert value(make("multisimilarity"), z.detach(), batch) == 0


@pytest.mark.parametrize("published", [False, True])
def test_arcface(published: bool) -> None:
    z, labels, batch = example()
    method = make("arcface", published=published)
    weight = dict(method.named_parameters())["classes"].detach()
    assert float(weight.abs().max()) <= 1 / math.sqrt(DIM)
    w = functional.normalize(weight, dim=1)
    cosines = (z @ w.T).tolist()
    losses = []
    assert min(map(min, cosines)) < 0
    for row, y in zip(cosines, labels.tolist(), strict=True):
        row = [max(1e-10, c) for c in row] if published else row
        logits = [16 * (math.cos(math.acos(c) + 0.5) if k == y else c) for k, c in enumerate(row)]
        losses.append(math.log(sum(math.exp(v) for v in logits)) - logits[y])
    assert value(method, z, batch) == pytest.approx(np.mean(losses), abs=1e-3)


@pytest.mark.parametrize("published", [False, True], ids=["arcface", "as published"])
def test_arcface_keeps_rising_beyond_pi_unless_published(published: bool) -> None:
    method = make("arcface", published=published)
    weight = dict(method.named_parameters())["classes"]
    with torch.no_grad():
        weight.copy_(torch.eye(CLASSES, DIM))
    angles = torch.linspace(math.pi - 0.45, math.pi - 0.05, 5)
    z = torch.zeros(5, DIM)
    z[:, 0], z[:, DIM - 1] = angles.cos(), angles.sin()
    labels = torch.zeros(1, dtype=torch.long)
    found = [value(method, row[None], Batch((row[None],), labels, labels, 0)) for row in z]
    for angle, loss in zip(angles.tolist(), found, strict=True):
        logit = math.cos(math.pi / 2 + 0.5) if published else math.cos(angle) - 0.5 * math.sin(0.5)
        others = CLASSES - 1
        assert loss == pytest.approx(math.log(math.exp(16 * logit) + others) - 16 * logit, abs=1e-3)


@pytest.mark.parametrize("published", [False, True])
def test_proxy_anchor_of_a_batch_whose_classes_differ_in_size(published: bool) -> None:
    z, labels, batch = uneven()
    method = make("proxy_anchor", published=published)
    proxies = functional.normalize(dict(method.named_parameters())["proxies"].detach(), dim=1)
    s, seen = (z @ proxies.T).tolist(), labels.tolist()
    pull = {
        c: math.log1p(sum(math.exp(-32 * (s[i][c] - 0.1)) for i in range(11) if seen[i] == c)) for c in sorted({*seen})
    }
    push = [math.log1p(sum(math.exp(32 * (s[i][c] + 0.1)) for i in range(11) if seen[i] != c)) for c in range(CLASSES)]
    pulls = [pull[c] for c in seen] if published else list(pull.values())
    assert value(method, z, batch) == pytest.approx(np.mean(pulls) + np.mean(push), abs=1e-3)


def test_proxy_anchor() -> None:
    z, labels, batch = example()
    method = make("proxy_anchor")
    proxies = functional.normalize(dict(method.named_parameters())["proxies"].detach(), dim=1)
    s = (z @ proxies.T).tolist()
    pos = [
        math.log1p(sum(math.exp(-32 * (s[i][c] - 0.1)) for i in range(len(z)) if labels[i] == c))
        for c in range(CLASSES)
    ]
    neg = [
        math.log1p(sum(math.exp(32 * (s[i][c] + 0.1)) for i in range(len(z)) if labels[i] != c)) for c in range(CLASSES)
    ]
    assert value(method, z, batch) == pytest.approx(np.mean(pos) + np.mean(neg), abs=1e-3)
