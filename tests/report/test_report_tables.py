"""Tables as records: what stands in a cell, and in which order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_frames import make_levels, make_section

from oodml.report import tables
from oodml.report.cells import GAP
from oodml.report.sections import Facts, Failure
from oodml.report.view import Cell, views

CELL = Cell(0.8123, 0.7993, 0.8253, 3, 3, 0, -0.05, 0.1, 2, 3, "t95 over seeds")


def test_a_value_shows_mean_and_half_width() -> None:
    entry = tables.value(CELL)
    assert (entry.text, entry.detail, entry.kind) == ("0.812", "\u00b1 0.013", "")


def test_a_value_on_fewer_seeds_says_so() -> None:
    assert tables.value(replace(CELL, n=2)).detail == "\u00b1 0.013 (2/3 seeds)"
    assert tables.value(replace(CELL, n=1, low=None, high=None)).detail == "(1/3 seeds)"


def test_gaps_say_how_many_seeds_there_are() -> None:
    assert tables.value(replace(CELL, mean=None, n=0)).text == "missing (0/3)"
    assert tables.value(replace(CELL, mean=None, n=2)).text == "2/3 seeds"
    assert tables.value(None).text == "not planned"
    assert tables.ags(replace(CELL, mean=None, n=0)).text == "incomplete"


def test_the_summary_has_levels_ags_and_the_fall() -> None:
    (view,) = views(make_section(count=3, done={("arcface", 2): 0}))
    table = tables.summary(view, "recall_at_1")
    assert [column.full for column in table.columns] == [
        "level 0, shift 2.50",
        "level 1, shift 4.00",
        "level 2 (default), shift 5.50",
        "AGS, all levels",
        "fall, level 2 \u2212 0",
    ]
    rows = dict(table.rows)
    assert [entry.text for entry in rows["arcface"][2:]] == ["missing (0/3)", "incomplete", ""]
    assert rows["contrastive"][4].text == "\u22120.064"  # 0.768 less 0.832
    assert "95 % Student's t over seeds" in table.note


def test_emphasis_marks_the_best_group_unless_that_is_everyone() -> None:
    section = make_section(count=2)
    strong = [head for head, cells in tables.summary(views(section)[0], "recall_at_1").rows if cells[0].strong]
    assert strong == ["arcface", "contrastive"]
    everyone = replace(section, frame=section.frame.assign(rank_low=1))
    assert not any(e.strong for _, cells in tables.summary(views(everyone)[0], "recall_at_1").rows for e in cells)


def test_a_level_table_lists_methods_by_mean_with_gaps_last() -> None:
    (view,) = views(make_section(count=3, done={("arcface", 1): 0, ("frozen", 1): 2}))
    table = tables.level_table(view, view.levels[1], ("recall_at_1", "map_at_r"))
    assert [head for head, _ in table.rows][-1] == "arcface"
    assert table.groups == [("", 1), ("Recall@1", 4), ("MAP@R", 4)]
    rows = dict(table.rows)
    assert (rows["arcface"][0].text, rows["arcface"][0].detail) == ("0/3", "3 failed")
    assert rows["frozen"][0].text == "2/3"
    assert rows["margin"][2].text == "3\u20135"
    shown = [float(cells[1].text) for head, cells in table.rows if head != "arcface"]
    assert shown == sorted(shown, reverse=True)


def test_the_ladder_table_counts_classes_without_counting_validation_twice() -> None:
    table = tables.ladder_table(make_levels(8))
    assert table.rows[2][0] == "2 (default)"
    assert [entry.text for entry in table.rows[7][1][-3:]] == ["57", "19", "76"]  # 76 a side, 19 for validation
    assert [column.full for column in table.columns][4:6] == ["reference, Recall@1", "reference, MAP@R"]


def test_a_level_without_a_null_shift_leaves_it_empty() -> None:
    level = replace(make_levels(1)[0], null_mean=float("nan"), null_std=float("nan"))
    assert tables.ladder_table([level]).rows[0][1][3] == GAP


def test_failures_with_the_same_error_share_a_row() -> None:
    found = [Failure("margin", level, seed, "failed", "boom") for level, seed in ((3, 1), (3, 0), (5, 2))]
    table = tables.failures((*found, Failure("margin", 3, 2, "diverged", "loss is inf")))
    assert [head for head, _ in table.rows] == ["margin", "margin"]
    assert table.rows[1][1][1].text == "level 3, seeds 0, 1; level 5, seed 2"


@pytest.mark.parametrize(
    ("done", "planned", "failed", "expected"),
    [
        (6, 6, 0, "6 of 6 planned runs finished"),
        (3, 6, 1, "3 of 6 planned runs finished, 1 failed, 2 still missing"),
        (0, 0, 0, ""),
    ],
)
def test_progress_is_one_sentence(done: int, planned: int, failed: int, expected: str) -> None:
    failures = (Failure("margin", 0, 0, "failed", "boom"),) * failed
    assert Facts(done=done, planned=planned, failures=failures).progress == expected
