"""Ours beside the published study: what is compared, what is refused, and what tables and sentences say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from published_case import (
    Value,
    paper_config,
    published_ladder,
    published_rows,
    published_section,
    reading,
    recall_near,
)

from oodml.published import Reading, published_study
from oodml.records import Ladder
from oodml.report import Section
from oodml.report.cells import Table
from oodml.report.published import PublishedBlock, compose_published, why_not_compared
from oodml.report.published_tables import Pair
from oodml.report.view import Cell

METHODS = tuple(published_study().methods)


@pytest.fixture(scope="module")
def cars(tmp_path_factory: pytest.TempPathFactory) -> Ladder:
    return published_ladder(tmp_path_factory.mktemp("cars"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are not rendered, which takes most of the time."""
    monkeypatch.setattr("oodml.report.export.render", lambda figure, kind: kind.encode())


def compose(section: Section, out: Path, metrics: Sequence[str] = ("recall_at_1",)) -> PublishedBlock:
    block = compose_published(section, out, "cars", metrics)
    assert block is not None
    return block


def row(table: Table, head: str, below: str = "") -> list[tuple[str, str]]:
    """Texts and details of a row, by its head; with `below` the first such row under that heading."""
    heads = [name for name, _ in table.rows]
    start = next(i for i, name in enumerate(heads) if name.startswith(below)) if below else 0
    cells = next(cells for name, cells in table.rows[start:] if name.startswith(head))
    return [(cell.text, cell.detail) for cell in cells]


@pytest.mark.usefixtures("quick")
def test_a_ladder_of_the_study_is_compared_cell_by_cell(cars: Ladder, tmp_path: Path) -> None:
    # three seeds .002 apart: half-width 4.303 * .002 / sqrt(3) = .00497; arcface lies .02 below the published
    def value(method: str, split: int, seed: int) -> float | None:
        if (method, split) == ("diva", 3):
            return None
        return recall_near(-0.02 if method == "arcface" else 0.001, 0.002)(method, split, seed)

    section = published_section(cars, published_rows(cars, METHODS, value))
    block = compose(section, tmp_path, ("recall_at_1", "map_at_r"))
    assert block.compared and why_not_compared(section) == ""
    areas, levels = block.tables
    assert [column.full for column in levels.columns[:2]] == ["split 1 (default), shift 8.59", "split 2, shift 14.3"]
    assert [name for name, cells in levels.rows if not cells] == [
        f"{method}, published as {label}" for method, label in published_study().methods.items()
    ]
    assert row(levels, "ours", "arcface")[0] == ("0.797", "± 0.005")
    assert row(levels, "published", "arcface")[0] == ("0.817", "± 0.002")
    assert set(row(levels, "difference", "arcface")) == {("\u22120.020", "outside")}
    assert row(levels, "difference", "s2sd")[7] == ("+0.001", "within")
    assert row(levels, "published", "multisimilarity")[3] == ("not known", "")
    assert row(levels, "difference", "multisimilarity")[3] == ("", "")
    assert row(levels, "difference", "diva")[2] == ("", "")

    assert [name.partition(",")[0] for name, _ in areas.rows][:3] == [
        "s2sd",
        "diva",
        "r_margin",
    ]  # as published
    assert row(areas, "diva") == [("incomplete", ""), ("0.787", "± 0.001"), ("", ""), ("", "")]
    # arcface: the area of its published row is .7320
    assert row(areas, "arcface") == [("0.712", "± 0.005"), ("0.732", "± 0.001"), ("\u22120.020", "outside"), ("3", "")]

    known = sum(reading("cars196", m, s) is not None and (m, s) != ("diva", 3) for m in METHODS for s in range(1, 9))
    mean = ((known - 8) * 0.001 - 8 * 0.02) / known
    assert block.sentences == (
        "The ladder is that of the study on CARS196 (arXiv:2107.09562), all 8 splits.",
        f"Recall@1 of {known} cells beside their published value: {known - 8} within our interval and the uncertainty "
        f"of the reading, 8 outside; mean difference \u2212{-mean:.3f}.",
        block.sentences[2],
        "Our weights are the last ones, not the best on the test classes as in the study: ours may lie lower for that "
        "alone.",
        "No published numbers are known of MAP@R.",
    )


