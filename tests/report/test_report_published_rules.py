"""Which ladders and runs count as those of the published study, and what is said of others."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from official_splits import cars_splits, place_cars, place_sop, sop_splits
from published_case import paper_config, published_ladder, published_rows, published_section, recall_near
from report_frames import make_section
from typer.testing import CliRunner

from oodml.app import app
from oodml.dataset_ref import DatasetRef
from oodml.prepared_sweep import SweepOptions, prepare_sweep
from oodml.published import published_study
from oodml.records import Ladder
from oodml.report import Facts, Section
from oodml.report.published import compose_published, why_not_compared
from oodml.report.published_ladder import Match, match_ladder
from oodml.report.published_runs import find_runs, option_differences, training_deviations
from oodml.splits import load_ladder

METHODS = tuple(published_study().methods)


@pytest.fixture(scope="module")
def cars(tmp_path_factory: pytest.TempPathFactory) -> Ladder:
    return published_ladder(tmp_path_factory.mktemp("cars"))


def test_entries_without_a_value_wait(cars: Ladder) -> None:
    rows = published_rows(cars, ["s2sd", "diva"], recall_near())
    for found in rows:
        if found["method"] == "diva":
            found |= {"status": "failed", "error": "no memory", "metric": None, "setting": None, "value": None}
    runs = find_runs(published_section(cars, rows), published_study(), "cars196")
    assert [entry.label for entry in runs.compared] == ["s2sd"] and runs.waiting == ("diva",)


@pytest.mark.parametrize("dataset", ["cars196", "sop"])
def test_the_protocol_is_what_a_sweep_with_the_preset_plans(tmp_path: Path, dataset: str) -> None:
    """The runs are planned by the sweep itself, on small sets; only the weights, which are not at hand, differ."""
    file = tmp_path / "splits.pkl"
    file.write_bytes(pickle.dumps({"cars196": cars_splits, "sop": sop_splits}[dataset]()))
    {"cars196": place_cars, "sop": place_sop}[dataset](tmp_path)
    command = ["import-splits", file, "--dataset", dataset, "--root", tmp_path, "--out", tmp_path / "ladder"]
    assert CliRunner().invoke(app, [str(part) for part in command]).exit_code == 0
    where, options = (
        DatasetRef(dataset, root=tmp_path),
        SweepOptions(preset="paper", methods=("study",), pretrained=False),
    )
    prepared = prepare_sweep(load_ladder(tmp_path / "ladder"), where, options, tmp_path / "out")
    assert {spec.method for spec in prepared.specs} == set(METHODS)
    for spec in prepared.specs:
        found = training_deviations(spec.method, spec.backbone, spec.config_json, dataset)
        assert found == ("a backbone without trained weights",)
        assert option_differences(spec.method, spec.config_json, dataset) == ("weights none, not tv_in1k",)
        assert paper_config(spec.method, dataset).partition('"method"')[2] == spec.config_json.partition('"method"')[2]


def test_every_training_option_but_rounding_counts() -> None:
    assert training_deviations("margin", "resnet50.tv_in1k", paper_config("margin"), "cars196") == ()
    for part in ({"precision": "bf16"}, {"evaluations": 3}):
        assert training_deviations("margin", "resnet50", paper_config("margin", training=part), "cars196") == ()
    for name, value in {"embedding_dim": 128, "image_size": 96, "sampler": "balanced", "flip": False}.items():
        (found,) = training_deviations("s2sd", "resnet50", paper_config("s2sd", training={name: value}), "cars196")
        assert found.startswith(f"{name}={value}, not ")
    scratch = paper_config("margin", backbone={"weights": "none"})
    assert training_deviations("margin", "resnet50", scratch, "cars196") == ("a backbone without trained weights",)
    for empty in (None, "{}", '{"training": {}}'):
        assert training_deviations("margin", "resnet50", empty, "cars196") == ("its options are not recorded",)


def test_exceptions_of_datasets_and_methods_are_the_studys() -> None:
    config = paper_config("diva", "sop")
    training = json.loads(config)["training"]
    assert (training["epochs"], training["batch_size"]) == (150, 108)
    assert training_deviations("diva", "resnet50.tv_in1k", config, "sop") == ()
    assert training_deviations("diva", "resnet50.tv_in1k", config, "cub200") == ("epochs=150, not 200",)


def test_options_and_weights_that_differ_are_named() -> None:
    assert option_differences("margin", paper_config("margin"), "cars196") == ()
    assert option_differences("margin", paper_config("margin", method={"published": True}), "cars196") == ()
    local = paper_config("margin", method={"beta": 0.6}, backbone={"weights": "sha256:00"})
    assert option_differences("margin", local, "cars196") == ("beta=0.6, not 1.2", "weights sha256:00, not tv_in1k")


def test_ladders_of_all_three_datasets_are_found(tmp_path: Path) -> None:
    for dataset in ("cub200", "cars196", "sop"):
        ladder = published_ladder(tmp_path, dataset)
        section = Section("any-name", _no_rows(), ladder.levels, Facts(dataset=dataset))
        match = match_ladder(section, published_study())
        assert isinstance(match, Match) and match.whole and match.ladder.dataset == dataset
        assert match.splits == {index: index + 1 for index in range(len(ladder.levels))}


def test_the_shift_of_the_file_is_accepted_too(tmp_path: Path) -> None:
    ladder = published_ladder(tmp_path, fids={6: 86.12})
    section = published_section(ladder, published_rows(ladder, ["margin"], recall_near()))
    assert isinstance(match_ladder(section, published_study()), Match)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fids": {8: 130.0}}, "level 7 has the shift 130, split 8 has 123"),
        ({"sizes": {6: 90}}, "level 5 has 90 training and 90 test classes, split 6 has 86 of either"),
        (
            {"splits": (1, 2, 9), "fids": {9: 200.0}, "sizes": {9: 50}},
            "level 2 says that it is split 9, and there are 8",
        ),
    ],
)
def test_other_splits_than_the_published_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    ladder = published_ladder(tmp_path, **changes)
    section = Section("mine", _no_rows(), ladder.levels, Facts(dataset="cars196"))
    assert why_not_compared(section) == f"mine is not the study's ladder of CARS196: {message}."


def test_other_ladders_are_refused_with_a_sentence(cars: Ladder, tmp_path: Path) -> None:
    block = compose_published(make_section(), tmp_path, "glyphs", ["recall_at_1"])
    assert block is not None and not block.compared and block.pictures == () == block.tables
    assert block.sentences == (
        "Not compared: glyphs is not a ladder of the published study: its levels were not imported from the study's "
        "split files; `oodml import-splits` makes a ladder of those.",
    )
    assert not list(tmp_path.iterdir())
    elsewhere = Section("photos", _no_rows(), cars.levels, Facts(dataset="folder:photos"))
    assert why_not_compared(elsewhere) == (
        "photos divides folder:photos; the study has ladders of cub200, cars196, sop only."
    )
    renamed = replace(elsewhere, levels=[replace(level, origin="published") for level in cars.levels])
    own = replace(elsewhere, levels=[replace(level, published_shift=None) for level in cars.levels])
    for section in (renamed, own, replace(elsewhere, levels=())):
        assert "were not imported from the study's split files" in why_not_compared(section)
    assert compose_published(elsewhere, tmp_path, "a", ["recall_at_1"]) is None  # without a single row


def _no_rows() -> Any:
    return make_section().frame.iloc[:0]
