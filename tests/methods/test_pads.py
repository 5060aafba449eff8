"""PADS: histogram, policy and held-out images against re-derivations in loops."""

from __future__ import annotations

import math
from collections import deque
from pathlib import Path

import numpy as np
import pytest
import torch
from method_case import CLASSES, OPTIONS, ROWS, OnStep, begin, build, data, killed, scorer, undisturbed
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from oodml.checkpoints import Checkpoint
from oodml.errors import OodmlError
from oodml.methods.pads import (
    METRICS,
    Pads,
    bin_of,
    edges,
    hold_out_classes,
    hold_out_images,
    initial_histogram,
    multipliers,
    scored_rows,
)
from oodml.methods.pads_policy import Observations, Policy
from oodml.model import embed
from oodml.records import Scalar
from oodml.training import train

STEP = 1.3 / 29


def pads(**options: Scalar) -> Pads:
    method = build("pads", 0, **options)[0].method
    assert isinstance(method, Pads)
    return method


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def naive_bin(distance: float) -> int:
    return sum(distance > 0.1 + STEP * inner for inner in range(1, 29))


def test_bins_partition_the_line() -> None:
    distances = torch.cat([torch.linspace(-1, 3, 997), torch.tensor([0.0, 0.1, 1.4, 2.0])])
    bins = bin_of(distances)
    assert bins.tolist() == [naive_bin(d) for d in distances.tolist()]
    assert set(bins.tolist()) == set(range(29))
    assert edges().tolist() == pytest.approx([0.1 + STEP * i for i in range(30)], abs=1e-6)


def test_at_first_nine_bins_are_likely() -> None:
    histogram = initial_histogram()
    likely = (histogram == 1).nonzero().squeeze(1)
    assert likely.tolist() == list(range(3, 12))
    assert [round(float(edges()[i]), 3) for i in (3, 12)] == [0.234, 0.638]
    assert histogram[histogram != 1].tolist() == pytest.approx([1e-15] * 20)


def test_actions_multiply_their_bins_within_bounds_and_one_changes_nothing() -> None:
    method = pads()
    before = method.histogram.clone()
    method.apply_actions(torch.ones(29, dtype=torch.int64))
    assert torch.equal(method.histogram, before)
    actions = torch.arange(29) % 3
    method.histogram[:2] = torch.tensor([1e-25, 1e25])
    method.histogram[2] = 1e25
    expected = [
        min(max(h * (0.8, 1, 1.25)[a], 1e-25), 1e25)
        for h, a in zip(method.histogram.tolist(), actions.tolist(), strict=True)
    ]
    method.apply_actions(actions)
    assert method.histogram.tolist() == pytest.approx(expected, rel=1e-5)
    assert float(method.probabilities().sum()) == pytest.approx(1, abs=1e-5)


def sample() -> tuple[Tensor, Tensor, list[list[float]]]:
    """Vectors on a circle: samples 0 and 1 nearly equal and of two classes, others up to 2 apart."""
    angles = torch.tensor([0.0, 0.04, 0.5, 0.9, 1.3, 3.1])
    z = torch.stack([angles.cos(), angles.sin()], 1)
    gaps = [[2 * abs(math.sin((a - b) / 2)) for b in angles.tolist()] for a in angles.tolist()]
    return z, torch.tensor([0, 1, 0, 1, 2, 2]), gaps


@pytest.mark.parametrize("regularised", [True, False])
@pytest.mark.parametrize("published", [True, False])
def test_negatives_and_positives_are_drawn_as_often_as_they_should(regularised: bool, published: bool) -> None:
    z, labels, gaps = sample()
    method = pads(self_regularisation=regularised, published=published)
    method.histogram.copy_(1 + torch.arange(29) % 5)
    n, draws = len(z), 800
    weights = np.zeros((n, n))
    for i in range(n):
        candidates = [j for j in range(n) if regularised or labels[j] != labels[i]]
        inside = [j for j in candidates if 0.1 <= gaps[i][j] <= 1.4]
        for j in candidates if published or not inside else inside:
            weights[i, j] = 1 + naive_bin(gaps[i][j]) % 5
    negatives, positives = np.zeros((n, n)), np.zeros((n, n))
    for _ in range(draws):
        a, p, k = method.mine(z, labels)
        assert a.tolist() == list(range(n))
        positives[a, p] += 1 / draws
        negatives[a, k] += 1 / draws
    same = (labels[:, None] == labels[None, :]).numpy() & (regularised | ~np.eye(n, dtype=bool))
    assert np.abs(negatives - weights / weights.sum(1, keepdims=True)).max() < 0.07
    assert np.abs(positives - same / same.sum(1, keepdims=True)).max() < 0.07
    assert not negatives[weights == 0].any()


def test_a_batch_of_one_class_has_no_triplets_without_self_regularisation() -> None:
    z, _, _ = sample()
    assert len(pads(self_regularisation=False).mine(z, torch.zeros(6, dtype=torch.int64))[0]) == 0
    assert len(pads().mine(z, torch.zeros(6, dtype=torch.int64))[0]) == 6


