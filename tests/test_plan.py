"""Plans: the grid, identity, options, the plan file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oodml import registry, schema, store
from oodml.errors import UnknownNameError, UsageError
from oodml.plan import make_plan, parse_levels, parse_seeds, save_plan
from oodml.prepared_sweep import SweepOptions, starts_from_scratch
from oodml.presets import PAPER, QUICK, Situation, TrainingOptions, training_options
from oodml.records import Ladder, RunSpec
from oodml.splits import make_ladder


@pytest.fixture(scope="module")
def ladder() -> Ladder:
    means = np.random.default_rng(0).normal(size=(24, 4))
    return make_ladder(means, [f"c{i:02d}" for i in range(24)], levels=3, dataset="glyphs")


def plan(ladder: Ladder, **changes: object) -> list[RunSpec]:
    arguments: dict[str, object] = {
        "methods": ["frozen", "margin"],
        "seeds": [0, 1],
        "backbone": "test_resnet",
        "backbone_config": {"name": "test_resnet", "weights": "none"},
        "from_scratch": True,
        "training": QUICK,
    }
    return make_plan(ladder, **{**arguments, **changes})  # type: ignore[arg-type]


def test_the_grid_is_complete_with_seeds_outermost(ladder: Ladder) -> None:
    specs = plan(ladder)
    assert [(s.seed, s.level, s.method) for s in specs] == [
        (seed, level, method)
        for seed in (0, 1)
        for level in range(len(ladder.levels))
        for method in ("frozen", "margin")
    ]
    assert len({s.run_id for s in specs}) == len(specs)


def test_what_trains_nothing_on_given_weights_runs_once(ladder: Ladder) -> None:
    specs = plan(ladder, from_scratch=False)
    assert [s.seed for s in specs if s.method == "frozen"] == [0] * len(ladder.levels)
    assert len([s for s in specs if s.method == "margin"]) == 2 * len(ladder.levels)


def test_a_run_is_named_by_everything_that_can_change_its_numbers(ladder: Ladder) -> None:
    spec = plan(ladder)[1]
    changed = [
        replace(spec, level=2),
        replace(spec, seed=9),
        replace(spec, selection="val"),
        replace(spec, config=(("beta", 0.6),)),
        replace(spec, training=(("steps", 1),)),
        replace(spec, backbone_config=(("weights", "sha256:0"),)),
        replace(spec, ladder_hash="other"),
    ]
    assert len({s.run_id for s in [spec, *changed]}) == len(changed) + 1
    assert replace(spec).run_id == spec.run_id


def test_overridden_options_are_resolved_into_the_spec(ladder: Ladder) -> None:
    spec = plan(ladder, methods=["margin"], settings={"margin": {"beta": 1}})[0]
    assert dict(spec.config) == {"beta": 1.0, "margin": 0.2, "beta_lr": 5e-4, "published": False}


def test_wrong_names_are_refused_with_a_suggestion(ladder: Ladder) -> None:
    with pytest.raises(UnknownNameError, match="unknown method 'margn'; did you mean 'margin'"):
        plan(ladder, methods=["margn"])
    with pytest.raises(UnknownNameError, match=r"unknown option of method 'margin' 'bta'; did you mean 'beta'"):
        plan(ladder, settings={"margin": {"bta": 1}})
    with pytest.raises(UnknownNameError, match="unknown method 'train2'"):
        plan(ladder, settings={"train2": {"x": 1}})
    with pytest.raises(UsageError, match="method 'arcface' is not in this sweep"):
        plan(ladder, settings={"arcface": {"scale": 1}})
    with pytest.raises(UnknownNameError, match="unknown selection 'best'"):
        plan(ladder, selection="best")


def test_seeds_and_levels_are_read_as_written(ladder: Ladder) -> None:
    assert parse_seeds("3") == [0, 1, 2]
    assert parse_seeds("5,7") == [5, 7]
    assert parse_seeds("4,") == [4]
    for text in ("0", "a", "1,1", "-1,2"):
        with pytest.raises(UsageError, match="--seeds"):
            parse_seeds(text)
    default = ladder.default_level
    assert parse_levels("default", ladder) == [default]
    assert parse_levels("2,0,2", ladder) == [0, 2]
    with pytest.raises(UsageError, match="has no level '9'"):
        parse_levels("9", ladder)


def test_the_plan_file_keeps_what_it_has_and_adds_what_is_new(ladder: Ladder, tmp_path: Path) -> None:
    path = tmp_path / "plan.parquet"
    save_plan(path, plan(ladder, seeds=[0]), "demo")
    before = path.read_bytes()
    save_plan(path, plan(ladder, seeds=[0]), "demo")
    assert path.read_bytes() == before
    save_plan(path, plan(ladder, seeds=[0, 1]), "demo")
    table = store.read_table(path, schema.PLAN)
    assert table.num_rows == len(plan(ladder, seeds=[0, 1]))
    assert set(table.column("run_id").to_pylist()) == {s.run_id for s in plan(ladder, seeds=[0, 1])}


def options(preset: str = "quick", from_weights: bool = False, **overrides: Any) -> TrainingOptions:
    return training_options(preset, Situation(dataset="cub200", from_weights=from_weights), overrides)


def test_the_paper_preset_is_the_studys_protocol() -> None:
    paper = training_options("paper", Situation(dataset="sop"), {})
    assert (paper.optimizer, paper.lr, paper.weight_decay, paper.batch_size) == ("adam", 1e-5, 4e-4, 112)
    assert (paper.image_size, paper.resize, paper.fit, paper.flip) == (224, 256, "crop", True)
    assert (paper.epochs, paper.num_steps(59551)) == (150, 150 * 531)
    assert paper.num_steps(50) == 150  # fewer samples than a batch: one step an epoch, not none
    assert paper.freeze_batch_norm and paper.embedding_dim == 512 and paper.per_class == 2


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"stps": 1}, "unknown training option 'stps'; did you mean 'steps'"),
        ({"batch_size": 10, "per_class": 4}, "multiple of train.per_class"),
        ({"sampler": "fancy"}, "unknown value of train.sampler"),
        ({"lr": "fast"}, "train.lr takes a number"),
        ({"lr": -1.0}, "cannot be negative"),
        ({"steps": 0}, "both 0"),
        ({"crop_min_scale": 2.0}, "crop_min_scale"),
        ({"resize": 16, "image_size": 32}, "smaller than train.image_size"),
    ],
)
def test_unusable_training_options_say_why(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises((UsageError, UnknownNameError), match=message):
        options(**overrides)


def test_quick_is_gentle_with_trained_weights_and_paper_is_what_it_is() -> None:
    assert options(from_weights=True) == replace(
        QUICK, image_size=64, resize=64, flip=True, lr=1e-4, freeze_batch_norm=True
    )
    assert options(from_weights=True, lr=0.01).lr == 0.01
    assert options("paper", from_weights=True) == options("paper")


@pytest.mark.parametrize(
    ("given", "scratch"),
    [
        ({}, True),  # the quick preset's own network
        ({"pretrained": True}, False),
        ({"backbone": "resnet50.tv_in1k"}, False),
        ({"backbone": "resnet50.tv_in1k", "pretrained": False}, True),
        ({"preset": "paper"}, False),
        ({"weights": Path("own.pth")}, False),
        ({"weights": Path("own.pth"), "pretrained": False}, False),
    ],
)
def test_a_network_starts_from_scratch_only_without_weights(given: dict[str, Any], scratch: bool) -> None:
    assert starts_from_scratch(SweepOptions(**given)) is scratch


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown preset 'papr'; did you mean 'paper'"):
        options("papr")


def test_the_paper_preset_treats_some_methods_differently(ladder: Ladder) -> None:
    situation = Situation(dataset="sop")
    card = registry.load("method", "proxy_anchor")
    assert card.paper_training("sop") == {"warmup_epochs": 1} and card.paper_training("cub200") == {}
    own = training_options("paper", situation, card.paper_training("sop"))
    specs = plan(ladder, methods=["margin", "proxy_anchor"], training=PAPER, exceptions={"proxy_anchor": own})
    assert {(s.method, dict(s.training)["warmup_epochs"]) for s in specs} == {("margin", 0), ("proxy_anchor", 1)}
