"""prototypes, teen and tip: anchors that draw the queries."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from adapter_case import adapter, problems, recall, trained, with_embeddings
from numpy.typing import NDArray

from oodml.adapters.base import Problem
from oodml.adapters.support import class_means, deviations, number_within, unit
from oodml.adapters.teen import calibrated
from oodml.adapters.tip import cache_evidence
from oodml.errors import UsageError

PULLS = ["prototypes", "teen", "tip"]


def unit_row(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(x / np.sqrt(sum(value * value for value in x)))


def naive(problem: Problem, weight: float, temperature: float, alpha: float = 0, beta: float = 0) -> list[list[float]]:
    """prototypes (alpha = 0) or tip in loops, in float64."""
    z = problem.model.embeddings.double().numpy()
    rows = []
    for query in problem.queries:
        logits, anchors = [], []
        for images in problem.support:
            anchor = unit_row(np.asarray(sum(unit_row(z[image]) for image in images)) / len(images))
            evidence = 0.0
            for image in images:
                evidence += math.exp(-beta * (1 - unit_row(z[image]) @ unit_row(z[query])))
            logits.append(unit_row(z[query]) @ anchor / temperature + alpha * evidence)
            anchors.append(anchor)
        shares = [math.exp(value - max(logits)) for value in logits]
        pulled = unit_row(z[query]).copy()
        for share, anchor in zip(shares, anchors, strict=True):
            pulled += weight * share / sum(shares) * anchor
        rows.append(list(unit_row(pulled)))
    return rows


def unit_problem() -> Problem:
    return problems(trained("margin"), 3, 1)[0]


def hand_problem() -> Problem:
    """Two classes at right angles in a plane, one shot each, one query between them and one on the first."""
    half = math.sqrt(0.5)
    z = np.array([[1, 0], [0, 1], [half, half], [1, 0]], np.float32)
    model = with_embeddings(z, np.array([0, 1, 0, 0]))
    model.__dict__["base_means"] = torch.tensor([[0.0, 2.0], [-1.0, 0.0]])
    return Problem(model, 1, 0, np.array([[0], [1]]), np.arange(2), np.array([2, 3]))


def test_small_helpers_give_a_table_worked_by_hand() -> None:
    support = torch.tensor([[[1.0, 0.0], [3.0, 0.0]], [[0.0, 2.0], [0.0, 6.0]]])
    assert class_means(support).tolist() == [[2, 0], [0, 4]]
    assert deviations(support).tolist() == [[-1, 0], [1, 0], [0, -2], [0, 2]]
    assert unit(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0]]


@pytest.mark.parametrize("value", [-1.0, float("nan"), 1.5, None])
def test_an_option_out_of_range_is_refused_by_name(value: float | None) -> None:
    with pytest.raises(UsageError, match="mix must be between 0 and 1"):
        number_within({"mix": value}, "mix", 0, 1)
    with pytest.raises(UsageError, match="temperature must be at least"):
        adapter("prototypes", temperature=0.0)


def test_a_pull_worked_by_hand() -> None:
    # temperature 1 / ln 4: the query on the first anchor has cosines 1 and 0, shares 4 / 5 and 1 / 5
    z = adapter("prototypes", weight=1.0, temperature=1 / math.log(4)).adapt_one(hand_problem())
    assert np.allclose(z[0], [math.sqrt(0.5), math.sqrt(0.5)])
    assert np.allclose(z[1], np.array([1.8, 0.2]) / math.hypot(1.8, 0.2))


@pytest.mark.parametrize("weight", [0.3, 2.0])
def test_prototypes_agree_with_loops(weight: float) -> None:
    problem = unit_problem()
    z = adapter("prototypes", weight=weight, temperature=0.1).adapt_one(problem)
    assert np.allclose(z, naive(problem, weight, 0.1), atol=1e-5)


def test_tip_agrees_with_loops() -> None:
    problem = unit_problem()
    z = adapter("tip", weight=0.7, temperature=0.2, alpha=1.5, beta=3.0).adapt_one(problem)
    assert np.allclose(z, naive(problem, 0.7, 0.2, 1.5, 3.0), atol=1e-5)
    assert not np.allclose(z, naive(problem, 0.7, 0.2, 0.5, 3.0), atol=1e-3)


def test_cache_evidence_worked_by_hand() -> None:
    support = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [-1.0, 0.0]]])
    found = cache_evidence(torch.tensor([[1.0, 0.0]]), support, math.log(2))
    assert np.allclose(found, [[2.0, 1 / 2 + 1 / 4]])


def test_calibration_worked_by_hand() -> None:
    base = torch.tensor([[0.0, 2.0], [-1.0, 0.0]])
    found = calibrated(torch.tensor([[0.0, 3.0]]), base, alpha=0.5, tau=math.log(3))  # cosines 1, 0: shares 3/4, 1/4
    assert np.allclose(found, [[-0.125, 1.5 + 0.75]])


def test_teen_draws_to_calibrated_anchors() -> None:
    # tau 0 weighs all training classes alike: their mean is (-1/2, 1), and half of it is added to half of each anchor
    z = adapter("teen", alpha=0.5, tau=0.0, weight=1.0, temperature=1e4).adapt_one(hand_problem())
    anchors = [unit_row(np.array([0.25, 0.5])), unit_row(np.array([-0.25, 1.0]))]
    assert np.allclose(z[1], unit_row(np.array([1.0, 0.0]) + (anchors[0] + anchors[1]) / 2), atol=1e-4)


@pytest.mark.parametrize("name", PULLS)
def test_without_weight_nothing_changes(name: str) -> None:
    problem = unit_problem()
    assert torch.equal(adapter(name, weight=0.0).adapt_one(problem), adapter("none").adapt_one(problem))


@pytest.mark.parametrize("name", ["teen", "tip"])
def test_the_options_that_turn_a_variant_off_give_prototypes(name: str) -> None:
    problem, off = unit_problem(), {"teen": 1.0, "tip": 0.0}[name]
    plain = adapter("prototypes").adapt_one(problem)
    assert torch.allclose(adapter(name, alpha=off).adapt_one(problem), plain, atol=1e-6)
    assert not torch.allclose(adapter(name).adapt_one(problem), plain, atol=1e-3)


@pytest.mark.parametrize("name", PULLS)
def test_rows_have_unit_length_and_lengths_before_do_not_matter(name: str) -> None:
    problem = unit_problem()
    z = adapter(name).adapt_one(problem)
    assert torch.allclose(z.norm(dim=1), torch.ones(len(z)), atol=1e-6)
    longer = with_embeddings(problem.model.embeddings.numpy() * 7, problem.model.labels)
    longer.__dict__["base_means"] = problem.model.base_means * 7
    assert torch.allclose(adapter(name).adapt_one(replace(problem, model=longer)), z, atol=1e-5)


@pytest.mark.parametrize("name", PULLS)
def test_the_order_of_the_support_does_not_matter(name: str) -> None:
    problem = unit_problem()
    turned = replace(problem, support=problem.support[::-1, ::-1].copy(), classes=problem.classes[::-1])
    assert torch.allclose(adapter(name).adapt_one(turned), adapter(name).adapt_one(problem), atol=1e-5)


@pytest.mark.parametrize("name", PULLS)
def test_scattered_classes_are_found_more_often(name: str) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(20), 30)
    z = (rng.normal(size=(20, 64))[labels] + 2.2 * rng.normal(size=(600, 64))).astype(np.float32)
    model = with_embeddings(z, labels)
    model.__dict__["base_means"] = torch.from_numpy(rng.normal(size=(30, 64)).astype(np.float32))
    problem = problems(model, 5, 1)[0]
    before, after = (recall(problem, adapter(which).adapt_one(problem)) for which in ("none", name))
    assert after > before + 0.03
