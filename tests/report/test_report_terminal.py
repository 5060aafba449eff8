"""Tables for the terminal."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from report_frames import METHODS, make_levels, make_section
from rich.console import Console
from rich.table import Table

from oodml.records import Ladder, Level
from oodml.report.screen import Unit
from oodml.report.terminal import ladder_table, summary_table


def show(table: Table, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(table)
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue().splitlines()


def words(lines: list[str]) -> list[list[str]]:
    return [line.split() for line in lines]


def ladder(levels: tuple[Level, ...], draws: int | None = None) -> Ladder:
    generator = {} if draws is None else {"null_draws": draws}
    return Ladder("glyphs", "glyphs", {}, "", {}, "fid", generator, levels)


def test_eight_levels_fit_in_eighty_columns() -> None:
    lines = show(summary_table(make_section(), "recall_at_1"))
    assert max(map(len, lines)) <= 80
    (row,) = [i for i, line in enumerate(lines) if line.startswith("multisimilarity")]
    means = "multisimilarity .786 .749 .730 .711 .674 .642 .626 .601 .690 \u2212.185"
    assert lines[row].split() == means.split()
    assert lines[row + 1].split() == ["\u00b1.006"] * 9
    assert not any("\u2026" in line for line in lines)


def test_missing_and_partial_cells_show_their_seeds() -> None:
    section = make_section(count=3, methods=METHODS[:2], done={("arcface", 2): 0, ("contrastive", 1): 2})
    lines = show(summary_table(section, "recall_at_1"))
    (row,) = [line for line in lines if line.startswith("arcface")]
    assert row.split() == ["arcface", ".840", ".823", "0/3", "0/3"]
    assert ["2/3"] in words(lines)


def test_the_default_level_is_marked_and_the_interval_explained() -> None:
    lines = show(summary_table(make_section(count=3), "recall_at_1"))
    assert "2*" in lines[1]
    assert "95 % Student's t over seeds" in " ".join(" ".join(lines).split())


def test_names_are_not_markup() -> None:
    lines = show(summary_table(make_section(count=2, methods=("[red]x[/red]",)), "recall_at_1"))
    assert any(line.startswith("[red]x[/red]") for line in lines)


def test_without_results_there_is_a_sentence() -> None:
    section = make_section(count=2)
    lines = show(summary_table(replace(section, frame=section.frame.iloc[:0]), "recall_at_1"))
    assert [line.strip() for line in lines[:2]] == ["glyphs", "no run has finished yet"]


def test_the_ladder_table_shows_every_level() -> None:
    levels = tuple(replace(level, null_p=1 / 101) for level in make_levels(8))
    lines = show(ladder_table(ladder(levels, draws=100)))
    assert max(map(len, lines)) <= 80
    last = "7 swap +10 13.0 2.27\u00b1.08 10.7 .010 .535 .240 57 19 76"
    assert last.split() in words(lines)
    assert "smallest 1/101" in " ".join(" ".join(lines).split())


def test_everything_at_once_still_fits_and_hides_nothing() -> None:
    levels = tuple(
        replace(level, origin=f"superclass {level.index}", null_p=0.0004, published_shift=100 * level.shift + 12)
        for level in make_levels(9)
    )
    lines = show(ladder_table(ladder(levels, draws=9999)))
    assert max(map(len, lines)) <= 80 and not any("\u2026" in line for line in lines)
    cells = " ".join(" ".join(lines).split())
    assert "superclass" in cells and "<.001" in cells and "1462" in cells


def test_what_was_not_measured_has_no_column() -> None:
    nan = float("nan")
    levels = tuple(replace(level, null_mean=nan, null_std=nan) for level in make_levels(2, reference=False))
    lines = show(ladder_table(ladder(levels)))
    assert lines[1].split() == ["level", "origin", "shift", "train", "val", "test"]
    assert not any(part in line for line in lines for part in ("R@1", "nan", "null"))


def test_tiny_shifts_are_shown_in_a_unit_of_their_own() -> None:
    levels = tuple(
        replace(level, shift=0.001 * (level.index + 1), null_mean=-0.00001, null_std=0.0002) for level in make_levels(3)
    )
    lines = show(ladder_table(ladder(levels)))
    assert "shifts in 10\u207b\u00b3" in " ".join(" ".join(lines).split())
    row = next(line.split() for line in lines if line.startswith("1 "))
    assert row[3:6] == ["2.00", "\u22120.01\u00b1.20", "2.01"]


@pytest.mark.parametrize(
    ("values", "power"), [([0.0], 0), ([1.0, 9999.0], 0), ([0.9], -3), ([0.0009], -6), ([12345.0], 3)]
)
def test_units_keep_three_digits_before_the_point(values: list[float], power: int) -> None:
    assert Unit.of(values).power == power
    assert Unit.of(values).show(float("nan")) == ""
