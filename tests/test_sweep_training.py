"""How a sweep trains: a method's exceptions, checkpoints of unfinished runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import oodml
from oodml import registry
from oodml.dataset_ref import DatasetRef
from oodml.datasets import load_dataset
from oodml.evaluation import evaluate
from oodml.make_splits import ladder_from_dataset
from oodml.methods.cards import CARDS
from oodml.prepared_sweep import SweepOptions, cautions, prepare_sweep
from oodml.records import Ladder, Scalar
from oodml.results import read_plan

TRAIN = {"steps": 4, "batch_size": 16, "per_class": 4, "embedding_dim": 6}


@pytest.fixture(scope="module")
def ladder(vectors_file: Path) -> Ladder:
    spec = f"embeddings:{vectors_file}"
    return ladder_from_dataset(load_dataset(spec), spec, levels=2, episodes=1, null_draws=5)


def sweep(ladder: Ladder, out: Path, **options: Any) -> None:
    chosen = {"methods": ["frozen", "margin"], "seeds": [0], "levels": [0], "workers": 1, "settings": {"train": TRAIN}}
    oodml.run_sweep(ladder, out=out, **{**chosen, **options})


def test_the_users_training_options_go_before_a_methods_exceptions(
    ladder: Ladder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = replace(CARDS["margin"], training={"*": {"warmup_epochs": 2, "lr": 0.5}})
    monkeypatch.setitem(registry.targets("method"), "margin", card)
    sweep(ladder, tmp_path, preset="paper", settings={"train": {**TRAIN, "lr": 0.25}})
    specs = read_plan(tmp_path)["spec"].map(json.loads)
    training = {spec["method"]: dict(spec["training"]) for spec in specs}
    assert (training["margin"]["warmup_epochs"], training["margin"]["lr"]) == (2, 0.25)
    assert (training["frozen"]["warmup_epochs"], training["frozen"]["lr"]) == (0, 0.25)


def test_an_unfinished_run_is_put_away_and_goes_with_its_checkpoint(
    ladder: Ladder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    evaluation_hook(monkeypatch, lambda: seen.append([f.stem for f in (tmp_path / "checkpoints").iterdir()]))
    sweep(ladder, tmp_path, methods=["margin"], checkpoint_every=1e-9)
    assert seen == [[oodml.read_runs(tmp_path)["run_id"].iloc[0]]]
    assert not list((tmp_path / "checkpoints").iterdir())


def evaluation_hook(monkeypatch: pytest.MonkeyPatch, call: Callable[[], None]) -> None:
    """Calls back when a run is scored, which is when its training is over and its file not yet written."""

    def hooked(*args: Any, **kwargs: Any) -> Any:
        call()
        return evaluate(*args, **kwargs)

    monkeypatch.setattr("oodml.runner.evaluate", hooked)


def test_a_training_side_smaller_than_a_batch_is_pointed_out(ladder: Ladder, tmp_path: Path) -> None:
    dataset = DatasetRef(ladder.dataset, dict(ladder.dataset_options))
    size = len(dataset.open_for(ladder).rows_of(ladder.levels[1].train))
    for batch, expected in ((size, []), (2 * size, [f"level 1 has {size} training samples"])):
        train: dict[str, Scalar] = {**TRAIN, "batch_size": batch, "per_class": 1}
        options = SweepOptions(methods=["frozen"], levels=[1], settings={"train": train})
        found = cautions(prepare_sweep(ladder, dataset, options, tmp_path))
        assert [text.partition(",")[0] for text in found] == expected
