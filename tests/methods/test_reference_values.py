"""Losses and mining against values of the study's code, and against pytorch-metric-learning.

`tests/golden/methods_reference.npz` holds what ooDML's implementation computes on small random inputs (float32 on the
CPU): five parts of `shared/reference/fixtures/reference_values.npz` under the names they have there. To make it again,
from the root of the project:

    python -c "
    import numpy as np
    parts = ('margin', 'multisimilarity', 'arcface', 'oproxy', 'distance_miner')
    f = np.load('../shared/reference/fixtures/reference_values.npz')
    kept = {k: f[k] for k in f.files if k.split('/')[0] in parts}
    np.savez_compressed('tests/golden/methods_reference.npz', **kept)"
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from pytorch_metric_learning import losses, miners
from torch import Tensor
from torch.nn import functional

from oodml import registry
from oodml.methods.base import Batch, Context, Method, Output
from oodml.methods.margin import MarginCriterion
from oodml.methods.mining import Triplets, distance_weighted, inverse_density, pairwise_distances, rho_regularised

GOLDEN = Path(__file__).parents[1] / "golden" / "methods_reference.npz"
FIXTURE = Path(__file__).parents[3] / "shared" / "reference" / "fixtures" / "reference_values.npz"
CLASSES, DIM = 7, 16


def stored(part: str) -> dict[str, Tensor]:
    with np.load(GOLDEN) as golden:
        return {k.split("/")[1]: torch.from_numpy(golden[k]) for k in golden.files if k.split("/")[0] == part}


def make(name: str, num_classes: int, dim: int, **options: bool) -> Method:
    card = registry.load("method", name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        context = Context(6, dim, num_classes, torch.Generator().manual_seed(0))
        method: Method = card.build(context, card.resolve_options("glyphs", options))
    return method


def loss_of(method: Method, z: Tensor, labels: Tensor) -> Tensor:
    return method.loss([Output(z, None, {"embedding": z})], Batch((z,), labels, torch.arange(len(z)), 0))


def value_and_gradients(loss: Callable[[Tensor], Tensor], z: Tensor, *extra: Tensor) -> tuple[Tensor, ...]:
    """The loss, its gradient on z through the normalisation that every head ends with, and that on the parameters."""
    z = z.clone().requires_grad_()
    found = loss(functional.normalize(z, dim=1))
    return found.detach(), *torch.autograd.grad(found, [z, *extra])


def assert_close(found: tuple[Tensor, ...], expected: tuple[Tensor, ...], tolerance: float) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def test_the_golden_file_is_a_copy_of_the_reference_values() -> None:
    if not FIXTURE.exists():
        pytest.skip("needs ../shared/reference")
    with np.load(GOLDEN) as golden, np.load(FIXTURE) as fixture:
        for name in golden.files:
            np.testing.assert_array_equal(golden[name], fixture[name])


def test_margin_with_a_triplet_of_the_rho_miner_has_the_published_loss_and_gradients() -> None:
    part = stored("margin")
    a, p, n = part["triplets"].T
    assert a[3] == p[3] and part["labels"][n[3]] == part["labels"][a[3]]
    criterion = MarginCriterion(8, margin=float(part["margin"]), published=True)
    criterion.beta.data.copy_(part["beta"])
    z = part["z"].requires_grad_()
    loss = criterion(z, part["labels"], (a, p, n))
    found = (loss.detach(), *torch.autograd.grad(loss, [z, criterion.beta]))
    assert_close(found, (part["loss"], part["grad_z"], part["grad_beta"]), 1e-4)


@pytest.mark.parametrize(
    ("name", "part", "parameter", "stored_as"),
    [
        ("multisimilarity", "multisimilarity", None, None),
        ("arcface", "arcface", "classes", "class_map"),
        ("proxy_anchor", "oproxy", "proxies", "proxies"),
    ],
)
def test_published_variants_have_the_published_loss_and_gradients(
    name: str, part: str, parameter: str | None, stored_as: str | None
) -> None:
    values = stored(part)
    method = make(name, 8, 8, published=True)
    extra = []
    expected = [values["loss"], values["grad_z"]]
    if parameter is not None:
        extra = [dict(method.named_parameters())[parameter]]
        extra[0].data.copy_(values[f"param_{stored_as}"])
        expected.append(values[f"grad_{stored_as}"])
    z = values["z"].requires_grad_()
    # the original normalises embeddings once more for its proxies, which takes the radial part out of the gradient
    loss = loss_of(method, functional.normalize(z, dim=1) if name == "proxy_anchor" else z, values["labels"])
    found = (loss.detach(), *torch.autograd.grad(loss, [z, *extra]))
    assert_close(found, tuple(expected), 1e-4)


def test_negatives_have_the_published_probabilities() -> None:
    part = stored("distance_miner")
    z, labels, expected = part["z"], part["labels"], part["negative_probabilities"]
    same = labels[:, None] == labels[None, :]
    log_weights = inverse_density(pairwise_distances(z), z.shape[1], float(part["lower_cutoff"]))
    torch.testing.assert_close(log_weights.masked_fill(same, -torch.inf).softmax(1), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("probability", [None, 0.0], ids=["distance_weighted", "rho_regularised with p=0"])
def test_drawn_negatives_follow_the_published_probabilities(probability: float | None) -> None:
    part = stored("distance_miner")
    z, labels, expected = part["z"], part["labels"], part["negative_probabilities"].double()
    generator = torch.Generator().manual_seed(3)
    draws = 800
    counts = torch.zeros(24, 24, dtype=torch.float64)
    for _ in range(draws):
        mined = (
            distance_weighted(z, labels, generator)
            if probability is None
            else rho_regularised(z, labels, generator, probability)
        )
        assert mined[0].tolist() == list(range(24))  # in 512 dimensions the close pair 0, 5 silences nobody
        counts[mined[0], mined[2]] += 1
    deviation = (expected * (1 - expected) / draws).sqrt()
    assert ((counts / draws - expected).abs() <= 5 * deviation + 1e-3).all()
    assert counts[0, 5] == draws


def balanced() -> tuple[Tensor, Tensor]:
    """A batch of 4 samples each of 5 of the 7 classes, some of them close to their class."""
    generator = torch.Generator().manual_seed(5)
    labels = torch.tensor([0, 1, 2, 4, 5]).repeat_interleave(4)
    centres = torch.randn(CLASSES, DIM, generator=generator)
    return functional.normalize(centres[labels] + torch.randn(20, DIM, generator=generator), dim=1), labels


def test_margin_equals_pytorch_metric_learning() -> None:
    z, labels = balanced()
    betas = torch.linspace(0.6, 1.5, CLASSES)
    ours = MarginCriterion(CLASSES)
    theirs = losses.MarginLoss(margin=0.2, nu=0, learn_beta=True, num_classes=CLASSES)
    ours.beta.data.copy_(betas)
    theirs.beta.data.copy_(betas)
    triplets: Triplets = distance_weighted(z, labels, torch.Generator().manual_seed(1))
    found = value_and_gradients(lambda x: ours(x, labels, triplets), z, ours.beta)
    assert_close(found, value_and_gradients(lambda x: theirs(x, labels, triplets), z, theirs.beta), 1e-5)
    assert found[2].abs().sum() > 0


def test_multisimilarity_equals_pytorch_metric_learning() -> None:
    z, labels = balanced()
    method, theirs = make("multisimilarity", CLASSES, DIM), losses.MultiSimilarityLoss(alpha=2, beta=40, base=0.5)
    miner = miners.MultiSimilarityMiner(epsilon=0.1)
    found = value_and_gradients(lambda x: loss_of(method, x, labels), z)
    assert_close(found, value_and_gradients(lambda x: theirs(x, labels, miner(x, labels)), z), 1e-5)
    plain = value_and_gradients(lambda x: theirs(x, labels), z)
    assert abs(float(found[0] - plain[0])) > 1e-3  # the mining matters here


def test_arcface_equals_pytorch_metric_learning_beyond_pi_too() -> None:
    z, labels = balanced()
    method = make("arcface", CLASSES, DIM)
    theirs = losses.ArcFaceLoss(CLASSES, DIM, margin=math.degrees(0.5), scale=16)
    weights = dict(method.named_parameters())["classes"]
    with torch.no_grad():
        weights[0] = -z[0] + 0.01
    theirs.W.data.copy_(weights.detach().T)
    assert functional.cosine_similarity(z[0], weights[0], dim=0) < math.cos(math.pi - 0.5)
    loss, on_z, on_weights = value_and_gradients(lambda x: loss_of(method, x, labels), z, weights)
    expected = value_and_gradients(lambda x: theirs(x, labels), z, theirs.W)
    assert_close((loss, on_z, on_weights.T), expected, 1e-5)


def test_proxy_anchor_equals_pytorch_metric_learning() -> None:
    z, labels = balanced()
    method, theirs = make("proxy_anchor", CLASSES, DIM), losses.ProxyAnchorLoss(CLASSES, DIM, margin=0.1, alpha=32)
    proxies = dict(method.named_parameters())["proxies"]
    theirs.proxies.data.copy_(proxies.detach())
    found = value_and_gradients(lambda x: loss_of(method, x, labels), z, proxies)
    assert_close(found, value_and_gradients(lambda x: theirs(x, labels), z, theirs.proxies), 1e-5)
