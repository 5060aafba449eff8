"""whitening, lda and ridge: linear maps from the support in closed form."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from adapter_case import adapter, problems, recall, trained, with_embeddings
from numpy.typing import NDArray
from torch import Tensor

from oodml.adapters.base import Problem
from oodml.adapters.lda import main_directions
from oodml.adapters.ridge import ridge_weights
from oodml.adapters.whitening import LEAST, best_shrinkage, shrinkage_of, whitener
from oodml.errors import UsageError

PROJECTIONS = ["whitening", "lda", "ridge"]
Rows = NDArray[np.float64]


def support_like(classes: int, shots: int, dim: int) -> Tensor:
    rng = np.random.default_rng(3)
    scale = np.linspace(0.2, 3, dim)
    x = rng.normal(size=(classes, 1, dim)) + scale * rng.normal(size=(classes, shots, dim))
    return torch.from_numpy(x.astype(np.float32))


def cosines(z: Tensor) -> Tensor:
    z = torch.nn.functional.normalize(z, dim=1)
    return z @ z.T


def small_problem(shots: int = 3, **options: Any) -> Problem:
    return problems(trained("margin"), shots, 1, **options)[0]


def nuisance_problem(shots: int) -> Problem:
    """20 classes apart in 12 of 32 dimensions, whose images differ most in 6 others."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(20), 30)
    turn = np.linalg.qr(rng.normal(size=(32, 32)))[0]
    centres = np.concatenate([rng.normal(size=(20, 12)), np.zeros((20, 20))], 1)
    scale = np.concatenate([np.full(12, 0.5), np.full(6, 3.0), np.full(14, 0.3)])
    z = (centres[labels] + scale * rng.normal(size=(600, 32))) @ turn + 2 * rng.normal(size=32)
    return problems(with_embeddings(z.astype(np.float32), labels), shots, 1)[0]


def naive_covariance(support: Tensor) -> Rows:
    x = support.double().numpy()
    classes, shots, dim = x.shape
    total = np.zeros((dim, dim))
    for one in x:
        mean = sum(one) / shots
        for row in one:
            total += np.outer(row - mean, row - mean)
    return np.asarray(total / (classes * (shots - 1)))


@pytest.mark.parametrize("shots", [2, 5])
@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_the_whitener_inverts_the_shrunk_covariance(shots: int, share: float) -> None:
    support = support_like(6, shots, 8)
    s = naive_covariance(support)
    shrunk = (1 - share) * s + share * np.trace(s) / 8 * np.eye(8)
    w = whitener(support, share).numpy()
    assert np.allclose(w.T @ shrunk @ w, np.trace(s) / 8 * np.eye(8), atol=1e-6)


def test_automatic_shrinkage_is_the_published_formula() -> None:
    support, freedom = support_like(10, 4, 6), 30
    s = naive_covariance(support)
    values = np.linalg.eigvalsh(s)
    square, trace = sum(values**2), sum(values)
    share = ((1 - 2 / 6) * square + trace**2) / ((freedom + 1 - 2 / 6) * (square - trace**2 / 6))
    assert 0.03 < share < 0.3
    assert best_shrinkage(torch.from_numpy(s), freedom) == pytest.approx(share)
    assert torch.allclose(whitener(support, None), whitener(support, share))


def test_automatic_shrinkage_falls_with_images_and_is_whole_for_a_sphere() -> None:
    s = torch.diag(torch.tensor([4.0, 1.0, 1.0], dtype=torch.float64))
    few, many = best_shrinkage(s, 20), best_shrinkage(s, 2000)
    assert 0 < many < few / 50 < 0.02
    assert best_shrinkage(torch.eye(3, dtype=torch.float64), 10**6) == 1


def test_automatic_shrinkage_comes_near_the_truth() -> None:
    """With few images, the shrunk covariance is nearer to the true one than S and than the identity."""
    scale = torch.linspace(0.2, 3, 30, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    x = scale * torch.randn(10, 3, 30, generator=generator, dtype=torch.float64)
    s = torch.from_numpy(naive_covariance(x))
    share = best_shrinkage(s, 20)
    error = {
        a: float(((1 - a) * s + a * s.trace() / 30 * torch.eye(30) - scale.square().diag()).norm())
        for a in (0.0, share, 1.0)
    }
    assert error[share] < 0.9 * min(error[0.0], error[1.0])


@pytest.mark.parametrize(("value", "share"), [("auto", None), ("0.25", 0.25), ("0", 0.0), ("1", 1.0)])
def test_shrinkage_is_auto_or_a_number(value: str, share: float | None) -> None:
    assert shrinkage_of(value) == share


@pytest.mark.parametrize("value", ["much", "-0.1", "1.5", "nan", ""])
def test_another_shrinkage_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="shrinkage must be auto or a number between 0 and 1"):
        shrinkage_of(value)
    for name in ("whitening", "lda"):
        with pytest.raises(UsageError, match="shrinkage"):
            adapter(name, shrinkage=value)


