"""Cards of methods, links from numbers to runs, and the sentences on what to distrust."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_frames import make_section

from oodml.method_facts import MethodFacts, RunNote
from oodml.report.distrust import distrust
from oodml.report.method_cards import locate, make_cards
from oodml.report.sections import Facts
from oodml.report.tables import level_table, summary
from oodml.report.view import View, views


def note(level: int, seed: int, value: float | None = 0.5, selection: str = "last") -> RunNote:
    values = {} if value is None else {"recall_at_1": value}
    status = "failed" if value is None else "done"
    return RunNote(f"run{level}{seed}{selection}", level, seed, selection, status, values)


FACTS = (
    MethodFacts("contrastive", "systems", "Pulls and pushes.", "Hadsell 2006", "margin=0.5", "oodml sweep x", 12.345),
    MethodFacts("margin", runs=(note(0, 0, 0.25), note(0, 1, 0.75), note(2, 0, None))),
)


def test_numbers_lead_to_the_row_of_their_runs_and_names_to_the_card() -> None:
    (view,) = views(make_section(count=3, methods=("contrastive", "margin")))
    cards = locate("toy", FACTS)
    table = summary(view, "recall_at_1", cards)
    rows = dict(table.rows)
    assert [entry.link for entry in rows["margin"]] == ["toy-m1-0", "", "toy-m1-2", "toy-m1", ""]
    assert {entry.link for entry in rows["contrastive"]} == {"", "toy-m0"}
    assert table.links == {"contrastive": "toy-m0", "margin": "toy-m1"}
    assert table.tags == {"contrastive": "systems"}
    level = level_table(view, view.levels[2], ["recall_at_1"], cards)
    assert [entry.link for entry in dict(level.rows)["margin"]] == ["", "toy-m1-2", "", "", ""]


def test_every_link_of_a_table_is_a_row_or_a_card() -> None:
    section = make_section(count=3, methods=("contrastive", "margin"))
    (view,) = views(section)
    cards = locate("toy", FACTS)
    made = make_cards(FACTS, section.levels, "recall_at_1", cards, view.methods)
    ids = {card.anchor for card in made} | {anchor for card in made for anchor in card.rows.values()}
    table = summary(view, "recall_at_1", cards)
    assert {entry.link for _, row in table.rows for entry in row} - {""} <= ids


def test_a_card_lists_its_runs_level_by_level() -> None:
    levels = make_section(count=3).levels
    first, second = make_cards(FACTS, levels, "recall_at_1", locate("toy", FACTS), ["contrastive", "margin"])
    assert first.summary == "Pulls and pushes. (Hadsell 2006)"
    assert dict(first.facts) == {"Group": "systems", "Options": "margin=0.5", "Training": "12.3 s per run"}
    assert first.command == "oodml sweep x" and first.runs.rows == ()
    assert second.facts == () and second.summary == ""
    rows = {head: [entry.text for entry in entries] for head, entries in second.runs.rows}
    assert rows == {
        "0": ["2.50", "seed 0: 0.250; seed 1: 0.750", "run00last run01last"],
        "2": ["5.50", "seed 0: failed", "run20last"],
    }
    assert second.rows == {"0": "toy-m1-0", "2": "toy-m1-2"}


def test_methods_that_are_not_shown_have_no_card() -> None:
    cards = make_cards(FACTS, make_section(count=3).levels, "recall_at_1", locate("toy", FACTS), ["margin"])
    assert [card.anchor for card in cards] == ["toy-m1"]


def test_selections_of_a_method_have_rows_of_their_own() -> None:
    facts = (MethodFacts("margin", runs=(note(0, 0), note(1, 0), note(0, 0, 0.9, "oracle"))),)
    (card,) = make_cards(facts, make_section(count=2).levels, "recall_at_1", locate("toy", facts), ["margin"])
    assert [head for head, _ in card.runs.rows] == ["0, last", "1, last", "0, oracle"]
    assert card.rows == {"0, last": "toy-m0-0", "1, last": "toy-m0-1"}


def seen(**changes: object) -> View:
    (view,) = views(make_section(count=4, methods=("contrastive", "margin"), reference=False))
    return replace(view, **changes)  # type: ignore[arg-type]


def test_sound_numbers_raise_no_doubt() -> None:
    view = seen()
    same = tuple(replace(level, test=view.levels[0].test) for level in view.levels)
    assert distrust(replace(view, levels=same), "recall_at_1", Facts()) == ()


@pytest.mark.parametrize(
    ("n", "words"),
    [
        ({"contrastive": 1, "margin": 1}, "Every number stands on one seed"),
        ({"contrastive": 1, "margin": 3}, "One seed only, so no interval: contrastive."),
        ({"contrastive": 3, "margin": 2}, "Two seeds only, so the interval is a guess: margin."),
    ],
)
def test_few_seeds_are_named(n: dict[str, int], words: str) -> None:
    view = seen()
    cells = {key: replace(cell, n=n[key[0]]) for key, cell in view.cells.items()}
    assert words in " ".join(distrust(replace(view, cells=cells), "recall_at_1", Facts()))


def test_levels_that_lost_classes_or_do_not_shift_are_named() -> None:
    levels = list(seen().levels)
    levels[1], levels[2] = replace(levels[1], null_p=0.4), replace(levels[2], origin="removal 3")
    levels[3] = replace(levels[3], origin="removal 9", test=levels[3].test[:10])
    found = " ".join(distrust(seen(levels=tuple(levels)), "recall_at_1", Facts()))
    assert "Levels 2, 3 lost classes to reach their shift" in found
    assert "The shift of level 1 is within what random divisions have" in found
    assert "The levels test on 10 to 100 classes" in found


def test_a_reference_that_moves_is_named() -> None:
    (view,) = views(make_section(count=8))
    found = " ".join(distrust(view, "recall_at_1", Facts()))
    assert "falls from 0.640 to 0.535 over the ladder" in found and "harder to tell apart" in found


def test_oracle_and_mixed_versions_are_named() -> None:
    found = distrust(seen(selection="oracle"), "recall_at_1", Facts(versions="torch 2.11 and 2.14", device="cpu"))
    assert found[0].startswith("The weights were chosen on the test classes")
    assert any("different versions, which" in sentence for sentence in found)