@pytest.mark.usefixtures("quick")
def test_pairs_of_methods_in_the_published_order_are_counted(cars: Ladder, tmp_path: Path) -> None:
    # published AGS: arcface .732 < margin .745 < s2sd .802; ours puts arcface above margin
    level = {"arcface": 0.75, "margin": 0.74, "s2sd": 0.80}
    section = published_section(cars, published_rows(cars, list(level), lambda m, split, seed: level[m]))
    assert "AGS: 2 of 3 pairs of methods that differ in the study stand in the same order." in (
        compose(section, tmp_path).sentences
    )


@pytest.mark.usefixtures("quick")
def test_pairs_that_the_reading_cannot_tell_apart_do_not_count(tmp_path: Path) -> None:
    # on SOP margin .7458 and uniform prior .7457, s2sd .7507; the reading leaves .00025 open on either side
    products = published_ladder(tmp_path, "sop")
    rows = published_rows(products, ["margin", "uniform_prior", "s2sd"], recall_near(dataset="sop"))
    assert any("AGS: 2 of 2 pairs" in text for text in compose(published_section(products, rows), tmp_path).sentences)


@given(
    ours=st.floats(0, 1),
    half=st.none() | st.floats(0, 0.5),
    value=st.floats(0, 1),
    uncertainty=st.floats(1e-6, 0.1),
)
def test_a_difference_is_within_where_interval_and_reading_meet(
    ours: float, half: float | None, value: float, uncertainty: float
) -> None:
    low, high = (None, None) if half is None else (ours - half, ours + half)
    cell = Cell(ours, low, high, 3, 3, 0, None, None, None, None, "")
    pair = Pair(cell, Reading(value, uncertainty))
    assert pair.difference == ours - value
    gap = abs(ours - value) - (half or 0) - uncertainty
    if abs(gap) > 1e-9:  # beyond rounding
        assert pair.agrees is (True if gap < 0 else None if half is None else False)
    assert Pair(None, Reading(value, uncertainty)).agrees is Pair(cell, None).agrees is None
    assert Pair(replace(cell, mean=None), Reading(value, uncertainty)).difference is Pair(cell, None).difference is None


@pytest.mark.usefixtures("quick")
def test_one_seed_decides_nothing_beyond_the_reading(cars: Ladder, tmp_path: Path) -> None:
    def value(method: str, split: int, seed: int) -> float | None:
        return recall_near(0.001 if split < 5 else 0.01)(method, split, 1)

    block = compose(published_section(cars, published_rows(cars, ["s2sd"], value, seeds=1)), tmp_path)
    assert [word for _, word in row(block.tables[1], "difference")] == ["within"] * 4 + ["one seed"] * 4
    assert "4 within our interval and the uncertainty of the reading, 4 undecided, with one seed" in block.sentences[1]
    assert "an interval needs two seeds" in block.pictures[0].caption


@pytest.mark.usefixtures("quick")
def test_oracle_rows_go_before_the_last_weights_entry_by_entry(cars: Ladder, tmp_path: Path) -> None:
    rows = published_rows(cars, ["margin", "s2sd"], recall_near(-0.03))
    rows += published_rows(cars, ["s2sd"], recall_near(0.0), selection="oracle")
    rows += published_rows(cars, ["s2sd"], recall_near(-0.5), selection="val")
    block = compose(published_section(cars, rows), tmp_path)
    assert set(row(block.tables[1], "difference", "s2sd")) == {("0.000", "within")}
    assert row(block.tables[1], "difference", "margin")[0] == ("\u22120.030", "outside")
    said = [text for text in block.sentences if text.startswith("Our weights")]
    assert said == [
        "Our weights of margin are the last ones, not the best on the test classes as in the study: ours may lie lower "
        "for that alone.",
        "Our weights of s2sd are chosen on the test classes (oracle), as in the study.",
    ]
    assert all(text in block.pictures[0].caption for text in said)
    only = published_section(cars, published_rows(cars, ["s2sd"], recall_near(), selection="oracle"))
    assert "Our weights are chosen on the test classes (oracle), as in the study." in compose(only, tmp_path).sentences


