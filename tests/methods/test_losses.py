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


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_margin() -> None:
    z, labels, batch = example()
    method = make("margin")
    a, p, n = distance_weighted(z, labels, torch.Generator().manual_seed(7))
    terms = []
    for i, j, k in zip(a.tolist(), p.tolist(), n.tolist(), strict=True):
        terms.append(max(0.0, float((z[i] - z[j]).norm()) - 1.2 + 0.2))
        terms.append(max(0.0, 1.2 - float((z[i] - z[k]).norm()) + 0.2))
    active = [t for t in terms if t > 0]
    assert value(method, z, batch) == pytest.approx(sum(active) / len(active), abs=1e-4)


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


def test_arcface() -> None:
    z, labels, batch = example()
    method = make("arcface")
    weight = dict(method.named_parameters())["classes"].detach()
    assert float(weight.abs().max()) <= 1 / math.sqrt(DIM)
    w = functional.normalize(weight, dim=1)
    cosines = (z @ w.T).tolist()
    losses = []
    for row, y in zip(cosines, labels.tolist(), strict=True):
        logits = [16 * (math.cos(math.acos(c) + 0.5) if k == y else c) for k, c in enumerate(row)]
        losses.append(math.log(sum(math.exp(v) for v in logits)) - logits[y])
    assert value(method, z, batch) == pytest.approx(np.mean(losses), abs=1e-3)


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
