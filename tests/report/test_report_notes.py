"""Sentences of a report."""

from __future__ import annotations

from dataclasses import replace

from report_frames import METHODS, make_section

from oodml.report.notes import headline, reading
from oodml.report.view import views

THREE = METHODS[:3]


def test_the_headline_names_the_best_group_and_the_fall() -> None:
    (view,) = views(make_section(count=3, methods=THREE))
    best, fall = headline(view, "recall_at_1")
    assert best == "Best AGS of Recall@1: arcface with 0.817 \u00b1 0.006; not told apart from it: contrastive."
    assert fall == (
        "From the easiest to the hardest level Recall@1 changes by \u22120.064 (contrastive) to \u22120.042 (frozen)."
    )


def test_gaps_are_counted_and_incomplete_methods_do_not_compete() -> None:
    done = {("arcface", 1): 0, ("contrastive", 2): 2}
    (view,) = views(make_section(count=3, methods=THREE, done=done))
    sentences = headline(view, "recall_at_1")
    assert sentences[0] == "Only frozen is complete: its AGS of Recall@1 is 0.783 \u00b1 0.010."
    assert sentences[2] == "Of 9 cells without a value yet: 1, on fewer seeds than planned: 1."


def test_nothing_finished_claims_nothing() -> None:
    (view,) = views(make_section(count=1, methods=THREE, done={(method, 0): 0 for method in THREE}))
    assert headline(view, "recall_at_1") == ("Of 3 cells without a value yet: 3.",)


def test_ties_are_not_claimed_across_backbones() -> None:
    section = make_section(count=2, methods=THREE)
    frame = section.frame
    frame.loc[frame["method"] == "contrastive", "backbone"] = "resnet18"
    (view,) = views(replace(section, frame=frame))
    assert view.several_backbones
    assert "told apart" not in headline(view, "recall_at_1")[0]


def test_metrics_that_are_shown_are_explained() -> None:
    terms = dict(reading(["recall_at_4", "own_metric"]))
    assert "4 nearest" in terms["Recall@4"] and terms["Recall@4"].endswith(".")
    assert "own_metric" not in terms
    assert {"Shift", "Null shift", "AGS", "Reference", "Rank and tie groups"} <= set(terms)