@pytest.mark.usefixtures("quick")
def test_what_was_run_otherwise_is_left_out_with_the_reason(cars: Ladder, tmp_path: Path) -> None:
    near = recall_near()
    short = paper_config("margin", training={"epochs": 3, "lr": 0.001, "steps": 4, "batch_size": 56})
    rows = published_rows(cars, ["margin"], near, config=short)
    rows += published_rows(cars, ["arcface"], near, backbone="mobilenetv2_100")
    rows += published_rows(cars, ["s2sd"], near, config=paper_config("s2sd", method={"weight": 5.0}))
    rows += published_rows(cars, ["frozen", "contrastive"], lambda method, split, seed: 0.4)
    block = compose(published_section(cars, rows), tmp_path)
    assert [name for name, cells in block.tables[1].rows if not cells] == ["s2sd, published as S2SD"]
    assert block.sentences[-4:] == (
        "s2sd differs from the study: weight=5.0, not 50.0.",
        "Left out, not by `--preset paper`: arcface: backbone mobilenetv2_100, not resnet50.tv_in1k.",
        "Left out, not by `--preset paper`: margin: batch_size=56, not 112; steps=4, not 0; epochs=3, not 200; 1 more.",
        "Not in the study: contrastive; frozen.",
    )
    nothing = compose(published_section(cars, rows[:48]), tmp_path)
    assert not nothing.compared and nothing.pictures == ()
    assert nothing.sentences[0].startswith("Not compared: no method of the study has a Recall@1 by the protocol of")
    assert len(nothing.sentences) == 3


@pytest.mark.usefixtures("quick")
def test_a_part_of_the_ladder_has_no_ags(tmp_path: Path) -> None:
    part = published_ladder(tmp_path, splits=(2, 5, 8))
    block = compose(published_section(part, published_rows(part, ["s2sd"], recall_near())), tmp_path)
    (table,) = block.tables
    assert row(table, "published") == [("0.868", "± 0.002"), ("0.805", "± 0.002"), ("0.726", "± 0.002")]
    assert block.sentences[:2] == (
        "The ladder is that of the study on CARS196 (arXiv:2107.09562), 3 of 8 splits.",
        "AGS is not compared: over fewer splits it is another area than the published one.",
    )


@pytest.mark.usefixtures("quick")
def test_a_sweep_of_some_levels_shows_these(cars: Ladder, tmp_path: Path) -> None:
    def value(method: str, split: int, seed: int) -> float | None:
        return recall_near()(method, split, seed) if split in (1, 8) else None

    block = compose(published_section(cars, published_rows(cars, ["s2sd"], value)), tmp_path)
    assert [column.group for column in block.tables[1].columns] == ["split 1 (default)", "split 8"]
    assert row(block.tables[0], "s2sd")[0] == ("incomplete", "")
    assert "Recall@1 of 2 cells" in block.sentences[1]


@pytest.mark.usefixtures("quick")
def test_a_method_without_any_published_split_still_has_its_ags(tmp_path: Path) -> None:
    products = published_ladder(tmp_path, "sop")
    flat: Value = lambda method, split, seed: 0.7494  # noqa: E731
    block = compose(published_section(products, published_rows(products, ["r_margin"], flat)), tmp_path)
    assert set(row(block.tables[1], "published")) == {("not known", "")}
    assert row(block.tables[0], "r_margin")[1:3] == [("0.7494", "± 0.0003"), ("0.000", "within")]
    assert block.sentences[1] == "No split has both a value of ours and a published one of Recall@1."