@pytest.mark.parametrize("validations", [1, 5, 50])
def test_the_state_is_windows_means_histogram_and_progress(validations: int) -> None:
    observations = Observations(7)
    rng = np.random.default_rng(0)
    window: deque[list[float]] = deque(maxlen=20)
    seen: list[list[float]] = []
    for _ in range(validations):
        metrics = rng.random(7).tolist()
        while len(window) < 19:
            window.append(metrics)
        window.append(metrics)
        seen.append(metrics)
        observations.add(metrics)
    probabilities = torch.full((29,), 1 / 29)
    state = observations.state(probabilities, 0.25)
    means = [np.mean(seen[-length:], axis=0).tolist() for length in (2, 8, 16, 32)]
    expected = [*np.ravel(window), *np.ravel(means), *probabilities.tolist(), 0.25]
    assert state.shape == (198,)
    assert state.tolist() == pytest.approx(expected, abs=1e-6)


def acted(published: bool = False) -> tuple[Policy, Tensor]:
    """A policy with a last step behind it, which has moved away from its old self; and a new state."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        policy = Policy(7, 3, 29, 1e-2, published)
    states = torch.rand(2, 198, generator=generator(3))
    policy.act(states[0], 0.5, generator(4))
    with torch.no_grad():
        policy.current.actor.weight.add_(0.5 * torch.randn(policy.current.actor.weight.shape, generator=generator(5)))
    return policy, states[1]


def test_the_policy_loss_is_clipped_and_fits_the_value() -> None:
    policy, new = acted()
    with torch.no_grad():
        log_now, value = policy.current(policy.last_state)
        log_old, _ = policy.old(policy.last_state)
        new_value = float(policy.current(new)[1])
    assert log_now.exp().sum(0).tolist() == pytest.approx([1] * 29, abs=1e-5)
    for reward, target in ((1.0, 1.0), (-1.0, 0.4)):
        advantage = reward + 0.99 * new_value - float(value)
        gains, clipped = [], 0
        for b, action in enumerate(policy.last_actions.tolist()):
            ratio = math.exp(float(log_now[action, b]) - float(log_old[action, b]))
            inside = min(max(ratio, 0.8), 1.2)
            clipped += inside != ratio
            gains.append(min(ratio * advantage, inside * advantage))
        expected = -sum(gains) / len(gains) + 0.5 * (float(value) - target) ** 2
        assert clipped > 3
        loss = policy.loss(new, torch.tensor(reward), torch.tensor(target))
        assert float(loss.detach()) == pytest.approx(expected, abs=1e-5)
        # the advantage is a constant: all that reaches the value is its own error
        gradient = torch.autograd.grad(loss, policy.current.critic.bias)[0]
        assert float(gradient) == pytest.approx(float(value) - target, abs=1e-5)


@pytest.mark.parametrize(("published", "metric", "target"), [(False, 0.7, 1), (False, 0.2, -1), (True, 0.7, 0.7)])
def test_the_value_learns_the_sign_or_as_published_the_metric(published: bool, metric: float, target: float) -> None:
    policy, new = acted(published)
    value = float(policy.current(policy.last_state)[1].detach())
    policy.learn(new, metric)
    bias = policy.current.critic.bias.grad
    assert bias is not None and float(bias) == pytest.approx(value - target, abs=1e-5)


def test_the_old_policy_is_renewed_every_five_updates() -> None:
    policy, new = acted()
    for update in range(1, 11):
        policy.learn(new, float(update))
        policy.act(new, float(update), generator(update))
        pairs = zip(policy.old.parameters(), policy.current.parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs) == (update % 5 == 0)


def test_a_policy_learns_which_action_pays() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        policy = Policy(1, 3, 1, 1e-2)
    state, draws, metric = torch.ones(26), generator(6), 0.0
    policy.act(state, metric, draws)
    for _ in range(60):
        metric += float(policy.last_actions[0]) - 1
        policy.learn(state, metric)
        policy.act(state, metric, draws)
    assert float(policy.current(state)[0].detach().exp()[2, 0]) > 0.8


def test_a_share_of_the_images_of_every_class_is_held_out() -> None:
    counts = [1, 3, 4, 5, 20, 40]
    labels = torch.arange(6).repeat_interleave(torch.tensor(counts))[torch.randperm(73, generator=generator())]
    held = hold_out_images(labels, 0.15, generator())
    found = [int(held[labels == c].sum()) for c in range(6)]
    assert found == [0, 0, 2, 2, 3, 6]
    assert not torch.equal(held, hold_out_images(labels, 0.15, generator(1)))


def test_a_share_of_the_classes_is_held_out_as_a_whole() -> None:
    labels = torch.arange(20).repeat_interleave(3)
    held = hold_out_classes(labels, 0.1, generator()).view(20, 3)
    assert int(held.any(1).sum()) == 2 and torch.equal(held.any(1), held.all(1))
    assert hold_out_classes(torch.tensor([0, 1, 1, 2]), 0.1, generator()).tolist() == [False, True, True, False]


def test_scored_rows_are_whole_classes_up_to_a_number() -> None:
    labels = torch.arange(10).repeat_interleave(4)
    held = torch.ones(40, dtype=torch.bool)
    held[1:4] = False  # class 0 keeps a single one, which could find nothing
    rows = scored_rows(labels, held, 10, generator())
    assert len(rows) == len(set(rows.tolist())) == 10
    assert sorted(torch.unique(labels[rows], return_counts=True)[1].tolist()) == [2, 4, 4]
    assert sorted(scored_rows(labels, held, 1000, generator()).tolist()) == list(range(4, 40))


@pytest.mark.parametrize("holdout", ["images", "classes"])
def test_held_out_images_never_train(holdout: str) -> None:
    network, source = build("pads", holdout=holdout, fraction=0.3)
    state = begin(network, source)
    assert isinstance(network.method, Pads)
    held, drawn = set(network.method.validation.tolist()), set()
    for _ in range(40):
        drawn |= set(next(state.batches).tolist())
    assert len(held) == 2 * CLASSES and len(drawn) == len(ROWS) - len(held) and not held & drawn


def test_too_few_images_to_hold_out_are_an_error() -> None:
    network, source = build("pads")
    state = begin(network, source)
    state.labels = torch.zeros(3, dtype=torch.int64)
    with pytest.raises(OodmlError, match="holds out"):
        network.method.on_start(state)


def test_the_histogram_moves_every_so_many_steps_only() -> None:
    network, source = build("pads", every=10)
    method = network.method
    assert isinstance(method, Pads)
    seen: list[Tensor] = []
    score = scorer(network, source)

    def look(step: int) -> None:
        seen.append(method.histogram.clone())

    train(network, source, ROWS, data()[1], OPTIONS, "run", score=score, on_step=look)
    moved = [step + 1 for step in range(1, 30) if not torch.equal(seen[step], seen[step - 1])]
    assert moved == [10, 20, 30]
    assert not torch.equal(seen[0], initial_histogram()) and int(method.policy.updates) == 3


@pytest.mark.parametrize(("reward", "expected"), [("recall", 0.2), ("nmi", 0.6), ("both", 0.4)])
def test_the_reward_is_recall_or_nmi_or_their_mean(reward: str, expected: float) -> None:
    network, source = build("pads", reward=reward)
    state = begin(network, source)
    method = network.method
    assert isinstance(method, Pads)
    known = dict(zip(METRICS, (0.2, 0.3, 0.4, 0.5, 0.1, math.nan, 0.6), strict=True))
    state.score = lambda rows, metrics: {name: known[name] for name in metrics}
    state.step = 30
    method.after_step(state)
    assert float(method.policy.last_metric) == pytest.approx(expected)
    assert method.policy.observations.recent[-1].tolist() == pytest.approx([0.2, 0.3, 0.4, 0.5, 0.1, 0, 0.6])


@pytest.mark.parametrize("option", [{"reward": "f1"}, {"holdout": "x"}, {"actions": "1,x"}, {"actions": "1"}])
def test_wrong_options_are_errors(option: dict[str, Scalar]) -> None:
    with pytest.raises(OodmlError, match="pads"):
        pads(**option)


def test_actions_are_read_from_text() -> None:
    assert multipliers("0.5, 1,1.5").tolist() == [0.5, 1.0, 1.5]
    with pytest.raises(OodmlError):
        multipliers("1,-1")


def run(checkpoint: Checkpoint | None = None, on_step: OnStep = undisturbed) -> tuple[NDArray[np.float32], Tensor]:
    network, source = build("pads", every=4)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        score = scorer(network, source)
        train(network, source, ROWS, data()[1], OPTIONS, "run", score=score, checkpoint=checkpoint, on_step=on_step)
    method = network.method
    assert isinstance(method, Pads)
    return embed(network, source, ROWS), nn.utils.parameters_to_vector([method.histogram, *method.policy.parameters()])


@pytest.mark.parametrize("die_at", [3, 13])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path: Path, die_at: int) -> None:
    whole, policy = run()
    resumed, again = run(killed(run, tmp_path / "run", die_at))
    assert np.array_equal(whole, resumed) and torch.equal(policy, again)


def test_the_loss_is_the_margin_loss_of_its_triplets() -> None:
    z = functional.normalize(torch.randn(8, 8, generator=generator()), dim=1)
    labels = torch.arange(4).repeat_interleave(2)
    method, twin = pads(), pads()
    triplets = twin.mine(z, labels)
    terms = []
    for a, p, n in zip(*(t.tolist() for t in triplets), strict=True):
        terms += [float((z[a] - z[p]).norm()) - 0.6 + 0.2, 0.6 - float((z[a] - z[n]).norm()) + 0.2]
    active = [t for t in terms if t > 0]
    assert float(method.criterion(z, labels, method.mine(z, labels)).detach()) == pytest.approx(
        sum(active) / max(1, len(active)), abs=1e-3
    )
