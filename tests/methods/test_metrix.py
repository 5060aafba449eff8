"""Mixup against a re-derivation in loops over mixed vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from method_case import CLASSES, DIM, OPTIONS, ROWS, OnStep, batch_of, begin, build, data, killed, loss_of, undisturbed
from torch import Tensor
from torch.nn import functional

from oodml import registry
from oodml.checkpoints import Checkpoint
from oodml.errors import UnknownNameError
from oodml.methods.base import Batch, Context, Output
from oodml.methods.metrix import Metrix, draw_share
from oodml.methods.metrix_losses import mixed_similarities
from oodml.methods.mining import distance_weighted
from oodml.model import embed
from oodml.records import Scalar
from oodml.training import train

LOSSES = ("multisimilarity", "contrastive", "margin", "proxy_anchor")
HARD, WEIGHT = 4, 0.4
Mixes = dict[int, list[Tensor]]


def make(seed: int, **options: Scalar) -> Metrix:
    card = registry.load("method", "metrix")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        context = Context(6, DIM, CLASSES, torch.Generator().manual_seed(seed))
        method: Metrix = card.build(context, card.resolve_options("glyphs", options))
        for parameter in method.criterion.parameters() if method.criterion else ():
            parameter.data += 0.05 * torch.randn(parameter.shape)  # boundaries that differ from class to class
    return method


def example() -> tuple[Tensor, Batch]:
    """Classes of 3, 3, 2, 2 and 1 samples; one class of the training is absent."""
    labels = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4])
    z = functional.normalize(torch.randn(len(labels), DIM, generator=torch.Generator().manual_seed(5)), dim=1)
    return z.requires_grad_(), Batch((z,), labels, torch.arange(len(z)), 0)


def draws(seed: int, loss: str, z: Tensor, labels: Tensor) -> tuple[float, bool]:
    """Share of the first, and whether anchors are mixed themselves, as the step of this seed draws them."""
    generator = torch.Generator().manual_seed(seed)
    if loss == "margin":
        distance_weighted(z, labels, generator)
    share = float(draw_share(2.0, generator))
    return share, float(torch.rand((), generator=generator)) < 0.5


def seed_with(with_anchor: bool, loss: str, z: Tensor, labels: Tensor) -> int:
    return next(seed for seed in range(100) if draws(seed, loss, z, labels)[1] == with_anchor)


def unit(v: Tensor) -> Tensor:
    return v / v.square().sum().sqrt()


def nearest(x: Tensor, z: Tensor, candidates: list[int], count: int) -> list[int]:
    return sorted(candidates, key=lambda j: -float((x @ z[j]).detach()))[:count]


def mixes_of(z: Tensor, y: list[int], share: float, with_anchor: bool, count: int) -> Mixes:
    """All mixed vectors of every anchor."""
    mixes: Mixes = {}
    for a in range(len(z)):
        partners = [a] if with_anchor else [p for p in range(len(z)) if y[p] == y[a] and p != a]
        negatives = nearest(z[a], z, [n for n in range(len(z)) if y[n] != y[a]], count)
        mixes[a] = [unit(share * z[p] + (1 - share) * z[n]) for p in partners for n in negatives]
    return mixes


def mean_of_nonzero(terms: list[Tensor]) -> Tensor:
    kept = [t for t in terms if float(t.detach()) > 0]
    return sum(kept, torch.zeros(())) / max(1, len(kept))


def naive_multisimilarity(z: Tensor, y: list[int], mixes: Mixes, share: float, method: Metrix) -> Tensor:
    total = torch.zeros(())
    for a, vs in mixes.items():
        pull = sum((share * torch.exp(-2 * (z[a] @ v - 0.5)) for v in vs), torch.zeros(()))
        push = sum(((1 - share) * torch.exp(40 * (z[a] @ v - 0.5)) for v in vs), torch.zeros(()))
        total = total + torch.log(1 + pull) / 2 + torch.log(1 + push) / 40
    return total / len(z)


def naive_contrastive(z: Tensor, y: list[int], mixes: Mixes, share: float, method: Metrix) -> Tensor:
    distances = [(z[a] - v).norm() for a, vs in mixes.items() for v in vs]
    pull = mean_of_nonzero([share * d for d in distances])
    return pull + mean_of_nonzero([(1 - share) * torch.relu(0.5 - d) for d in distances])


def naive_margin(z: Tensor, y: list[int], mixes: Mixes, share: float, method: Metrix) -> Tensor:
    beta = dict(method.named_parameters())["criterion.criterion.beta"]
    terms = []
    for a, vs in mixes.items():
        for v in vs:
            d = (z[a] - v).norm()
            terms.append(share * torch.relu(d - beta[y[a]] + 0.2))
            terms.append((1 - share) * torch.relu(beta[y[a]] - d + 0.2))
    return mean_of_nonzero(terms)


NAIVE: dict[str, Callable[[Tensor, list[int], Mixes, float, Metrix], Tensor]] = {
    "multisimilarity": naive_multisimilarity,
    "contrastive": naive_contrastive,
    "margin": naive_margin,
}


def naive_proxy_anchor(
    proxies: Tensor, y: list[int], mixes: Callable[[int], list[tuple[Tensor, float]]], present: set[int]
) -> Tensor:
    """From the mixed vectors that each proxy sees, with their label for it."""
    pulls, pushes = [], []
    for c, proxy in enumerate(proxies):
        seen = mixes(c)
        pull = sum((t * torch.exp(-32 * (proxy @ v - 0.1)) for v, t in seen), torch.zeros(()))
        push = sum(((1 - t) * torch.exp(32 * (proxy @ v + 0.1)) for v, t in seen), torch.zeros(()))
        pushes.append(torch.log(1 + push))
        if c in present:
            pulls.append(torch.log(1 + pull))
    return torch.stack(pulls).mean() + torch.stack(pushes).mean()


def mixed_by_loops(method: Metrix, loss: str, z: Tensor, y: list[int], share: float, with_anchor: bool) -> Tensor:
    if loss != "proxy_anchor":
        return NAIVE[loss](z, y, mixes_of(z, y, share, with_anchor, HARD), share, method)
    proxies = [unit(p) for p in dict(method.named_parameters())["criterion.proxies"]]

    def of_proxy(c: int) -> list[tuple[Tensor, float]]:
        negatives = nearest(proxies[c], z, [n for n in range(len(z)) if y[n] != c], HARD)
        return [(unit(share * proxies[c] + (1 - share) * z[n]), share) for n in negatives]

    def of_samples(c: int) -> list[tuple[Tensor, float]]:
        seen = []
        for i in range(len(z)):
            for j in nearest(z[i], z, [j for j in range(len(z)) if y[j] != y[i]], HARD):
                label = share if y[i] == c else 1 - share if y[j] == c else 0.0
                seen.append((unit(share * z[i] + (1 - share) * z[j]), label))
        return seen

    return naive_proxy_anchor(torch.stack(proxies), y, of_proxy if with_anchor else of_samples, set(y))


def clean_by_loops(method: Metrix, loss: str, z: Tensor, batch: Batch, seed: int) -> Tensor:
    """The loss without mixing: that of the method of this name, except for contrastive."""
    y = batch.labels.tolist()
    if loss == "contrastive":
        pairs = [(i, j) for i in range(len(z)) for j in range(len(z)) if i != j]
        pull = [(z[i] - z[j]).norm() for i, j in pairs if y[i] == y[j]]
        push = [torch.relu(0.5 - (z[i] - z[j]).norm()) for i, j in pairs if y[i] != y[j]]
        return mean_of_nonzero(pull) + mean_of_nonzero(push)
    card = registry.load("method", loss)
    context = Context(6, DIM, CLASSES, torch.Generator().manual_seed(seed))
    alone = card.build(context, card.options)
    alone.load_state_dict(method.criterion.state_dict() if method.criterion else {}, strict=False)
    value: Tensor = alone.loss([Output(z, None, {"embedding": z})], batch)
    return value


@pytest.mark.parametrize("with_anchor", [False, True], ids=["positive-negative", "anchor-negative"])
@pytest.mark.parametrize("loss", LOSSES)
def test_loss_and_gradient_equal_loops_over_mixed_vectors(loss: str, with_anchor: bool) -> None:
    head, batch = example()
    z = functional.normalize(head, dim=1)  # what gradients along z do is lost in the normalisation of the head
    seed = seed_with(with_anchor, loss, z, batch.labels)
    share, _ = draws(seed, loss, z, batch.labels)
    method = make(seed, loss=loss, hard_negatives=HARD)
    value = method.loss([Output(z, None, {"embedding": z})], batch)
    mixed = mixed_by_loops(method, loss, z, batch.labels.tolist(), share, with_anchor)
    assert float(mixed.detach()) > 0.01
    expected = clean_by_loops(method, loss, z, batch, seed) + WEIGHT * mixed
    assert float(value.detach()) == pytest.approx(float(expected.detach()), abs=1e-4, rel=1e-4)
    (gradient,) = torch.autograd.grad(value, head, retain_graph=True)
    (expected_gradient,) = torch.autograd.grad(expected, head)
    assert torch.allclose(gradient, expected_gradient, atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize("with_anchor", [False, True], ids=["positive-negative", "anchor-negative"])
@pytest.mark.parametrize("loss", LOSSES)
def test_mixed_inputs_go_through_the_network(loss: str, with_anchor: bool) -> None:
    rows = np.array([0, 1, 6, 7, 12, 13, 18, 19])  # two per class: the random positive is the only one
    network, source = build("metrix", loss=loss, level="input", hard_negatives=3)
    batch = batch_of(rows, source)
    x, y = batch.inputs[0], batch.labels.tolist()
    z = network(x).embeddings["embedding"]
    seed = seed_with(with_anchor, loss, z, batch.labels)
    share, _ = draws(seed, loss, z, batch.labels)
    begin(network, source)
    method = network.method
    assert isinstance(method, Metrix)

    def mix(i: int, j: int) -> Tensor:
        embeddings = network((share * x[i] + (1 - share) * x[j])[None]).embeddings
        v: Tensor = embeddings["embedding"][0]
        return v

    def hard(a: int) -> list[int]:
        return nearest(z[a], z, [n for n in range(len(z)) if y[n] != y[a]], 3)

    if loss == "proxy_anchor":  # proxies are no inputs: samples are mixed whatever the kind of pairs
        pairs = [(i, j) for i in range(len(z)) for j in hard(i)]
        seen = [(mix(i, j), (y[i], y[j])) for i, j in pairs]
        proxies = torch.stack([unit(p) for p in dict(method.named_parameters())["criterion.proxies"]])

        def labelled(c: int) -> list[tuple[Tensor, float]]:
            return [(v, share if c == first else 1 - share if c == second else 0.0) for v, (first, second) in seen]

        mixed = naive_proxy_anchor(proxies, y, labelled, set(y))
    else:
        mixes = {a: [mix(a if with_anchor else a ^ 1, n) for n in hard(a)] for a in range(len(z))}
        mixed = NAIVE[loss](z, y, mixes, share, method)
    expected = clean_by_loops(method, loss, z, batch, seed) + WEIGHT * mixed
    method.context.generator.manual_seed(seed)
    assert float(loss_of(network, batch).detach()) == pytest.approx(float(expected.detach()), abs=1e-4, rel=1e-4)


@pytest.mark.parametrize(("level", "count"), [("embedding", 20), ("input", 3)])
def test_the_number_of_hard_negatives_follows_the_level(level: str, count: int) -> None:
    assert make(0, level=level).hard_negatives == count
    assert make(0, level=level, hard_negatives=7).hard_negatives == 7


def test_no_limit_means_all_negatives() -> None:
    z, batch = example()
    values = []
    for count in (0, len(z), 2):
        method = make(1, hard_negatives=count)
        values.append(float(method.loss([Output(z, None, {"embedding": z})], batch).detach()))
    assert values[0] == values[1] != values[2]


def test_shares_follow_the_beta_distribution_and_their_generator() -> None:
    generator = torch.Generator().manual_seed(0)
    shares = torch.stack([draw_share(2.0, generator) for _ in range(4000)])
    assert float(shares.mean()) == pytest.approx(0.5, abs=0.015)
    assert float(shares.var()) == pytest.approx(0.05, abs=0.004)  # 1 / (4 (2 alpha + 1))
    assert float(shares.min()) > 0 and float(shares.max()) < 1
    again = torch.Generator().manual_seed(0)
    assert torch.equal(shares[:20], torch.stack([draw_share(2.0, again) for _ in range(20)]))


def test_both_kinds_of_pairs_occur() -> None:
    z, batch = example()
    kinds = [draws(seed, "contrastive", z, batch.labels)[1] for seed in range(200)]
    assert 70 < sum(kinds) < 130


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_cosines_of_mixed_vectors_need_no_vectors(share: float) -> None:
    z = functional.normalize(torch.randn(3, 5, generator=torch.Generator().manual_seed(1)), dim=1)
    expected = z[0] @ unit(share * z[1] + (1 - share) * z[2])
    actual = mixed_similarities(z[0] @ z[1], z[0] @ z[2], z[1] @ z[2], torch.tensor(share))
    assert float(actual) == pytest.approx(float(expected), abs=1e-6)


def test_opposite_vectors_mixed_in_halves_have_a_finite_cosine() -> None:
    a = torch.tensor([1.0, 0.0], requires_grad=True)
    cosine = mixed_similarities(a @ a, a @ -a, a @ -a, torch.tensor(0.5))
    cosine.backward()
    assert cosine.isfinite() and a.grad is not None and a.grad.isfinite().all()


@pytest.mark.parametrize("level", ["embedding", "input"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("rows", [[0, 1, 2], [0, 6, 12], [0, 0, 6, 6]], ids=["one class", "singles", "copies"])
def test_degenerate_batches_give_a_finite_loss_and_gradient(loss: str, level: str, rows: list[int]) -> None:
    network, source = build("metrix", loss=loss, level=level)
    begin(network, source)
    for _ in range(4):  # both kinds of pairs
        value = loss_of(network, batch_of(np.array(rows), source))
        value.backward()
        assert value.isfinite()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize("level", ["embedding", "input"])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_parameter_is_trained(loss: str, level: str) -> None:
    network, source = build("metrix", loss=loss, level=level)
    before = {key: p.detach().clone() for key, p in network.named_parameters()}
    train(network, source, ROWS, data()[1], replace(OPTIONS, steps=10), "all move")
    assert not [key for key, p in network.named_parameters() if torch.equal(before[key], p)]


def test_parameters_train_at_the_rates_of_their_methods() -> None:
    rates = {loss: [group["lr"] for group in make(0, loss=loss).extra_groups()] for loss in LOSSES}
    assert rates == {"multisimilarity": [], "contrastive": [], "margin": [5e-4], "proxy_anchor": [2e-2]}
    assert all(group["weight_decay"] == 0 for loss in LOSSES for group in make(0, loss=loss).extra_groups())


def test_the_network_does_not_become_a_part_of_the_method() -> None:
    network, source = build("metrix", level="input")
    before = list(network.state_dict())
    begin(network, source)
    assert list(network.state_dict()) == before
    assert not [name for name, _ in network.method.named_modules() if "network" in name]


def test_mixing_inputs_outside_a_training_is_an_error() -> None:
    network, source = build("metrix", level="input")
    with pytest.raises(RuntimeError, match="on_start"):
        loss_of(network, batch_of(ROWS, source))


@pytest.mark.parametrize("option", ["loss", "level"])
def test_unknown_choices_name_the_option(option: str) -> None:
    with pytest.raises(UnknownNameError, match=f"metrix.{option}"):
        make(0, **{option: "feature"})


def test_a_resumed_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    def run(checkpoint: Checkpoint | None = None, on_step: OnStep = undisturbed) -> np.ndarray:
        network, source = build("metrix", level="input")
        train(network, source, ROWS, data()[1], OPTIONS, "resume", checkpoint=checkpoint, on_step=on_step)
        return embed(network, source, ROWS)

    assert np.array_equal(run(killed(run, tmp_path / "state", after=11)), run())
