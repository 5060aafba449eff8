"""The table of the library's losses: complete, every option used, every replaced class worth replacing."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from catalog_case import CLASSES, DIM, LABELS, loss_of, make, raw_vectors, value_of
from method_case import OPTIONS, ROWS, OnStep, build, data, killed, undisturbed
from pytorch_metric_learning import distances, losses, miners, reducers, regularizers
from torch.nn import functional

from oodml import registry
from oodml.checkpoints import Checkpoint
from oodml.methods.base import number
from oodml.methods.cards.library import EXCLUDED, LIBRARY, OWN
from oodml.methods.cards.library_record import LibraryLoss, Part, options_of
from oodml.methods.catalog import REPLACED
from oodml.model import embed
from oodml.records import Scalar
from oodml.training import train

RUN = {"num_classes", "embedding_dim"}
UNSEEN = {("pnp", "alpha"), ("pnp", "b"), ("dynamic_soft_margin", "momentum"), ("manifold", "proxies")}
"""Options that a first loss of the small batch does not show; tests of their own set them."""

each = pytest.mark.parametrize("record", LIBRARY, ids=lambda record: record.name)


def public(module: object) -> set[str]:
    return {name for name, value in vars(module).items() if inspect.isclass(value) and not name.startswith("_")}


def parts_of(record: LibraryLoss) -> list[Part]:
    todo = [part for term in record.terms for part in (term.loss, term.miner) if isinstance(part, Part)]
    found = []
    while todo:
        found.append(todo.pop())
        todo += [value for value in found[-1].keywords.values() if isinstance(value, Part)]
    return found


def test_every_loss_of_the_installed_library_has_its_place() -> None:
    in_catalog = {term.loss.name for record in LIBRARY for term in record.terms}
    missing = sorted(public(losses) - in_catalog - set(OWN) - set(EXCLUDED))
    assert not missing, (
        f"pytorch_metric_learning.losses has {', '.join(missing)}: give each a record in a cards/library_*.py and a "
        "naive function in tests/methods/test_catalog_*.py, or a line in OWN or EXCLUDED of cards/library.py"
    )


def test_the_table_names_nothing_that_the_library_lacks() -> None:
    known = set().union(*(public(module) for module in (losses, miners, distances, reducers, regularizers)))
    named = {part.name for record in LIBRARY for part in parts_of(record)} | set(OWN) | set(EXCLUDED) | set(REPLACED)
    stale = sorted(named - known)
    assert not stale, f"no classes of the installed pytorch_metric_learning: {', '.join(stale)}; drop or rename them"


def test_a_loss_has_one_place_only_and_own_methods_exist() -> None:
    main = {record.terms[0].loss.name for record in LIBRARY} - {"MultiSimilarityLoss", "TripletMarginLoss"}
    assert not main & set(OWN) and not main & set(EXCLUDED) and not set(OWN) & set(EXCLUDED)
    assert set(OWN.values()) <= set(registry.names("method"))
    used = {part.name for record in LIBRARY for part in parts_of(record)}
    assert set(REPLACED) <= used, "a replacement that no record uses"


@each
def test_a_record_is_complete_and_uses_every_option(record: LibraryLoss) -> None:
    assert record.group == "catalog" and record.equation and record.name.isidentifier()
    assert all(word in record.paper for word in (", ", " 20")) and record.summary.endswith(".")
    trained = list(make(record.name).losses.parameters())
    assert set(options_of(*record.terms)) - RUN == set(record.options) - {"class_lr"}
    assert ("class_lr" in record.options) == bool(trained)


def another(default: Scalar) -> Scalar:
    if isinstance(default, str):
        return "Ds"
    return default + 1 if isinstance(default, int) else 0.9 * number({"x": default}, "x") + 0.03


@each
def test_every_option_changes_the_loss(record: LibraryLoss) -> None:
    for option, default in record.options.items():
        if option == "class_lr" or (record.name, option) in UNSEEN:
            continue
        other = another(default)
        changed = value_of(make(record.name, **{option: other}), raw_vectors())
        assert changed != value_of(make(record.name), raw_vectors()), option


def test_options_that_a_first_loss_does_not_show_arrive() -> None:
    assert make("dynamic_soft_margin", momentum=0.25).losses[0].momentum == 0.25
    few = make("manifold", proxies=4).losses[0]
    assert few.get_parameter("proxies").shape == (4, DIM)
    assert sorted(few.get_buffer("groups").tolist()) == [0, 0, 1, 1, 2, 3]
    assert make("manifold").losses[0].get_parameter("proxies").shape == (CLASSES, DIM)


@each
def test_class_vectors_start_as_the_record_says_and_train_at_their_own_rate(record: LibraryLoss) -> None:
    method = make(record.name)
    for term, loss in zip(record.terms, method.losses, strict=True):
        for parameter in loss.parameters():
            if term.initial == "uniform":
                assert 0.9 / DIM**0.5 < float(parameter.detach().abs().max()) <= 1 / DIM**0.5
            elif term.initial == "normal/8":
                assert 0.08 < float(parameter.detach().std()) < 0.17
            else:
                norms = parameter.detach().norm(dim=0)  # p2s_grad, whose library keeps them at unit length
                assert torch.allclose(norms, torch.ones_like(norms), atol=1e-4)
    expected = [(5e-4, 0.0)] if "class_lr" in record.options else []
    assert [(group["lr"], group["weight_decay"]) for group in method.extra_groups()] == expected


@each
def test_a_loss_draws_from_no_global_generator(record: LibraryLoss) -> None:
    method = make(record.name)
    before, numpy_before = torch.get_rng_state(), repr(np.random.get_state(legacy=False))  # noqa: NPY002
    loss_of(method, raw_vectors().requires_grad_()).backward()
    assert torch.equal(before, torch.get_rng_state())
    assert numpy_before == repr(np.random.get_state(legacy=False))  # noqa: NPY002


@each
def test_copies_and_opposites_give_a_finite_gradient(record: LibraryLoss) -> None:
    x = torch.stack([sign * torch.arange(1.0, DIM + 1) for sign in (1, 1, -1, -1, 1, -1)]).requires_grad_()
    for labels in ((0, 0, 1, 1, 1, 0), (0, 0, 0, 1, 1, 1), (2, 2, 2, 2, 2, 2), (0, 1, 2, 3, 4, 5)):
        x.grad = None
        loss = loss_of(make(record.name), x, labels)
        loss.backward()
        assert loss.isfinite() and x.grad is not None and x.grad.isfinite().all()


def test_neighbourhood_components_are_zero_without_positive_pairs() -> None:
    x = torch.randn(4, DIM, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = loss_of(make("nca"), x, (0, 1, 2, 3))
    loss.backward()
    assert float(loss.detach()) == 0 and x.grad is not None


BALANCED = (0, 0, 0, 1, 1, 1, 2, 2, 2)
AS_IN_THE_LIBRARY = {
    "intra_pair_variance": [(losses.TupletMarginLoss(), 1.0), (losses.IntraPairVarianceLoss(), 0.5)],
    "histogram": [(losses.HistogramLoss(n_bins=64), 1.0)],
    "lifted_structure": [(losses.LiftedStructureLoss(), 1.0)],
    "ntxent": [(losses.NTXentLoss(), 1.0)],
    "pnp": [(losses.PNPLoss(), 1.0)],
    "smooth_ap": [(losses.SmoothAPLoss(), 1.0)],
    "tuplet_margin": [(losses.TupletMarginLoss(), 1.0)],
}


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
@pytest.mark.parametrize("name", AS_IN_THE_LIBRARY)
def test_replaced_classes_give_the_loss_and_gradient_of_the_library(name: str) -> None:
    ours, theirs = (raw_vectors(BALANCED).requires_grad_() for _ in range(2))
    value = loss_of(make(name), ours, BALANCED)
    expected = sum(weight * loss(theirs, torch.tensor(BALANCED)) for loss, weight in AS_IN_THE_LIBRARY[name])
    value.backward()
    expected.backward()
    assert float(value.detach()) == pytest.approx(float(expected.detach()), rel=1e-4)
    assert ours.grad is not None and theirs.grad is not None
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-4)


def test_replaced_distances_and_regularisers_agree_with_the_library() -> None:
    z = functional.normalize(raw_vectors(), dim=1)
    ratios = REPLACED["SNRDistance"]()(z)
    assert torch.allclose(ratios, distances.SNRDistance()(z), atol=1e-4) and not ratios.diag().any()
    ours = REPLACED["ThresholdConsistentMarginLoss"](1.0, 2.0, 0.8, 0.3)(z, torch.tensor(LABELS))
    theirs = losses.ThresholdConsistentMarginLoss(1.0, 2.0, 0.8, 0.3)(z, torch.tensor(LABELS))
    assert float(ours) == pytest.approx(float(theirs), rel=1e-4)
    weights = torch.randn(12, DIM, generator=torch.Generator().manual_seed(0))
    centers = regularizers.SparseCentersRegularizer(4, 3)(weights)
    assert float(REPLACED["SparseCentersRegularizer"](4, 3)(weights)) == pytest.approx(float(centers), rel=1e-4)


def test_the_manifold_loss_is_the_library_s_given_the_same_proxies() -> None:
    z, own = functional.normalize(raw_vectors(), dim=1), torch.tensor(LABELS)
    ours = REPLACED["ManifoldLoss"](CLASSES, DIM, 128, 0.5, 0.7, 0.002)
    theirs = losses.ManifoldLoss(l=DIM, K=CLASSES, lambdaC=0.5, alpha=0.7, margin=0.002)
    ours.register_buffer("groups", torch.arange(CLASSES))
    theirs.load_state_dict({"proxies": ours.get_parameter("proxies")})
    value, expected = ours(z, own), theirs(z, None, own)
    assert float(value.detach()) == pytest.approx(float(expected.detach()), rel=1e-4)


def test_the_running_histogram_survives_a_killed_run(tmp_path: Path) -> None:
    def run(checkpoint: Checkpoint | None = None, on_step: OnStep = undisturbed) -> np.ndarray:
        network, source = build("dynamic_soft_margin")
        train(network, source, ROWS, data()[1], OPTIONS, "run", checkpoint=checkpoint, on_step=on_step)
        return embed(network, source, ROWS)

    assert np.array_equal(run(killed(run, tmp_path / "state", after=7)), run())
