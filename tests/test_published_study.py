"""The published figures: against values copied by hand, against each other, and what a damaged file says."""

from __future__ import annotations

import importlib.util
import tomllib
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from oodml.errors import ResultsError
from oodml.methods.cards import CARDS
from oodml.published import PublishedLadder, Reading, Study, parse_study, published_study
from oodml.published.reading import FILE
from oodml.splits.published import DEFAULT_SPLITS
from oodml.statistics import ags

ROOT = Path(__file__).parent.parent
STUDY = published_study()
TEXT = resources.files("oodml.published").joinpath(FILE).read_text(encoding="utf-8")


def ladder(dataset: str, study: Study = STUDY) -> PublishedLadder:
    found = study.ladder(dataset)
    assert found is not None
    return found


def test_the_figures_are_those_of_the_plots() -> None:
    # copied by hand: first, last, and cells of every kind
    birds, cars, products = (ladder(name).recall_at_1 for name in ("cub200", "cars196", "sop"))
    assert birds["margin"][2] == Reading(0.658, 0.005, "~")
    assert birds["margin"][3] == Reading(0.654, 0.002)
    assert birds["margin"][0] == Reading(0.765, 0.005, "*")
    assert birds["multisimilarity"][0] is birds["proxy_anchor"][6] is birds["r_margin"][1] is None
    assert birds["s2sd"][8] == Reading(0.630, 0.002)
    assert cars["arcface"] == tuple(Reading(v, 0.002) for v in (0.817, 0.817, 0.795, 0.772, 0.75, 0.694, 0.661, 0.626))
    assert cars["s2sd"] == tuple(Reading(v, 0.002) for v in (0.879, 0.868, 0.856, 0.831, 0.805, 0.774, 0.747, 0.726))
    assert cars["proxy_anchor"][7] == Reading(0.661, 0.005, "~")
    assert products["diva"] == tuple(
        Reading(v, 0.002) for v in (0.798, 0.788, 0.778, 0.766, 0.748, 0.732, 0.714, 0.703)
    )
    assert products["s2sd"][4] is None and set(products["r_margin"]) == {None}


def test_the_ags_are_those_of_the_plot() -> None:
    copied = {
        "cub200": (0.636, 0.643, 0.633, 0.651, 0.654, 0.657, 0.663, 0.677),
        "cars196": (0.745, 0.761, 0.732, 0.766, 0.773, 0.758, 0.787, 0.802),
        "sop": (0.7458, 0.7460, 0.7387, 0.7398, 0.7494, 0.7457, 0.7504, 0.7507),
    }
    methods = ("margin", "multisimilarity", "arcface", "proxy_anchor", "r_margin", "uniform_prior", "diva", "s2sd")
    assert tuple(STUDY.methods) == methods
    for dataset, values in copied.items():
        found = ladder(dataset).ags
        assert {name: reading.value for name, reading in found.items()} == dict(zip(methods, values, strict=True))
        assert {r.uncertainty for r in found.values()} == {0.00025 if dataset == "sop" else 0.0009}


def test_the_shifts_and_classes_are_those_of_the_splits() -> None:
    assert ladder("cub200").shifts == (19.16, 28.49, 52.62, 72.20, 92.48, 120.38, 136.45, 152.04, 173.94)
    assert ladder("cars196").shifts == (8.59, 14.33, 32.18, 43.58, 63.29, 86.48, 101.17, 123.03)
    assert ladder("sop").shifts == (3.43, 24.59, 53.47, 99.38, 135.53, 155.25, 189.81, 235.10)
    assert [found.removal_from for found in STUDY.ladders] == [7, 6, 7]
    assert {found.dataset: found.default for found in STUDY.ladders} == DEFAULT_SPLITS
    assert ladder("cars196").classes == (98, 98, 98, 98, 98, 86, 74, 62)
    # a quarter of the training classes is held out: what remains is three quarters, rounded down
    assert ladder("cars196").validation == tuple(n - int(0.75 * n) for n in ladder("cars196").classes)
    assert ladder("cars196").shifts_in_file == {6: 86.12}
    assert STUDY.ladder("glyphs") is None


def test_the_few_shot_gains_are_those_of_the_plot() -> None:
    few = STUDY.few_shot
    assert (few.dataset, few.splits, few.unadapted_split) == ("cub200", (1, 3, 9), 9)
    assert few.gains[2, "arcface"] == (Reading(0.010, 0.003), Reading(0.021, 0.003), Reading(0.039, 0.003))
    assert few.gains[5, "s2sd"] == (Reading(0.005, 0.003), Reading(0.028, 0.003), Reading(0.059, 0.003))
    assert few.gains[5, "diva"][1] is few.gains[2, "diva"][0] is None
    assert few.unadapted["multisimilarity"] == Reading(0.52, 0.01)
    # the networks of this plot saw three quarters of the classes: they start below those of the other one
    for method, before in few.unadapted.items():
        whole = ladder("cub200").recall_at_1[method][8]
        assert whole is not None and 0.03 < whole.value - before.value < 0.08


def test_the_methods_are_the_studys_of_the_registry() -> None:
    assert set(STUDY.methods) == {name for name, card in CARDS.items() if card.group == "study"}


COMPLETE = [
    (found.dataset, method) for found in STUDY.ladders for method, row in found.recall_at_1.items() if None not in row
]