def test_fewer_images_than_dimensions_can_be_whitened_without_shrinkage() -> None:
    support = support_like(4, 2, 50)
    w = whitener(support, 0.0)
    s = torch.from_numpy(naive_covariance(support))
    values = torch.linalg.eigvalsh(w.T @ s @ w) / (s.trace() / 50)
    assert w.isfinite().all()
    assert torch.allclose(values[-4:], torch.ones(4, dtype=torch.float64), atol=50 * LEAST)  # the rank of S
    assert float(values[:-4].abs().max()) < 1e-6


def test_whitening_shrunk_to_the_identity_or_with_one_shot_changes_nothing() -> None:
    for shots, shrinkage in [(3, "1"), (1, "auto"), (1, "0.2")]:
        problem = small_problem(shots)
        found = adapter("whitening", shrinkage=shrinkage).adapt_one(problem)
        assert torch.allclose(found, adapter("none").adapt_one(problem), atol=1e-6)


def naive_lda(problem: Problem, share: float, dims: int) -> Rows:
    """Cosines after the generalised eigenvectors of between- and within-class scatter, in float64."""
    z = problem.model.embeddings.double().numpy()
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    s = naive_covariance(torch.from_numpy(z[problem.support]))
    within = (1 - share) * s + share * np.trace(s) / len(s) * np.eye(len(s))
    means = z[problem.support].mean(1)
    centre = means.mean(0)
    between = (means - centre).T @ (means - centre)
    values, vectors = np.linalg.eig(np.linalg.inv(within) @ between)
    vectors = vectors.real[:, np.argsort(-values.real)[:dims]]
    vectors /= np.sqrt(np.einsum("ij,ik,kj->j", vectors, within, vectors))
    found = (z[problem.queries] - centre) @ vectors
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found @ found.T)


@pytest.mark.parametrize(("dims", "kept"), [(0, 4), (2, 2), (3, 3), (9, 4)])
def test_lda_agrees_with_the_generalised_eigenproblem(dims: int, kept: int) -> None:
    problem = small_problem()
    found = adapter("lda", shrinkage="0.2", dims=dims).adapt_one(problem)
    assert found.shape == (len(problem.queries), kept)
    assert np.allclose(cosines(found), naive_lda(problem, 0.2, kept), atol=1e-4)


@pytest.mark.parametrize("shape", [(5, 9), (9, 5)])
def test_main_directions_are_singular_vectors_in_the_smaller_product(shape: tuple[int, int]) -> None:
    rows = torch.from_numpy(np.random.default_rng(0).normal(size=shape))
    rows = rows - rows.mean(0)
    found = main_directions(rows, 0)
    right = torch.linalg.svd(rows, full_matrices=False).Vh
    rank = min(shape[0] - 1, shape[1])
    assert found.shape == (shape[1], rank)
    assert torch.allclose(found.T @ found, torch.eye(rank, dtype=rows.dtype), atol=1e-10)
    first = main_directions(rows, 1)
    assert torch.allclose(first @ first.T, torch.outer(right[0], right[0]), atol=1e-10)


