"""The catalog's losses on pairs and triplets against a re-derivation in loops, with the default options."""

from __future__ import annotations

import math

import numpy as np
import pytest
from catalog_case import Case, Naive, case_of, lse, make, mean_of_positive, raw_vectors, relu, value_of

from oodml.methods.cards.library_record import LibraryLoss
from oodml.methods.cards.library_samples import LIBRARY_SAMPLES


def anchors(c: Case) -> list[int]:
    """Samples that have a positive."""
    return [i for i in range(len(c.y)) if c.positives(i)]


def circle(c: Case) -> float:
    values = []
    for i in anchors(c):
        pull = lse([-80 * relu(1.4 - c.s[i, p]) * (c.s[i, p] - 0.6) for p in c.positives(i)])
        push = lse([80 * relu(c.s[i, n] + 0.4) * (c.s[i, n] - 0.4) for n in c.negatives(i)])
        values.append(float(np.logaddexp(0, pull + push)))
    return mean_of_positive(values)


def supcon(c: Case) -> float:
    values = []
    for i in anchors(c):
        others = lse([c.s[i, j] / 0.1 for j in range(len(c.y)) if j != i])
        values.append(float(np.mean([others - c.s[i, p] / 0.1 for p in c.positives(i)])))
    return float(np.mean(values))


def ntxent(c: Case) -> float:
    values = []
    for a, p in c.pairs():
        share = math.exp(c.s[a, p] / 0.07)
        values.append(-math.log(share / (share + sum(math.exp(c.s[a, n] / 0.07) for n in c.negatives(a)))))
    return float(np.mean(values))


def nca(c: Case) -> float:
    values = []
    for i in anchors(c):
        weight = np.exp(-9 * c.d[i] ** 2)
        weight[i] = 0
        values.append(-math.log(weight[c.positives(i)].sum() / weight.sum()))
    return float(np.mean(values))


def noise(c: Case, i: int, j: int) -> float:
    return float(np.var(c.z[i] - c.z[j], ddof=1) / np.var(c.z[i], ddof=1))


def snr_contrastive(c: Case) -> float:
    pull = mean_of_positive([noise(c, a, p) for a, p, _ in c.triplets])
    violations = [1 - noise(c, a, n) for a, _, n in c.triplets]
    return pull + (mean_of_positive(violations) if max(violations) > 0 else 0.0)


def snr(c: Case) -> float:
    return mean_of_positive([noise(c, a, p) - noise(c, a, n) + 0.2 for a, p, n in c.triplets])


def tuplet_margin(c: Case) -> float:
    values = []
    for a, p in c.pairs():
        slack = math.cos(math.acos(c.s[a, p]) - math.radians(5.73))
        values.append(math.log(1 + sum(math.exp(64 * (c.s[a, n] - slack)) for n in c.negatives(a))))
    return float(np.mean(values))


def intra_pair_variance(c: Case) -> float:
    positive = [c.s[a, p] for a, p in c.pairs()]
    negative = [c.s[a, n] for a in range(len(c.y)) for n in c.negatives(a)]
    too_low = np.mean([relu(0.99 * np.mean(positive) - s) ** 2 for s in positive])
    too_high = np.mean([relu(s - 1.01 * np.mean(negative)) ** 2 for s in negative])
    return tuplet_margin(c) + 0.5 * float(too_low + too_high)


def threshold_consistent_margin(c: Case) -> float:
    total = 0.0
    for i in anchors(c):
        hardest_n = max(c.s[i, n] for n in c.negatives(i))
        hardest_p = min(c.s[i, p] for p in c.positives(i))
        pull = [math.exp(-2 * (c.s[i, p] - 0.5)) for p in c.positives(i) if c.s[i, p] - 0.1 < hardest_n]
        push = [math.exp(40 * (c.s[i, n] - 0.5)) for n in c.negatives(i) if c.s[i, n] + 0.1 > hardest_p]
        total += math.log(1 + sum(pull)) / 2 + math.log(1 + sum(push)) / 40
    far = [0.9 - c.s[a, p] for a, p in c.pairs()]
    close = [c.s[a, n] - 0.5 for a in range(len(c.y)) for n in c.negatives(a)]
    return total / len(c.y) + mean_of_positive(far) + mean_of_positive(close)


