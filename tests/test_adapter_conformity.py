"""Every registered adapter keeps the contract of `oodml.adapters.base`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import pytest
import torch
from adapter_case import adapter, problems, trained
from torch import Tensor

from oodml import registry
from oodml.adapters.base import Adapter, Problem, Trained
from oodml.adapters.cards import CARDS, AdapterInfo
from oodml.errors import UsageError
from oodml.evaluation import evaluate_embeddings

NAMES = registry.names("adapter")
METHODS = ["frozen", "margin", "diva", "icnn", "subspaces"]
MAY_REFUSE = {"subspaces"}  # unit slices that the method itself divides and moves
KINDS = {"embeddings", "heads", "network"}


def build(name: str) -> Adapter:
    """An adapter from its defaults, with few steps where it trains."""
    card: AdapterInfo = registry.load("adapter", name)
    return adapter(name, steps=5) if "steps" in card.options else adapter(name)


def adapt(name: str, found: Sequence[Problem]) -> list[Tensor]:
    return list(build(name).adapt(found))


@cache
def model_of(method: str, noise: float = 0.0) -> Trained:
    return trained(method, noise=noise)


def adapted_or_refused(name: str, method: str, found: Sequence[Problem]) -> list[Tensor]:
    """What the adapter yields; the test is over where it refuses a method that it may refuse."""
    try:
        return adapt(name, found)
    except UsageError as error:
        if method not in MAY_REFUSE:
            raise
        assert method in str(error).lower() and len(str(error)) > 40
        pytest.skip(f"{name} does not serve {method}: {error}")


def check_shapes(found: Sequence[Problem], yielded: Sequence[Tensor]) -> None:
    assert len(yielded) == len(found)
    for problem, z in zip(found, yielded, strict=True):
        assert z.ndim == 2 and len(z) == len(problem.queries) and z.shape[1] > 0
        assert z.dtype == torch.float32 and not z.requires_grad
        assert z.isfinite().all()


def test_records_and_registry_agree() -> None:
    assert all(name == card.name for name, card in CARDS.items())
    assert "none" in CARDS
    for card in CARDS.values():
        assert card.summary.endswith(".") and card.paper and card.equation, card.name
        assert card.works_on in KINDS
        assert callable(registry.resolve(card.target))
        assert card.resolve_options({}) == dict(card.options)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NAMES)
def test_every_problem_gets_finite_rows_in_order(name: str, method: str) -> None:
    model = model_of(method)
    found = problems(model, 2, 2) + problems(model, 3, 1, classes=[0, 2, 3])  # other numbers of queries
    yielded = adapted_or_refused(name, method, found)
    check_shapes(found, yielded)
    for problem, z in zip(found, yielded, strict=True):
        labels = model.labels[problem.queries]
        scores = evaluate_embeddings(z.numpy(), labels, metrics=["map_at_r"], distance=build(name).distance(model))
        assert 0 < scores["map_at_r"] <= 1


@pytest.mark.parametrize("noise", [0.0, 0.1], ids=["vectors", "augmented"])
@pytest.mark.parametrize("name", NAMES)
def test_a_problem_gets_the_same_values_alone_and_beside_others(name: str, noise: float) -> None:
    model, other = model_of("margin", noise), model_of("icnn", noise)
    found = problems(model, 2, 2) + problems(other, 2, 1) + problems(model, 3, 1)
    together = adapt(name, found)
    for problem, z in zip(found, together, strict=True):
        assert torch.equal(adapt(name, [problem])[0], z)
    for z, again in zip(together[::-1], adapt(name, found[::-1]), strict=True):
        assert torch.equal(z, again)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_numbers_in_a_new_model(name: str) -> None:
    first, again = (adapt(name, problems(trained("margin", 1, noise=0.1), 2, 2)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("method", ["margin", "diva"])
@pytest.mark.parametrize("name", NAMES)
def test_the_trained_network_and_the_global_generator_stay_as_they_are(name: str, method: str) -> None:
    model = trained(method, noise=0.1)
    network = model.network
    before = {key: value.clone() for key, value in network.state_dict().items() if isinstance(value, Tensor)}
    wanted = [p.requires_grad for p in network.parameters()]
    generator = torch.get_rng_state()
    adapt(name, problems(model, 2, 2))
    after = {key: value for key, value in network.state_dict().items() if isinstance(value, Tensor)}
    assert before.keys() == after.keys() and all(torch.equal(after[key], value) for key, value in before.items())
    assert not any(module.training for module in network.modules())
    assert wanted == [p.requires_grad for p in network.parameters()]
    assert all(p.grad is None or not p.grad.any() for p in network.parameters())
    assert torch.equal(generator, torch.get_rng_state())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NAMES)
def test_one_class_and_one_shot_give_finite_rows(name: str, method: str) -> None:
    model = model_of(method)
    for found in (problems(model, 2, 1, classes=[1]), problems(model, 1, 2), problems(model, 1, 1, classes=[1])):
        check_shapes(found, adapted_or_refused(name, method, found))


@pytest.mark.parametrize("name", NAMES)
def test_no_problems_give_nothing(name: str) -> None:
    assert adapt(name, []) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_method_with_a_distance_of_its_own_is_served(name: str) -> None:
    model = trained("margin")
    model.network.method.distance = lambda queries, gallery: -torch.cdist(queries, gallery, 1)
    found = problems(model, 2, 1)
    z, distance = adapt(name, found)[0], build(name).distance(model)
    labels = model.labels[found[0].queries]
    assert evaluate_embeddings(z.numpy(), labels, metrics=["recall_at_1"], distance=distance)["recall_at_1"] > 0


def test_the_control_is_the_network_itself() -> None:
    model = model_of("margin")
    problem = problems(model, 2, 1)[0]
    assert torch.equal(adapt("none", [problem])[0], model.embeddings[torch.from_numpy(problem.queries)])
