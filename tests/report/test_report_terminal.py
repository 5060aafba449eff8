"""Tables for the terminal."""

from __future__ import annotations

import io
from dataclasses import replace

from report_frames import METHODS, make_levels, make_section
from rich.console import Console
from rich.table import Table

from oodml.records import Ladder
from oodml.report.terminal import ladder_table, summary_table


def show(table: Table, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(table)
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue().splitlines()


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
    assert ["2/3"] in [line.split() for line in lines]


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
    ladder = Ladder("glyphs", "glyphs", {}, "", {}, "fid", {}, make_levels(8))
    lines = show(ladder_table(ladder))
    assert max(map(len, lines)) <= 80
    last = ["7", "swap", "+10", "13.0", "1.00", "2.27±.08", "0.535", "0.240", "57", "19", "76"]
    assert last in [line.split() for line in lines]


def test_a_ladder_of_bare_arrays_has_no_reference() -> None:
    levels = [
        replace(level, null_mean=float("nan"), null_std=float("nan")) for level in make_levels(2, reference=False)
    ]
    lines = show(ladder_table(Ladder("x", "", {}, "", {}, "fid", {}, tuple(levels))))
    assert not any("Recall" in line or "nan" in line for line in lines)