@pytest.mark.parametrize(("dataset", "method"), COMPLETE)
def test_recall_by_split_gives_the_published_ags(dataset: str, method: str) -> None:
    found = ladder(dataset)
    row = [reading for reading in found.recall_at_1[method] if reading is not None]
    area, published = ags(found.shifts_scaled, [reading.value for reading in row]), found.ags[method]
    gaps = np.diff(found.shifts_scaled)
    weights = np.concatenate([gaps / 2, [0]]) + np.concatenate([[0], gaps / 2])  # of the trapezoids
    allowed = published.uncertainty + np.linalg.norm(weights * [reading.uncertainty for reading in row])
    assert abs(area - published.value) <= allowed
    assert abs(area - published.value) <= 0.001  # what the page says


def test_rows_without_gaps_are_not_few() -> None:
    assert len(COMPLETE) == 14 and {dataset for dataset, _ in COMPLETE} == {"cub200", "cars196", "sop"}


def test_the_other_shift_of_a_split_changes_no_ags_that_could_be_read() -> None:
    found = ladder("cars196")
    shifts = np.array([found.shifts_in_file.get(number + 1, shift) for number, shift in enumerate(found.shifts)])
    scaled = (shifts - shifts[0]) / (shifts[-1] - shifts[0])
    for dataset, method in COMPLETE:
        if dataset == "cars196":
            values = [reading.value for reading in found.recall_at_1[method] if reading is not None]
            moved = ags(scaled, values) - ags(found.shifts_scaled, values)
            assert 0 < abs(moved) < found.ags[method].uncertainty / 2


def test_records_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        ladder("sop").default = 2  # type: ignore[misc]
    assert published_study() is published_study()


def replaced(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text + "[[", "copy is no readable TOML"),
        (lambda text: "", "the file lacks 'few_shot'"),
        (replaced("schema = 1", "schema = 2"), "has schema 2, this oodml reads 1"),
        (replaced('venue = "NeurIPS 2021"', 'place = "NeurIPS 2021"'), "study lacks 'venue'"),
        (replaced("removal_from = 7 ", "more = 1\nremoval_from = 7 "), "cub200 has the unknown key 'more'"),
        (replaced("28.49, 52.62", "52.62, 28.49"), "cub200: shifts should be two or more and rise"),
        (replaced("default = 3", "default = 10"), "cub200: there is no split 10 of 9"),
        (replaced("{ 6 = 86.12 }", "{ 9 = 86.12 }"), "cars196: there is no split 9 of 8"),
        (replaced("86, 74, 62]", "86, 74]"), "classes and validation need a count for each of 8 splits"),
        (replaced("58.7  58.5", "58.7"), "cub200, arcface: 8 cells for 9 splits"),
        (replaced("58.7  58.5", "58.7  58.5?"), "cub200, arcface: '58.5?' is neither '.' nor a number with a known"),
        (replaced("58.7  58.5", "58.7  585"), "cub200, arcface: 585.0 should be a number between 0 and 100"),
        (replaced("58.7  58.5", "58.7  -58"), "cub200, arcface: -58.0 should be a number between 0 and 100"),
        (replaced("diva = 66.3", "dive = 66.3"), "cub200, ags: 'diva' lacks, or is no method of the study"),
        (replaced("diva = 66.3", "diva = true"), "cub200, ags of diva: True should be a number"),
        (replaced("splits = [1, 3, 9]", "splits = [1, 3, 10]"), "few_shot: cub200 has no ladder with the splits"),
        (replaced("[few_shot.gain.5]", "[few_shot.gain.five]"), "copy holds a value of another type"),
        (replaced("arcface = 51", "arcfaces = 51"), "few_shot"),
        (replaced("shifts = [3.43", "shifts = 3 # [3.43"), "copy holds a value of another type"),
    ],
)
def test_a_damaged_file_is_refused_with_its_place(change: Callable[[str], str], message: str) -> None:
    with pytest.raises(ResultsError) as caught:
        parse_study(change(TEXT), "copy")
    assert str(caught.value).startswith("copy") and "install oodml again" in str(caught.value)
    assert message.replace("AGS", "ags") in str(caught.value).replace("AGS", "ags")


def test_every_cell_of_the_file_is_in_the_records() -> None:
    raw: dict[str, Any] = tomllib.loads(TEXT)
    for part in raw["ladder"]:
        for method, row in part["recall_at_1"].items():
            written = [cell.rstrip("~*") for cell in row.split()]
            read = ["." if r is None else f"{100 * r.value:.1f}" for r in ladder(part["dataset"]).recall_at_1[method]]
            assert read == written


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_published", ROOT / "docs" / "make_published.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_figures_give(script: ModuleType) -> None:
    written = script.FILE.read_text(encoding="utf-8")
    assert written == script.page(), "the figures have changed: run python docs/make_published.py"


def test_the_page_has_every_number_and_says_where_it_is_unsure(script: ModuleType) -> None:
    lines = script.page().splitlines()
    assert "| ArcFace | 76.0 ~ | 71.4 ~ | 65.2 | 64.4 | 62.5 | 61.3 | 60.2 | 58.7 | 58.5 |" in lines
    assert "| Margin (D) | `margin` | 63.6 | 74.5 | 74.58 |" in lines
    assert "| DiVA | not known | not known | +1.6 | +1.4 | not known | +4.0 | 57.5 |" in lines
    assert any("25 of 200 cells" in line for line in lines)
    table: list[int] = []
    for line in [*lines, ""]:
        if line.startswith("|"):
            table.append(line.count("|"))
        else:
            assert len(set(table)) <= 1, line
            table = []
