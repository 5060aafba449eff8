"""The momentum contrast of DiVA: weights of keys, loss, queue, momentum network."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from method_case import WIDTH, Perceptron
from naive_losses import unit
from torch import Tensor, nn

from oodml.methods.dance import MomentumKeys, dance_loss, key_weights

GOLDEN = Path(__file__).parents[1] / "golden" / "diva_reference.npz"  # its source stands in test_decorrelation


def log_weight(d: float, dim: int) -> float:
    d = min(max(d, 0.5), 1.999)
    return (2 - dim) * math.log(d) - (dim - 3) / 2 * math.log(1 - d * d / 4)


def naive_weights(query: Tensor, queue: Tensor, published: bool) -> list[list[float]]:
    distances = [[math.dist(q, k) for k in queue.tolist()] for q in query.tolist()]
    logs = [[log_weight(d, query.shape[1]) for d in row] for row in distances]
    top = max(max(row) for row in logs)
    rows = []
    for row, ds in zip(logs, distances, strict=True):
        peak = top if published else max(w for w, d in zip(row, ds, strict=True) if d <= 1.4)
        rows.append([math.exp(w - peak) if d <= 1.4 else 0.0 for w, d in zip(row, ds, strict=True)])
    if published:
        rows = [[max(u, 1e-38) for u in row] for row in rows]
        columns = [sum(column) for column in zip(*rows, strict=True)]
        return [[u / c for u, c in zip(row, columns, strict=True)] for row in rows]
    return [[u / sum(row) for u in row] for row in rows]


def test_loss_and_gradient_equal_those_of_the_study() -> None:
    golden = {k.split("/")[1]: torch.from_numpy(v) for k, v in np.load(GOLDEN).items() if k.startswith("dance/")}
    query = golden["query"].clone().requires_grad_()
    loss = dance_loss(query, golden["key"], golden["queue"], float(golden["temperature"]), published=True)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(golden["loss"]), abs=1e-4)
    assert query.grad is not None
    torch.testing.assert_close(query.grad, golden["grad_query"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("published", [False, True])
def test_weights_and_loss_equal_those_of_loops(published: bool) -> None:
    query, key, queue = unit(5, 8, 0), unit(5, 8, 1), unit(30, 8, 2)
    wanted = naive_weights(query, queue, published)
    assert key_weights(query, queue, published).tolist() == [pytest.approx(row, abs=1e-5) for row in wanted]
    terms = []
    for i in range(5):
        logits = [float(query[i] @ key[i]) / 0.1]
        logits += [wanted[i][j] * float(query[i] @ queue[j]) / 0.1 for j in range(30)]
        terms.append(math.log(sum(math.exp(x) for x in logits)) - logits[0])
    assert float(dance_loss(query, key, queue, 0.1, published)) == pytest.approx(np.mean(terms), abs=1e-4)


def test_rows_sum_to_one_and_published_columns_do() -> None:
    query, queue = unit(7, 16, 0), unit(40, 16, 1)
    ones = torch.ones(40)
    torch.testing.assert_close(key_weights(query, queue).sum(1), ones[:7])
    torch.testing.assert_close(key_weights(query, queue, published=True).sum(0), ones)


def test_keys_beyond_the_cutoff_count_only_where_all_are() -> None:
    query = torch.tensor([[1.0, 0, 0, 0], [0, -1.0, 0, 0]])
    queue = torch.tensor([[0, 1.0, 0, 0], [0.8, 0.6, 0, 0], [0, 1.0, 0, 0]])  # distances sqrt 2, sqrt 0.4; 2, ...
    assert key_weights(query, queue)[0].tolist() == [0, 1, 0]
    assert key_weights(query, queue)[1].tolist() == pytest.approx([1 / 3] * 3)
    assert key_weights(query, queue, published=True).isfinite().all()


def test_weights_carry_no_gradient() -> None:
    query, queue = unit(4, 8, 0).requires_grad_(), unit(9, 8, 1)
    assert not key_weights(query, queue).requires_grad
    weights = key_weights(query, queue)
    logits = torch.cat([(query * query.detach()).sum(1, keepdim=True), query @ queue.T * weights], 1) / 0.5
    (wanted,) = torch.autograd.grad((torch.logsumexp(logits, 1) - logits[:, 0]).mean(), query)
    (found,) = torch.autograd.grad(dance_loss(query, query.detach(), queue, 0.5), query)
    torch.testing.assert_close(found, wanted)


def momentum_keys(length: int = 6) -> tuple[Perceptron, nn.Linear, MomentumKeys]:
    torch.manual_seed(0)
    backbone, head = Perceptron(), nn.Linear(Perceptron.num_features, 3)
    return backbone, head, MomentumKeys(backbone, head, length, momentum=0.9)


def test_the_first_keys_in_are_the_first_out() -> None:
    _, _, keys = momentum_keys()
    stream = unit(40, 3, 0)
    done = 0
    for size in (4, 4, 1, 6, 9, 2):  # batches shorter and longer than the queue
        keys.push(stream[done : done + size])
        done += size
        wanted = torch.cat([torch.zeros(6, 3), stream[:done]])[-6:]
        assert keys.queue.shape == (6, 3) and torch.equal(keys.queue, wanted)


def test_the_momentum_update_is_exact() -> None:
    backbone, head, keys = momentum_keys()
    old = [p.clone() for p in (*keys.backbone.parameters(), *keys.head.parameters())]
    assert all(torch.equal(a, b) for a, b in zip(old, [*backbone.parameters(), *head.parameters()], strict=True))
    with torch.no_grad():
        for parameter in (*backbone.parameters(), *head.parameters()):
            parameter.add_(torch.randn_like(parameter))
    new = [p.detach().clone() for p in (*backbone.parameters(), *head.parameters())]
    keys.update(backbone, head)
    keys.update(backbone, head)
    for before, target, found in zip(old, new, [*keys.backbone.parameters(), *keys.head.parameters()], strict=True):
        torch.testing.assert_close(found, 0.9 * (0.9 * before + 0.1 * target) + 0.1 * target, atol=1e-6, rtol=0)
    originals = [*backbone.parameters(), *head.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(new, originals, strict=True))


def test_keys_are_unit_and_without_gradient_and_nothing_of_them_trains() -> None:
    backbone, head, keys = momentum_keys()
    inputs = torch.randn(5, WIDTH, requires_grad=True)
    found = keys(inputs)
    assert not found.requires_grad and not any(p.requires_grad for p in keys.parameters())
    assert found.norm(dim=1).tolist() == pytest.approx([1.0] * 5)
    torch.testing.assert_close(found, nn.functional.normalize(head(backbone(inputs).pooled), dim=1))
    assert all(p.requires_grad for p in backbone.parameters())
