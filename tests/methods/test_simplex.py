"""The fixed simplex: geometry of its vertices, the loss with and without a margin."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from method_case import CLASSES, OPTIONS, ROWS, build, data
from torch import Tensor
from torch.nn import functional

from oodml.methods.base import Batch, Output
from oodml.methods.simplex import Simplex, simplex_vertices
from oodml.model import embed
from oodml.records import Scalar
from oodml.training import train


@pytest.mark.parametrize("count", [2, 3, 4, 17, 300])
def test_vertices_are_unit_sum_to_zero_and_are_as_far_apart_as_can_be(count: int) -> None:
    vertices = simplex_vertices(count).double().numpy()
    gram = vertices @ vertices.T
    expected = np.full((count, count), -1 / (count - 1))
    np.fill_diagonal(expected, 1)
    assert vertices.shape == (count, count - 1)
    assert np.allclose(gram, expected, atol=1e-5)
    assert np.allclose(vertices.sum(0), 0, atol=1e-5)


def test_three_vertices_are_an_equilateral_triangle() -> None:
    x, y = (math.sqrt(1.5) - (math.sqrt(3) + 1) / 2**1.5), -(math.sqrt(3) + 1) / 2**1.5
    assert torch.allclose(simplex_vertices(3), torch.tensor([[x, y], [y, x], [math.sqrt(0.5), math.sqrt(0.5)]]))


def unit(count: int = 10) -> Tensor:
    return functional.normalize(torch.randn(count, CLASSES - 1, generator=torch.Generator().manual_seed(5)), dim=1)


def value(z: Tensor, labels: Tensor, **options: Scalar) -> Tensor:
    method = build("simplex", 0, **options)[0].method
    return method.loss([Output(z, None, {"embedding": z})], Batch((z,), labels, labels, 0))


@pytest.mark.parametrize("margin", [0.0, 0.3, 1.2])
def test_the_loss_is_the_cross_entropy_of_scaled_cosines_with_the_own_angle_enlarged(margin: float) -> None:
    z, labels = unit(), torch.arange(10) % CLASSES
    vertices = simplex_vertices(CLASSES).tolist()
    losses = []
    for row, y in zip(z.tolist(), labels.tolist(), strict=True):
        cosines = [sum(a * b for a, b in zip(row, vertex, strict=True)) for vertex in vertices]
        angle = math.acos(cosines[y])
        beyond = angle + margin > math.pi
        own = cosines[y] - margin * math.sin(margin) if beyond else math.cos(angle + margin)
        logits = [8 * (own if k == y else c) for k, c in enumerate(cosines)]
        losses.append(math.log(sum(math.exp(v) for v in logits)) - logits[y])
    assert float(value(z, labels, scale=8.0, margin=margin)) == pytest.approx(np.mean(losses), abs=1e-5)


def test_the_margin_raises_the_loss_and_is_finite_at_and_against_the_own_vertex() -> None:
    vertices = simplex_vertices(CLASSES)
    z = torch.cat([vertices, -vertices]).requires_grad_()
    labels = torch.arange(CLASSES).repeat(2)
    plain, strict = value(z, labels), value(z, labels, margin=0.4)
    (gradient,) = torch.autograd.grad(strict, z)
    assert strict > plain and gradient.isfinite().all()


def test_the_embedding_is_as_wide_as_the_simplex_and_the_vertices_do_not_train() -> None:
    network, source = build("simplex")
    method = network.method
    assert isinstance(method, Simplex)
    before = method.vertices.clone()
    train(network, source, ROWS, data()[1], OPTIONS, "fixed")
    assert embed(network, source, ROWS).shape == (len(ROWS), CLASSES - 1)
    assert torch.equal(method.vertices, before)
    assert not [name for name, _ in network.named_parameters() if "vertices" in name]


def test_trained_classes_gather_at_their_own_vertex() -> None:
    network, source = build("simplex")
    train(network, source, ROWS, data()[1], replace(OPTIONS, steps=300), "stationary")
    nearest = (embed(network, source, ROWS) @ simplex_vertices(CLASSES).numpy().T).argmax(1)
    assert (nearest == data()[1]).mean() > 0.9
