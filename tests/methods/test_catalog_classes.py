"""The catalog's losses on class vectors, rankings and distributions against a re-derivation in loops."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from catalog_case import Array, Case, Naive, case_of, cross_entropy, make, raw_vectors, value_of

from oodml.methods.cards.library_classes import LIBRARY_CLASSES
from oodml.methods.cards.library_rankings import LIBRARY_RANKINGS
from oodml.methods.cards.library_record import LibraryLoss


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(min(-value, 500)))


def proxy_nca(c: Case) -> float:
    return cross_entropy(-9 * (2 - 2 * c.logits()), c.y)


def soft_triple(c: Case) -> float:
    cosines = c.logits().reshape(len(c.y), -1, 2)
    soft = np.exp(cosines / 0.1)
    similarity = (soft / soft.sum(2, keepdims=True) * cosines).sum(2)
    for i, y in enumerate(c.y):
        similarity[i, y] -= 0.01
    unit = c.w / np.linalg.norm(c.w, axis=1, keepdims=True)
    apart = [np.linalg.norm(unit[2 * k] - unit[2 * k + 1]) for k in range(len(unit) // 2)]
    return cross_entropy(8 * similarity, c.y) + 0.2 * float(np.mean(apart)) / 2


def hinge_over_proxies(values: Array, own: list[int]) -> float:
    losses = []
    for row, y in zip(values, own, strict=True):
        ahead = [row[k] - row[y] + 0.01 for k in range(len(row)) if k != y]
        losses.append(math.log(1 + sum(math.exp(v) for v in ahead if v >= 0)))
    return float(np.mean(losses))


def manifold(c: Case) -> float:
    own = make("manifold").losses[0].get_buffer("groups")[c.y].tolist()
    assert len(set(own)) == len(set(c.y))  # fewer classes than proxies: one each
    nodes = np.concatenate([c.z, c.w / np.linalg.norm(c.w, axis=1, keepdims=True)])
    n = len(nodes)
    graph = np.array([[math.exp(2 * max(0.0, nodes[i] @ nodes[j])) * (i != j) for j in range(n)] for i in range(n)])
    degree = graph.sum(1)
    walk, reach = np.eye(n), np.eye(n)
    for _ in range(400):  # the sum that the inverse stands for
        walk = walk @ (0.8 * graph / np.sqrt(degree[:, None] * degree))
        reach = reach + walk
    reach *= 0.2
    rows = reach / np.linalg.norm(reach, axis=1, keepdims=True)
    b = len(c.y)
    return hinge_over_proxies(reach[:b, b:], own) + hinge_over_proxies(rows[:b] @ rows[b:].T, own)


def cosface(c: Case) -> float:
    logits = c.logits()
    for i, y in enumerate(c.y):
        logits[i, y] -= 0.35
    return cross_entropy(64 * logits, c.y)


def sub_center_arcface(c: Case) -> float:
    logits = c.logits().reshape(len(c.y), -1, 3).max(2)
    margin = math.radians(28.6)
    for i, y in enumerate(c.y):
        angle = math.acos(logits[i, y])
        beyond = angle + margin > math.pi
        logits[i, y] = math.cos(angle) - margin * math.sin(margin) if beyond else math.cos(angle + margin)
    return cross_entropy(64 * logits, c.y)


def multiplied(c: Case, w_norms: Array) -> float:
    cosines = c.logits()
    for i, y in enumerate(c.y):
        angle = math.acos(cosines[i, y])
        k = math.floor(4 * angle / math.pi)
        cosines[i, y] = (-1) ** k * math.cos(4 * angle) - 2 * k
    return cross_entropy(16 * cosines * w_norms, c.y)


def large_margin_softmax(c: Case) -> float:
    return multiplied(c, np.linalg.norm(c.w, axis=1))


def sphereface(c: Case) -> float:
    return multiplied(c, np.ones(len(c.w)))


def p2s_grad(c: Case) -> float:
    return float(np.mean((c.logits() - np.eye(len(c.w))[c.y]) ** 2))


def fast_ap(c: Case) -> float:
    values = []
    for q in range(len(c.y)):
        if not c.positives(q):
            continue
        inside = positives_inside = 0.0
        total = 0.0
        for node in range(11):
            soft = [max(0.0, 1 - abs(d**2 - 0.4 * node) / 0.4) for d in c.d[q]]
            hits = sum(soft[p] for p in c.positives(q))
            positives_inside += hits
            inside += hits + sum(soft[n] for n in c.negatives(q))
            total += hits * positives_inside / inside if inside else 0.0
        values.append(1 - total / len(c.positives(q)))
    return float(np.mean(values))


def smooth_ap(c: Case) -> float:
    values = []
    for q in range(len(c.y)):
        own = [q, *c.positives(q)]
        shares = []
        for i in own:
            rank = 1 + sum(sigmoid((c.s[q, j] - c.s[q, i]) / 0.01) for j in range(len(c.y)) if j != i)
            among = 1 + sum(sigmoid((c.s[q, j] - c.s[q, i]) / 0.01) for j in own if j != i)
            shares.append(among / rank)
        values.append(1 - np.mean(shares))
    return float(np.mean(values))


def before(c: Case) -> list[list[float]]:
    """Soft numbers of negatives before each positive of each query."""
    return [
        [sum(sigmoid((c.s[q, n] - c.s[q, p]) / 0.01) for n in c.negatives(q)) for p in [q, *c.positives(q)]]
        for q in range(len(c.y))
    ]


def pnp(c: Case) -> float:
    return float(np.mean([np.mean(counts) for counts in before(c)]))


def ranked_list(c: Case) -> float:
    values = []
    for i in range(len(c.y)):
        far = [c.d[i, p] - 0.8 for p in c.positives(i) if c.d[i, p] > 0.8]
        near = [1.2 - c.d[i, n] for n in c.negatives(i) if c.d[i, n] < 1.2]
        weights = [math.exp(10 * v) for v in near]
        small = 1e-5 * len(c.y)  # the library adds it to every weight, zeros too
        push = sum(w * v for w, v in zip(weights, near, strict=True)) / (sum(weights) + small)
        values.append(0.5 * sum(far) / (len(far) + small) + 0.5 * push)
    return float(np.mean(values))


def soft_histogram(values: list[float]) -> Array:
    nodes = [sum(max(0.0, 1 - abs(v - (-1 + r / 32)) * 32) for v in values) for r in range(65)]
    return np.array(nodes) / len(values)


def histogram(c: Case) -> float:
    below = [(i, j) for i in range(len(c.y)) for j in range(i)]
    positive = soft_histogram([c.s[i, j] for i, j in below if c.y[i] == c.y[j]])
    negative = soft_histogram([c.s[i, j] for i, j in below if c.y[i] != c.y[j]])
    return float(sum(negative[r] * positive[: r + 1].sum() for r in range(65)))


def instance(c: Case) -> float:
    return cross_entropy(64 * c.s, [c.y.index(y) for y in c.y])


NAIVE: dict[str, Naive] = {
    "cosface": cosface,
    "fast_ap": fast_ap,
    "histogram": histogram,
    "instance": instance,
    "large_margin_softmax": large_margin_softmax,
    "manifold": manifold,
    "p2s_grad": p2s_grad,
    "pnp": pnp,
    "proxy_nca": proxy_nca,
    "ranked_list": ranked_list,
    "smooth_ap": smooth_ap,
    "soft_triple": soft_triple,
    "sphereface": sphereface,
    "sub_center_arcface": sub_center_arcface,
}


@pytest.mark.parametrize("record", [*LIBRARY_CLASSES, *LIBRARY_RANKINGS], ids=lambda record: record.name)
def test_the_loss_is_that_of_its_equation(record: LibraryLoss) -> None:
    method = make(record.name)
    expected = NAIVE[record.name](case_of(method))
    assert expected > 1e-3, "the batch shows nothing"
    assert value_of(method, raw_vectors()) == pytest.approx(expected, rel=2e-4)


@pytest.mark.parametrize(
    ("variant", "cost"),
    [
        ("Ds", lambda r: math.log(1 + r)),
        ("Dq", lambda r: 1 - (1 + r) ** -4),
        ("Iu", lambda r: (1 + r) * math.log(1 + r)),
        ("Ib", lambda r: (3 * r - math.log(1 + 3 * r)) / 9),
    ],
)
def test_variants_of_pnp_bend_the_number_of_negatives(variant: str, cost: Callable[[float], float]) -> None:
    method = make("pnp", variant=variant, alpha=4.0, b=3.0)
    expected = np.mean([np.mean([cost(r) for r in counts]) for counts in before(case_of(method))])
    assert value_of(method, raw_vectors()) == pytest.approx(expected, rel=2e-4)
