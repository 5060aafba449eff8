"""The rho-regularised margin loss: its triplets enter the loss, and its options per dataset."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from method_case import OPTIONS, ROWS, batch_of, build, data
from torch.nn import functional

from oodml import registry
from oodml.methods.base import Output
from oodml.methods.mining import rho_regularised
from oodml.methods.r_margin import RMargin
from oodml.model import embed
from oodml.training import train


def test_the_loss_is_the_margin_loss_of_the_rho_miner() -> None:
    network, source = build("r_margin", p=0.5)
    batch = batch_of(ROWS, source)
    z = functional.normalize(torch.randn(len(ROWS), 8, generator=torch.Generator().manual_seed(1)), dim=1)
    a, p, n = rho_regularised(z, batch.labels, torch.Generator().manual_seed(0), 0.5)
    assert 0 < int((a == p).sum()) < len(a)
    terms = []
    for i, j, k in zip(a.tolist(), p.tolist(), n.tolist(), strict=True):
        terms += [float((z[i] - z[j]).norm()) - 0.6 + 0.2, 0.6 - float((z[i] - z[k]).norm()) + 0.2]
    active = [term for term in terms if term > 0]
    loss = network.method.loss([Output(z, None, {"embedding": z})], batch)
    assert float(loss.detach()) == pytest.approx(sum(active) / len(active), abs=1e-4)


def test_with_probability_one_a_class_is_only_spread() -> None:
    network, source = build("r_margin", p=1.0)
    batch = batch_of(ROWS, source)
    directions = torch.eye(8)[batch.labels] + 0.1 * torch.randn(
        len(ROWS), 8, generator=torch.Generator().manual_seed(1)
    )
    z = functional.normalize(directions, dim=1).requires_grad_()
    network.method.loss([Output(z, None, {"embedding": z})], batch).backward()
    assert z.grad is not None
    moved = functional.normalize(z.detach() - 0.1 * z.grad, dim=1)
    for label in range(6):
        own = batch.labels == label
        assert torch.pdist(moved[own]).mean() > torch.pdist(z.detach()[own]).mean()


def test_pushing_apart_within_classes_flattens_the_spectrum() -> None:
    def decay(p: float) -> float:
        network, source = build("r_margin", p=p)
        train(network, source, ROWS, data()[1], OPTIONS, "spectrum")
        values = np.linalg.svd(embed(network, source, ROWS), compute_uv=False)
        return float(np.log(1 / len(values) / (values / values.sum())).mean())

    assert decay(0.4) < decay(0.0)


def test_the_study_has_its_own_values_per_dataset() -> None:
    card = registry.load("method", "r_margin")
    found = {name: card.resolve_options(name, {}) for name in ("glyphs", "cub200", "cars196", "sop")}
    assert {name: (options["beta"], options["p"]) for name, options in found.items()} == {
        "glyphs": (0.6, 0.2),
        "cub200": (0.6, 0.4),
        "cars196": (0.6, 0.35),
        "sop": (0.9, 0.15),
    }
    network, _ = build("r_margin")
    assert isinstance(network.method, RMargin)
    assert network.method.criterion.beta.tolist() == pytest.approx([0.6] * 6)