def triplet_differences(c: Case) -> list[float]:
    return [float(c.d[a, p] - min(c.d[a, n] for n in c.negatives(a))) for a, p in c.pairs()]


def histogram_of(values: list[float], bins: int = 12) -> list[float]:
    counts = [0.0] * bins
    for value in values:
        place, rest = divmod((value + 2) / 0.4, 1)
        counts[int(place)] += 1 - rest
        counts[int(place) + 1] += rest
    return counts


def weighted(values: list[float], histogram: list[float]) -> float:
    shares = np.cumsum(histogram) / np.sum(histogram)
    return float(np.mean([shares[math.floor((value + 2) / 0.4)] * value for value in values]))


def dynamic_soft_margin(c: Case) -> float:
    values = triplet_differences(c)
    return weighted(values, histogram_of(values))


def n_pair(c: Case) -> float:
    chosen: dict[int, tuple[int, int]] = {}
    for a, p in c.pairs():
        chosen.setdefault(c.y[a], (a, p))
    values = []
    for a, p in chosen.values():
        wrong = [c.x[a] @ c.x[q] - c.x[a] @ c.x[p] for _, q in chosen.values() if q != p]
        values.append(math.log(1 + sum(math.exp(v) for v in wrong)))
    return float(np.mean(values) + 0.005 * np.mean(np.linalg.norm(c.x, axis=1)))


def angular(c: Case) -> float:
    values = []
    for a, p in c.pairs():
        exponents = [4 * (c.z[a] + c.z[p]) @ c.z[n] - 4 * c.s[a, p] for n in c.negatives(a)]
        values.append(math.log(1 + sum(math.exp(v) for v in exponents)))
    return n_pair(c) + 2 * float(np.mean(values))


def lifted(c: Case) -> float:
    far = np.linalg.norm(c.x[:, None] - c.x[None], axis=2)
    values = [
        relu(lse([far[i, p] for p in c.positives(i)]) + lse([1 - far[i, n] for n in c.negatives(i)]))
        for i in range(len(c.y))
    ]
    return float(np.mean(values) + 0.005 * np.mean(np.linalg.norm(c.x, axis=1)))


def lifted_structure(c: Case) -> float:
    values = []
    for a, p in c.pairs():
        push = lse([1 - c.d[i, n] for i in (a, p) for n in c.negatives(i)])
        values.append(relu(push + c.d[a, p]) ** 2 / 2)
    return float(np.mean(values))


NAIVE: dict[str, Naive] = {
    "angular": angular,
    "circle": circle,
    "dynamic_soft_margin": dynamic_soft_margin,
    "intra_pair_variance": intra_pair_variance,
    "lifted": lifted,
    "lifted_structure": lifted_structure,
    "n_pair": n_pair,
    "nca": nca,
    "ntxent": ntxent,
    "snr": snr,
    "snr_contrastive": snr_contrastive,
    "supcon": supcon,
    "threshold_consistent_margin": threshold_consistent_margin,
    "tuplet_margin": tuplet_margin,
}


@pytest.mark.parametrize("record", LIBRARY_SAMPLES, ids=lambda record: record.name)
def test_the_loss_is_that_of_its_equation(record: LibraryLoss) -> None:
    method = make(record.name)
    expected = NAIVE[record.name](case_of(method))
    assert abs(expected) > 1e-3, "the batch shows nothing"
    assert value_of(method, raw_vectors()) == pytest.approx(expected, rel=2e-4)


def test_the_soft_margin_remembers_earlier_batches_a_little() -> None:
    method = make("dynamic_soft_margin")
    case = case_of(method)
    value_of(method, raw_vectors())
    second = -raw_vectors().roll(1, 0)
    z = (second / second.norm(dim=1, keepdim=True)).double().numpy()
    d = np.linalg.norm(z[:, None] - z[None], axis=2)
    values = triplet_differences(Case(case.x, z, case.y, z @ z.T, d, case.w, []))
    before = np.array(histogram_of(triplet_differences(case)))
    mixed = 0.99 * before / before.sum() + 0.01 * np.array(histogram_of(values))
    assert value_of(method, second) == pytest.approx(weighted(values, list(mixed)), rel=2e-4)
