"""Fine-tuning of the last layers: what trains, in which steps, and that problems do not see each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from adapter_case import adapter, problems, recall, trained
from torch import Tensor, nn
from torch.nn import functional

from oodml.adapters import linear, protocol
from oodml.adapters.base import Problem, Trained
from oodml.adapters.criteria import CRITERIA
from oodml.adapters.heads import trainable
from oodml.errors import UsageError
from oodml.methods.base import Method, Output
from oodml.records import Scalar

BATCH, STEPS, LR, VIEWS, BETA, MARGIN = 12, 8, 3e-3, 3, 1.2, 0.2
QUICK: Mapping[str, Scalar] = {"batch_size": BATCH, "steps": STEPS, "lr": LR, "views": VIEWS}


def adapt(found: list[Problem], **overrides: Scalar) -> list[Tensor]:
    return list(adapter("linear", **{**QUICK, **overrides}).adapt(found))


def positive_of(labels: list[int], anchor: int, u: float) -> int:
    others = [j for j, label in enumerate(labels) if label == labels[anchor] and j != anchor]
    return others[int(u * len(others))]


def negative_of(z: Tensor, labels: list[int], anchor: int, u: float) -> int:
    dim, others = z.shape[1], [j for j, label in enumerate(labels) if label != labels[anchor]]
    weights = []
    for j in others:
        d = min(max(float((z[anchor] - z[j]).norm()), 0.5), 1.999)
        weights.append(math.exp((2 - dim) * math.log(d) - (dim - 3) / 2 * math.log(1 - d * d / 4)))
    reached = np.cumsum(weights)
    return others[int(np.searchsorted(reached, (1 - u) * reached[-1]))]


def margin_loss(z: Tensor, labels: list[int], uniform: Tensor) -> Tensor:
    terms = []
    for i in range(len(labels)):
        n = negative_of(z.detach(), labels, i, float(uniform[i, 0]))
        p = positive_of(labels, i, float(uniform[i, 1]))
        terms.append(((z[i] - z[p]).square().sum() + 1e-8).sqrt() - BETA + MARGIN)
        terms.append(BETA - ((z[i] - z[n]).square().sum() + 1e-8).sqrt() + MARGIN)
    active = [term for term in terms if term > 0]
    return torch.stack([z.sum() * 0, *active]).sum() / max(1, len(active))


def plain(problem: Problem, layer: nn.Linear) -> Tensor:
    """Adapted query embeddings by a loop over steps with one layer, Adam, and the same draws."""
    (c, k), model = problem.support.shape, problem.model
    generator = problem.generator("batches")
    classes = torch.randint(c, (STEPS, BATCH // 2, 1), generator=generator)
    members = torch.randint(k, (STEPS, BATCH // 2, 2), generator=generator)
    views = torch.randint(VIEWS, (STEPS, BATCH), generator=generator)
    uniform = torch.rand(STEPS, BATCH, 2, generator=problem.generator("mining"))
    optimizer = torch.optim.Adam(layer.parameters(), lr=LR)
    for step in range(STEPS):
        labels, rows = [], []
        for place in range(BATCH):
            label, member = int(classes[step, place // 2, 0]), int(members[step, place // 2, place % 2])
            image = problem.support[label, member]
            rows.append(model.views(np.array([image]), VIEWS)[0, int(views[step, place])])
            labels.append(label)
        z = functional.normalize(layer(torch.stack(rows)), dim=1)
        optimizer.zero_grad()
        margin_loss(z, labels, uniform[step]).backward()
        optimizer.step()
    with torch.no_grad():
        return functional.normalize(layer(model.pooled[torch.from_numpy(problem.queries)]), dim=1)


@pytest.mark.parametrize("shots", [1, 2, 5])
def test_many_problems_at_once_give_what_a_loop_with_one_layer_gives(shots: int) -> None:
    model = trained(noise=0.3)
    found = problems(model, shots)
    for problem, z in zip(found, adapt(found), strict=True):
        layer = deepcopy(model.network.method.heads["embedding"])
        assert isinstance(layer, nn.Linear)
        before = z - problem.rows_of(model.embeddings, problem.queries)
        torch.testing.assert_close(z, plain(problem, layer), rtol=0, atol=1e-5)
        assert float(before.abs().max()) > 0.01


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_problem_gets_exactly_the_same_whatever_trains_beside_it(
    criterion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "STEPS_FEW", 4)
    monkeypatch.setattr(protocol, "STEPS_MORE", 7)
    one, other = trained(noise=0.3), trained(seed=1, noise=0.3)
    found = [*problems(one, 2, 2), *problems(other, 5, 2), *problems(one, 5, 1), *problems(other, 2, 2, classes=[1, 4])]
    assert trainable(one).group() == trainable(other).group()
    together = adapt(found, steps=0, criterion=criterion)
    for problem, z in zip(found, together, strict=True):
        assert torch.equal(adapt([problem], steps=0, criterion=criterion)[0], z)
    monkeypatch.setattr(linear, "BUDGET", 1)  # one after the other
    assert all(torch.equal(*pair) for pair in zip(adapt(found, steps=0, criterion=criterion), together, strict=True))


def test_more_shots_take_more_steps_and_those_with_fewer_keep_what_they_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "STEPS_FEW", 4)
    monkeypatch.setattr(protocol, "STEPS_MORE", 7)
    model = trained()
    found = [*problems(model, 2, 1), *problems(model, 5, 1)]
    by_protocol = adapt(found, steps=0)
    assert torch.equal(by_protocol[0], adapt(found, steps=4)[0])
    assert torch.equal(by_protocol[1], adapt(found, steps=7)[1])
    assert not torch.equal(by_protocol[1], adapt(found, steps=4)[1])


@pytest.mark.parametrize("criterion", CRITERIA)
def test_recall_rises(criterion: str) -> None:
    model = trained(noise=0.3)
    found = problems(model, 5)
    before = [recall(p, p.rows_of(model.embeddings, p.queries)) for p in found]
    adapted = adapt(found, steps=150, lr=1e-2, batch_size=20, criterion=criterion)
    after = [recall(p, z) for p, z in zip(found, adapted, strict=True)]
    assert np.mean(after) > np.mean(before) + 0.05


def test_fewer_images_than_a_batch_still_train() -> None:
    model = trained()
    (problem,) = problems(model, 2, 1, classes=[0, 2, 3])
    (z,) = adapt([problem], batch_size=112)
    assert z.isfinite().all()
    assert float((z - problem.rows_of(model.embeddings, problem.queries)).abs().max()) > 0.01


def test_one_class_or_one_image_changes_nothing() -> None:
    model = trained()
    for shots in (1, 2):
        (problem,) = problems(model, shots, 1, classes=[1])
        torch.testing.assert_close(adapt([problem])[0], problem.rows_of(model.embeddings, problem.queries))


def tensors_of(model: Trained) -> list[Tensor]:
    return [tensor.detach() for tensor in (*model.network.parameters(), *model.network.buffers())]


def test_the_network_stays_as_it_is() -> None:
    for name in ("margin", "linear", "subspaces"):
        model = trained(name, noise=0.3)
        state = deepcopy(tensors_of(model))
        for parameter in model.network.parameters():
            parameter.grad = None
        for online in (False, True):
            adapt(problems(model, 2, 1), online=online)
        assert all(torch.equal(*pair) for pair in zip(tensors_of(model), state, strict=True))
        assert all(parameter.grad is None for parameter in model.network.parameters())
        assert not model.network.training


def test_without_augmentation_the_protocol_to_the_letter_is_that_with_one_view() -> None:
    for name in ("margin", "diva", "subspaces"):
        model = trained(name)
        found = problems(model, 2, 2)
        for kept, drawn in zip(adapt(found, views=1), adapt(found, online=True), strict=True):
            torch.testing.assert_close(kept, drawn, rtol=0, atol=1e-4)


def test_online_images_are_augmented_anew_in_every_step() -> None:
    model, calls = trained(noise=0.3), list[tuple[Tensor, np.ndarray]]()
    fresh = model.source.train_inputs

    def recorded(rows: np.ndarray, generator: torch.Generator) -> Tensor:
        calls.append((fresh(rows, generator), rows))
        return calls[-1][0]

    model.source.train_inputs = recorded  # type: ignore[method-assign]
    (problem,) = problems(model, 2, 1)
    adapt([problem], online=True)
    assert len(calls) == STEPS
    assert all(np.isin(rows, model.rows[problem.support]).all() for _, rows in calls)
    assert len(torch.cat([inputs for inputs, _ in calls]).unique(dim=0)) == STEPS * BATCH


HEADS = {
    "margin": ["embedding"],
    "s2sd": ["embedding"],
    "mic": ["embedding"],
    "linear": ["embedding.1"],
    "diva": ["discriminative", "shared", "selfsimilarity", "intra"],
}


@pytest.mark.parametrize("name", HEADS)
def test_the_heads_that_the_embedding_is_made_of_train(name: str) -> None:
    names = {n.removeprefix("method.heads.").rsplit(".", 1)[0] for n in trainable(trained(name)).state}
    assert names == set(HEADS[name])


def test_a_method_without_a_head_starts_as_it_is_and_gets_a_square_layer() -> None:
    model = trained("frozen", noise=0.3)
    found = problems(model, 2, 2)
    kept = [p.rows_of(model.embeddings, p.queries) for p in found]
    for before, z in zip(kept, adapt(found, lr=0.0), strict=True):
        torch.testing.assert_close(z, before, rtol=0, atol=1e-6)
    assert all(float((z - before).abs().max()) > 0.01 for before, z in zip(kept, adapt(found), strict=True))


class OfTheMap(Method):
    """An embedding of the corner of the feature map, which pooled features do not show."""

    def forward(self, pooled: Tensor, feature_map: Tensor | None = None) -> Output:
        assert feature_map is not None
        z = functional.normalize(self.heads["embedding"](feature_map[:, :, 0, 0]), dim=1)
        return Output(pooled, feature_map, {"embedding": z})


class OfBoth(OfTheMap):
    """The same, but pooled features do where there is no map."""

    def forward(self, pooled: Tensor, feature_map: Tensor | None = None) -> Output:
        return super().forward(pooled, pooled[:, :, None, None] if feature_map is None else feature_map)


class Demanding(OfTheMap):
    """The same, but it fails without a map as methods do that do not ask for it."""

    def forward(self, pooled: Tensor, feature_map: Any = None) -> Output:
        return super().forward(feature_map.mean((2, 3)), feature_map)


def with_map(kind: type[Method]) -> Trained:
    model: Trained = trained()
    method = model.network.method
    model.network.method = kind(method.context, method.options).eval()
    model.network.method.heads.load_state_dict(method.heads.state_dict())
    return model


@pytest.mark.parametrize("kind", [OfBoth, Demanding])
def test_an_embedding_of_the_feature_map_needs_the_backbone_in_every_step(kind: type[Method]) -> None:
    model = with_map(kind)
    found = problems(model, 2, 2)
    with pytest.raises(UsageError, match=rf"{kind.__name__} depends on the feature map.*online=true"):
        adapt(found)
    for problem, z in zip(found, adapt(found, online=True), strict=True):
        moved = (z - problem.rows_of(model.embeddings, problem.queries)).abs().max()
        assert z.isfinite().all() and float(moved) > 0.01
        assert torch.equal(adapt([problem], online=True)[0], z)
    for problem, z in zip(found, adapt(found, online=True, lr=0.0), strict=True):
        torch.testing.assert_close(z, problem.rows_of(model.embeddings, problem.queries), rtol=0, atol=1e-5)


@pytest.mark.parametrize("wrong", [{"batch_size": 7}, {"batch_size": 0}, {"views": 0}, {"steps": -1}])
def test_options_out_of_range_are_mistakes_of_the_user(wrong: dict[str, Scalar]) -> None:
    with pytest.raises(UsageError):
        adapter("linear", **wrong)
