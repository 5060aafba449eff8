"""Mining: which triplets, with which probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from oodml.methods.mining import (
    Triplets,
    distance_weighted,
    inverse_density,
    random_positives,
    rho_regularised,
    semihard,
    uniform_draws,
    weighted_draws,
)

Miner = Callable[[torch.Tensor, torch.Tensor, torch.Generator], Triplets]


def unit(n: int, dim: int, seed: int = 0) -> torch.Tensor:
    return functional.normalize(torch.randn(n, dim, generator=torch.Generator().manual_seed(seed)), dim=1)


KNOWN = [(0.5, 369.9), (0.8, 158.2), (1.0, 73.2), (1.2, 20.6), (1.4, -0.2), (1.5, 3.6), (1.6, 20.3), (1.8, 122.9)]
"""Values of the published weighting; distances below .5 count as .5."""


def log_weight(d: float, dim: int) -> float:
    d = min(max(d, 0.5), 1.999)
    return (2 - dim) * math.log(d) - (dim - 3) / 2 * math.log(1 - d * d / 4)


@pytest.mark.parametrize(("d", "expected"), [*KNOWN, (0.1, 369.9)])
def test_the_density_of_distances_has_its_known_values(d: float, expected: float) -> None:
    assert float(inverse_density(torch.tensor(d), 512)) == pytest.approx(expected, abs=0.1)


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
    draws = torch.stack([distance_weighted(z, labels, generator)[2] for _ in range(1500)])
    for anchor in range(6):
        others = [j for j in range(6) if labels[j] != labels[anchor]]
        weights = [math.exp(log_weight(float((z[anchor] - z[j]).norm()), 8)) for j in others]
        for j, weight in zip(others, weights, strict=True):
            seen = float((draws[:, anchor] == j).float().mean())
            assert seen == pytest.approx(weight / sum(weights), abs=0.06)


def test_one_close_pair_does_not_silence_the_other_anchors() -> None:
    z = unit(24, 512)
    z[5] = functional.normalize(z[0] + 0.01 * z[5], dim=0)
    labels = torch.arange(12).repeat_interleave(2)
    a, _, n = distance_weighted(z, labels, torch.Generator().manual_seed(0))
    assert len(a) == 24
    assert n[0] == 5  # at this dimension a close negative takes all the weight


def test_there_is_no_pole_at_opposite_points() -> None:
    assert inverse_density(torch.tensor([2.0]), 512).isfinite().all()
    z = torch.stack([torch.eye(8)[0], torch.eye(8)[0], -torch.eye(8)[0]])
    assert distance_weighted(z, torch.tensor([0, 0, 1]), torch.Generator())[2][:2].tolist() == [2, 2]


def test_weighted_draws_follow_the_softmax_of_each_row_however_large_its_weights_are() -> None:
    rows = torch.tensor(
        [[0.0, 1.0, 2.0, -torch.inf], [300.0, 301.0, -300.0, 300.5], [-400.0, -torch.inf, -401.0, -400]]
    )
    count = 60_000
    drawn = weighted_draws(rows.repeat(count, 1), torch.Generator().manual_seed(0)).view(count, 3)
    for position, row in enumerate(rows.tolist()):
        weights = [math.exp(w - max(row)) for w in row]
        for column, weight in enumerate(weights):
            share = weight / sum(weights)
            seen = float((drawn[:, position] == column).float().mean())
            assert abs(seen - share) <= 5 * math.sqrt(share * (1 - share) / count)


def test_uniform_draws_are_uniform_over_the_allowed_columns_of_each_row() -> None:
    allowed = torch.tensor([[0, 1, 0, 1, 1, 0], [1, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0]]).bool()
    count = 60_000
    drawn = uniform_draws(allowed.repeat(count, 1), torch.Generator().manual_seed(0)).view(count, 4)
    for position, row in enumerate(allowed[:3].tolist()):
        for column, may in enumerate(row):
            share = may / sum(row)
            seen = float((drawn[:, position] == column).float().mean())
            assert abs(seen - share) <= 5 * math.sqrt(share * (1 - share) / count)
    assert not drawn[:, 3].any()


@pytest.mark.parametrize("mine", [distance_weighted, lambda z, y, g: semihard(z, y, g, 0.2)])
def test_positives_are_uniform_over_the_other_members(mine: Miner) -> None:
    z, labels = unit(9, 8), torch.tensor([0, 1, 0, 1, 0, 1, 0, 1, 0])
    generator = torch.Generator().manual_seed(2)
    drawn = torch.stack([mine(z, labels, generator)[1] for _ in range(700)])
    for anchor in range(9):
        others = [j for j in range(9) if labels[j] == labels[anchor] and j != anchor]
        seen = [float((drawn[:, anchor] == j).float().mean()) for j in others]
        assert sum(seen) == pytest.approx(1)
        assert seen == pytest.approx([1 / len(others)] * len(others), abs=0.1)


def test_positives_and_negatives_are_drawn_independently() -> None:
    z, labels, generator = unit(6, 3), torch.tensor([0, 0, 0, 1, 1, 1]), torch.Generator().manual_seed(0)
    joint = torch.zeros(6, 6, 6)
    for _ in range(1500):
        joint[distance_weighted(z, labels, generator)] += 1
    joint /= 1500
    expected = joint.sum(2)[:, :, None] * joint.sum(1)[:, None, :]
    assert (joint - expected).abs().max() < 0.05
    assert (joint > 0).sum() == 6 * 2 * 3


def test_probability_one_gives_only_pairs_of_a_class_that_are_pushed_apart() -> None:
    labels = torch.arange(8).repeat_interleave(3)
    a, p, n = rho_regularised(unit(24, 16), labels, torch.Generator().manual_seed(0), 1.0)
    assert a.tolist() == p.tolist() == list(range(24))
    assert (labels[n] == labels[a]).all() and (n != a).all()


def test_the_pushed_member_is_uniform_over_the_other_members() -> None:
    z, labels, generator = unit(4, 8), torch.tensor([0, 0, 0, 1]), torch.Generator().manual_seed(0)
    drawn = torch.stack([rho_regularised(z, labels, generator, 1.0)[2] for _ in range(700)])
    for anchor in range(3):
        for j in {0, 1, 2} - {anchor}:
            assert float((drawn[:, anchor] == j).float().mean()) == pytest.approx(0.5, abs=0.1)


def test_probability_zero_equals_the_distance_weighted_miner() -> None:
    z, labels = unit(24, 16), torch.arange(8).repeat_interleave(3)
    plain = distance_weighted(z, labels, torch.Generator().manual_seed(5))
    regularised = rho_regularised(z, labels, torch.Generator().manual_seed(5), 0.0)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(regularised, plain, strict=True))


def test_the_share_of_pushed_triplets_is_the_probability_and_the_others_are_distance_weighted() -> None:
    z, labels = unit(240, 16), torch.arange(60).repeat_interleave(4)
    generator = torch.Generator().manual_seed(0)
    pushed, count = 0, 20
    for _ in range(count):
        a, p, n = rho_regularised(z, labels, generator, 0.35)
        assert a.tolist() == list(range(240))
        own = p == a
        pushed += int(own.sum())
        assert torch.equal(own, labels[n] == labels[a])
        assert (labels[p] == labels[a]).all() and (n != a).all()
    assert pushed / (240 * count) == pytest.approx(0.35, abs=5 * math.sqrt(0.35 * 0.65 / (240 * count)))


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_the_rho_miner_skips_anchors_without_another_member(probability: float) -> None:
    labels = torch.tensor([0, 1, 1, 2, 3, 3, 3])
    a, _, n = rho_regularised(unit(7, 8), labels, torch.Generator().manual_seed(0), probability)
    assert a.tolist() == [1, 2, 4, 5, 6]
    assert len(n) == 5
    nobody = rho_regularised(unit(3, 8), torch.arange(3), torch.Generator(), probability)
    assert all(len(part) == 0 for part in nobody)


def test_the_rho_miner_pushes_apart_within_a_batch_of_one_class_but_has_no_negatives() -> None:
    z, labels = unit(200, 8), torch.zeros(200, dtype=torch.long)
    a, p, n = rho_regularised(z, labels, torch.Generator().manual_seed(0), 0.3)
    assert 30 < len(a) < 90 and torch.equal(a, p) and (n != a).all()


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