@pytest.mark.parametrize("seed", range(8))
def test_rounding_spans_no_direction(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = torch.from_numpy(rng.normal(size=(7, 3)) @ rng.normal(size=(3, 20)))
    assert main_directions(rows - rows.mean(0), 0).shape == (20, 3)


def test_one_class_leaves_ridge_nothing_to_score() -> None:
    problem = small_problem(5, classes=[1])
    for mix in (0.5, 1.0):
        found = adapter("ridge", mix=mix).adapt_one(problem)
        assert torch.allclose(found, adapter("none").adapt_one(problem), atol=1e-6)


def test_means_that_are_one_leave_lda_all_dimensions() -> None:
    problem = small_problem(2, classes=[1])
    found, whitened = (adapter(name).adapt_one(problem) for name in ("lda", "whitening"))
    assert torch.equal(found, whitened)


@pytest.mark.parametrize(("classes", "shots", "dim"), [(4, 3, 5), (4, 3, 40), (7, 1, 5)])
def test_ridge_weights_solve_the_problem_with_a_free_bias(classes: int, shots: int, dim: int) -> None:
    support, penalty = support_like(classes, shots, dim), 0.3
    x, n = support.double().flatten(0, 1).numpy(), classes * shots
    centred = x - x.mean(0)
    strength = penalty * np.trace(centred @ centred.T) / min(n, dim)
    design = np.concatenate([np.ones((n, 1)), x], 1)  # bias and embedding, the bias without a penalty
    y = np.repeat(np.eye(classes), shots, 0)
    solved = np.linalg.solve(design.T @ design + strength * np.diag([0.0] + [1.0] * dim), design.T @ y)
    found = ridge_weights(support, penalty).numpy()
    assert np.allclose(found, solved[1:], atol=1e-8)
    assert np.allclose(solved[0] + x @ solved[1:], 1 / classes + (x - x.mean(0)) @ found, atol=1e-8)


@pytest.mark.parametrize("mix", [0.25, 0.8])
def test_ridge_mixes_the_cosines_of_embedding_and_scores(mix: float) -> None:
    problem = small_problem()
    z, scores = (adapter("ridge", mix=share).adapt_one(problem) for share in (0.0, 1.0))
    mixed = adapter("ridge", mix=mix).adapt_one(problem)
    assert z.shape[1] == 8 and scores.shape[1] == 5 and mixed.shape[1] == 13
    assert torch.allclose(mixed @ mixed.T, (1 - mix) * cosines(z) + mix * cosines(scores), atol=1e-5)
    assert torch.allclose(z, adapter("none").adapt_one(problem), atol=1e-6)
    assert torch.allclose(scores.sum(1), torch.zeros(len(scores)), atol=1e-5)


def test_ridge_scores_of_more_classes_than_dimensions_keep_their_cosines() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(12), 5)
    model = with_embeddings(rng.normal(size=(60, 4)).astype(np.float32), labels)
    problem = problems(model, 2, 1)[0]
    found = adapter("ridge", mix=1.0).adapt_one(problem)
    z = torch.nn.functional.normalize(model.embeddings.double(), dim=1)
    support = z[torch.from_numpy(problem.support)]
    scores = (z[torch.from_numpy(problem.queries)] - support.mean((0, 1))) @ ridge_weights(support, 1.0)
    assert found.shape[1] == 4 and scores.shape[1] == 12
    assert torch.allclose(cosines(found).double(), cosines(scores), atol=1e-5)


@pytest.mark.parametrize("shots", [5, 10])
@pytest.mark.parametrize("name", PROJECTIONS)
def test_strong_differences_within_classes_are_discounted(name: str, shots: int) -> None:
    problem = nuisance_problem(shots)
    before, after = (recall(problem, adapter(which).adapt_one(problem)) for which in ("none", name))
    assert before < 0.5
    assert after > before + 0.1


@pytest.mark.parametrize("name", PROJECTIONS)
def test_the_order_of_the_support_does_not_matter(name: str) -> None:
    problem = small_problem(5)
    turned = replace(problem, support=problem.support[:, ::-1].copy())
    shuffled = replace(problem, support=problem.support[::-1].copy(), classes=problem.classes[::-1])
    whole = cosines(adapter(name).adapt_one(problem))
    for other in (turned, shuffled):
        assert torch.allclose(cosines(adapter(name).adapt_one(other)), whole, atol=1e-5)


@pytest.mark.parametrize("name", PROJECTIONS)
def test_lengths_of_the_embeddings_do_not_matter(name: str) -> None:
    problem = small_problem()
    longer = with_embeddings(problem.model.embeddings.numpy() * 7, problem.model.labels)
    found, again = (cosines(adapter(name).adapt_one(p)) for p in (problem, replace(problem, model=longer)))
    assert torch.allclose(found, again, atol=1e-5)


@pytest.mark.parametrize("support", [[[0, 0], [9, 9]], [[0, 0], [0, 0]]], ids=["copies in classes", "all one image"])
@pytest.mark.parametrize("options", [{}, {"mix": 1.0}, {"shrinkage": "0"}], ids=["defaults", "scores", "unshrunk"])
@pytest.mark.parametrize("name", PROJECTIONS)
def test_duplicates_give_unit_rows(name: str, options: dict[str, Any], support: list[list[int]]) -> None:
    built = adapter(name)
    built = adapter(name, **options) if options.keys() <= built.options.keys() else built
    rng = np.random.default_rng(0)
    z = rng.normal(size=(12, 30)).astype(np.float32)
    z[1], z[10] = z[0], z[9]
    model = with_embeddings(z, np.repeat([0, 1], 6))
    pairs = np.array(support) + np.array([0, 1])  # an image and its copy
    found = built.adapt_one(Problem(model, 2, 0, pairs, np.arange(2), np.array([2, 3, 4, 6, 7, 8])))
    assert torch.allclose(found.norm(dim=1), torch.ones(6), atol=1e-5)
