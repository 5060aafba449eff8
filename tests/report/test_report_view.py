"""Rows of a leaderboard arranged for reading."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from report_frames import METHODS, make_frame, make_levels, make_mean, make_section

from oodml.errors import ResultsError
from oodml.report.view import views


def test_a_view_holds_every_cell_once() -> None:
    (view,) = views(make_section(count=4))
    assert view.methods == METHODS
    assert [level.index for level in view.levels] == [0, 1, 2, 3]
    assert len(view.cells) == len(METHODS) * 4 * 2
    assert len(view.ags) == len(METHODS) * 2
    assert view.mean("margin", view.levels[2], "recall_at_1") == make_mean(3, 2, "recall_at_1")


def test_nullable_integers_and_plain_floats_read_alike() -> None:
    section = make_section(count=3, done={("margin", 1): 0})
    nullable = replace(section, frame=section.frame.convert_dtypes())
    assert views(section)[0].cells == views(nullable)[0].cells


def test_a_gap_has_no_mean_and_keeps_what_was_planned() -> None:
    (view,) = views(make_section(count=3, done={("margin", 1): 0}))
    cell = view.cells["margin", 1, "recall_at_1"]
    assert (cell.mean, cell.low, cell.n, cell.planned, cell.failed) == (None, None, 0, 3, 3)
    assert view.ags["margin", "recall_at_1"].mean is None


def test_each_setting_and_selection_is_a_view_of_its_own() -> None:
    found = views(make_section(count=2, selections=("oracle", "val", "last")))
    assert [view.slug for view in found] == ["", "val", "oracle"]
    assert "only to compare with published numbers" in found[2].title


def test_few_shot_rows_are_named_by_shots_and_adapter() -> None:
    section = make_section(count=2)
    few = section.frame.assign(setting="few_shot", shots=5, adapter="margin")
    both = replace(section, frame=pd.concat([few, section.frame], ignore_index=True))
    assert [view.slug for view in views(both)] == ["", "few_shot_5_margin"]
    assert views(both)[1].title.startswith("Few-shot, 5 shots, margin adapter")


def test_methods_are_ordered_by_ags_then_by_name_if_they_have_none() -> None:
    (view,) = views(make_section(count=3, done={("contrastive", 1): 0, ("arcface", 0): 1}))
    complete = ["frozen", "margin", "multisimilarity", "proxy_anchor", "triplet"]
    scores = [view.ags[method, "recall_at_1"].mean or 0 for method in view.by_ags("recall_at_1")[:5]]
    assert sorted(view.by_ags("recall_at_1")[:5]) == complete
    assert scores == sorted(scores, reverse=True)
    assert view.by_ags("recall_at_1")[5:] == ["arcface", "contrastive"]


def test_two_configurations_of_a_method_are_told_apart() -> None:
    section = make_section(count=2, methods=("margin",))
    frame = section.frame.assign(config='{"method": {"beta": 1.2}}')
    other = section.frame.assign(config='{"method": {"beta": 0.6}}')
    (view,) = views(replace(section, frame=pd.concat([frame, other], ignore_index=True)))
    assert view.methods == ("margin (beta=0.6)", "margin (beta=1.2)")


def test_a_level_that_the_ladder_lacks_is_an_error() -> None:
    section = make_section(count=3)
    with pytest.raises(ResultsError, match="level 2"):
        views(replace(section, levels=section.levels[:2]))


def test_levels_without_rows_are_not_shown() -> None:
    levels = make_levels(5)
    section = replace(make_section(count=5), frame=make_frame(levels[1:3]))
    assert [level.index for level in views(section)[0].levels] == [1, 2]


def test_an_empty_frame_has_no_view() -> None:
    section = make_section(count=2)
    assert views(replace(section, frame=section.frame.iloc[:0])) == []
