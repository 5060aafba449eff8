"""Mining: which triplets, with which probabilities."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from oodml.methods.mining import distance_weighted, random_positives, semihard


def unit(n: int, dim: int, seed: int = 0) -> torch.Tensor:
    return functional.normalize(torch.randn(n, dim, generator=torch.Generator().manual_seed(seed)), dim=1)


def log_weight(d: float, dim: int) -> float:
    d = min(max(d, 0.5), 1.999)
    return (2 - dim) * math.log(d) - (dim - 3) / 2 * math.log(1 - d * d / 4)


@pytest.mark.parametrize(("d", "expected"), [(0.5, 369.9), (0.8, 158.2), (1.0, 73.2), (1.2, 20.6), (1.6, 20.3)])
def test_the_density_of_distances_has_its_known_values(d: float, expected: float) -> None:
    assert log_weight(d, 512) == pytest.approx(expected, abs=0.1)  # values of the published weighting


def test_every_sample_is_anchor_once_and_roles_have_the_right_classes() -> None:
    labels = torch.arange(8).repeat_interleave(3)
    generator = torch.Generator().manual_seed(0)
    for mine in (distance_weighted, lambda z, y, g: semihard(z, y, g, 0.2)):
        a, p, n = mine(unit(24, 16), labels, generator)
        assert a.tolist() == list(range(24))
        assert (labels[p] == labels[a]).all() and (p != a).all()
        assert (labels[n] != labels[a]).all()


def test_negatives_follow_the_inverse_density() -> None:
    z, labels = unit(6, 8, seed=3), torch.tensor([0, 0, 1, 1, 2, 2])
    generator = torch.Generator().manual_seed(1)
    draws = torch.stack([distance_weighted(z, labels, generator)[2] for _ in range(4000)])
    for anchor in range(6):
        others = [j for j in range(6) if labels[j] != labels[anchor]]
        weights = [math.exp(log_weight(float((z[anchor] - z[j]).norm()), 8)) for j in others]
        for j, weight in zip(others, weights, strict=True):
            seen = float((draws[:, anchor] == j).float().mean())
            assert seen == pytest.approx(weight / sum(weights), abs=0.03)


def test_one_close_pair_does_not_silence_the_other_anchors() -> None:
    z = unit(24, 512)
    z[5] = functional.normalize(z[0] + 0.01 * z[5], dim=0)
    labels = torch.arange(12).repeat_interleave(2)
    a, _, n = distance_weighted(z, labels, torch.Generator().manual_seed(0))
    assert len(a) == 24
    assert n[0] == 5  # at this dimension a close negative takes all the weight


def test_semihard_negatives_lie_in_the_band_where_there_are_any() -> None:
    z, labels = unit(40, 4, seed=1), torch.arange(10).repeat_interleave(4)
    a, p, n = semihard(z, labels, torch.Generator().manual_seed(0), margin=0.3)
    for i, j, k in zip(a.tolist(), p.tolist(), n.tolist(), strict=True):
        d_ap, d_an = float((z[i] - z[j]).norm()), float((z[i] - z[k]).norm())
        others = [float((z[i] - z[m]).norm()) for m in range(40) if labels[m] != labels[i]]
        if any(d_ap < d < d_ap + 0.3 for d in others):
            assert d_ap < d_an + 1e-6 and d_an < d_ap + 0.3 + 1e-6


def test_a_batch_of_one_class_gives_no_triplet() -> None:
    z, labels = unit(4, 8), torch.zeros(4, dtype=torch.long)
    for found in (
        distance_weighted(z, labels, torch.Generator()),
        semihard(z, labels, torch.Generator(), 0.2),
    ):
        assert all(len(part) == 0 for part in found)


def test_a_lonely_anchor_is_its_own_positive() -> None:
    labels = torch.tensor([0, 1, 1])
    same = labels[:, None] == labels[None, :]
    assert random_positives(same, torch.Generator()).tolist() == [0, 2, 1]
