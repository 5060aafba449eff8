"""How long a sweep will take: from its finished runs where there are any, measured where there are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sweep_files import write_adapted, write_done, write_failed
from typer.testing import CliRunner

from oodml import estimate as module
from oodml.adapting import AdaptOptions, PreparedAdapt
from oodml.app import app
from oodml.dataset_ref import DatasetRef
from oodml.datasets import load_dataset
from oodml.estimate import estimate, estimate_adapting
from oodml.few_shot import few_shot_options, plan_units, unit_path
from oodml.make_splits import ladder_from_dataset
from oodml.prepared_sweep import Prepared, SweepOptions, missing, prepare_sweep
from oodml.records import Ladder, RunSpec
from oodml.splits import save_ladder

TRAIN = {"steps": 4, "batch_size": 16, "per_class": 4, "embedding_dim": 6}


@pytest.fixture(scope="module")
def ladder(vectors_file: Path) -> Ladder:
    spec = f"embeddings:{vectors_file}"
    return ladder_from_dataset(load_dataset(spec), spec, levels=2, episodes=2, null_draws=5)


def prepared(ladder: Ladder, out: Path, **options: Any) -> Prepared:
    values = {"methods": ["margin", "triplet"], "seeds": [0, 1, 2], "workers": 1, "device": "cpu", **options}
    settings = {"train": TRAIN, **values.pop("settings", {})}
    return prepare_sweep(ladder, DatasetRef(ladder.dataset), SweepOptions(settings=settings, **values), out)


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Methods that were measured here, each as 1000 s."""
    names: list[str] = []

    def seconds(bench: Any, spec: RunSpec, threads: int) -> float:
        names.append(spec.method)
        return 1000.0

    monkeypatch.setattr(module, "_seconds", seconds)
    return names


def finish(ready: Prepared, method: str, costs: list[tuple[float, float]], **values: Any) -> None:
    own = [spec for spec in ready.specs if spec.method == method]
    for spec, (train_s, eval_s) in zip(own, costs, strict=False):
        write_done(ready.out, spec, 0.5, train_s=train_s, eval_s=eval_s, **values)


def test_without_finished_runs_every_method_is_measured_once(ladder: Ladder, tmp_path: Path, probed: list[str]) -> None:
    found = estimate(ready := prepared(ladder, tmp_path), ready.specs)
    assert probed == ["margin", "triplet"]
    assert (found.seconds, found.basis) == (12_000.0, "from a few steps of each method here")


def test_finished_runs_of_the_kind_say_how_long_the_others_take(
    ladder: Ladder, tmp_path: Path, probed: list[str]
) -> None:
    ready = prepared(ladder, tmp_path)
    finish(ready, "margin", [(80.0, 20.0), (100.0, 40.0)])
    finish(ready, "triplet", [(30.0, 10.0)])
    write_failed(tmp_path, ready.specs[-1], "why")  # says nothing about time, and is not done again
    todo = missing(ready)
    assert len(todo) == 4 + 4
    found = estimate(ready, todo)
    assert not probed
    assert (found.seconds, found.basis) == (4 * 120.0 + 4 * 40.0, "from 3 finished runs of the same kind")
    several = estimate(prepared(ladder, tmp_path, workers=4), todo)
    assert several.seconds == found.seconds / 4
    assert estimate(prepared(ladder, tmp_path, workers=100), todo).seconds == found.seconds / 8


def test_methods_without_a_finished_run_are_measured_beside_the_others(
    ladder: Ladder, tmp_path: Path, probed: list[str]
) -> None:
    ready = prepared(ladder, tmp_path)
    finish(ready, "margin", [(90.0, 10.0)])
    found = estimate(ready, missing(ready))
    assert probed == ["triplet"] and found.seconds == 5 * 100.0 + 6 * 1000.0
    assert found.basis == "from 1 finished run of the same kind, and a few steps of each other method here"


@pytest.mark.parametrize(
    ("options", "device", "same"),
    [
        ({"settings": {"margin": {"beta": 0.6}}}, "cpu", True),
        ({"seeds": [7], "levels": [1]}, "cpu", True),
        ({"settings": {"train": {**TRAIN, "steps": 40}}}, "cpu", False),
        ({}, "cuda", False),
    ],
    ids=["another number of the method", "other seeds and levels", "longer training", "another device"],
)
def test_the_kind_is_method_network_training_and_device(
    ladder: Ladder, tmp_path: Path, probed: list[str], options: dict[str, Any], device: str, same: bool
) -> None:
    finish(prepared(ladder, tmp_path, methods=["margin"]), "margin", [(5.0, 1.0)], device=device)
    other = prepared(ladder, tmp_path, methods=["margin"], **options)
    found = estimate(other, other.specs)
    assert found.seconds == len(other.specs) * (6.0 if same else 1000.0)
    assert probed == ([] if same else ["margin"])


def test_the_real_probe_measures_a_few_steps(ladder: Ladder, tmp_path: Path) -> None:
    ready = prepared(ladder, tmp_path, methods=["frozen", "margin"])
    assert 0 < estimate(ready, ready.specs).seconds < 600
    frozen = [spec for spec in ready.specs if spec.method == "frozen"]
    assert estimate(ready, frozen).seconds == 0.0


def test_adaptations_are_estimated_from_those_of_the_kind(ladder: Ladder, tmp_path: Path) -> None:
    ready = prepared(ladder, tmp_path)
    few_shot = few_shot_options(ladder, [0, 1], [2], ["linear"])
    units = plan_units(ready.specs, few_shot)
    options = AdaptOptions(workers=2, device="cpu")
    asked = PreparedAdapt([(ready.bench, units)], few_shot, options, tmp_path, [])
    for unit in units[:2]:  # the control and the adapter of the first run: two episodes of 3 s each
        write_adapted(unit_path(tmp_path, unit), unit.spec, unit.adapter.label, 2, [0.5, 0.5])
    margin = [unit for unit in units[2:] if unit.spec.method == "margin"]
    found = estimate_adapting(asked, margin)
    assert found and found.seconds == len(margin) * 6.0 / 2
    assert found.basis == "from 2 finished adaptations of the same kind"
    assert estimate_adapting(asked, units[2:]) is None  # nothing is known of triplet
    assert estimate_adapting(asked, []) is None


def test_the_dry_run_says_where_its_time_comes_from(ladder: Ladder, tmp_path: Path) -> None:
    save_ladder(ladder, tmp_path / "splits")
    train = [part for name, value in TRAIN.items() for part in ("--set", f"train.{name}={value}")]
    command = ["sweep", str(tmp_path / "splits"), "--methods", "margin", "--device", "cpu", "--workers", "1", *train]
    command += ["--out", str(tmp_path / "out"), "--dry-run"]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0 and "s, from a few steps of each method here" in first.output, first.output
    finish(prepared(ladder, tmp_path / "out", methods=["margin"]), "margin", [(1800.0, 0.0), (3600.0, 0.0)])
    second = CliRunner().invoke(app, command)
    assert "time: about 3.0 h, from 2 finished runs of the same kind" in second.output, second.output
