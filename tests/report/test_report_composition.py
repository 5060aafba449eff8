"""Which superclasses lie on which side: counts, table and figure."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from report_frames import make_levels
from rich.console import Console

from oodml.records import Ladder, Level
from oodml.report.composition import UNKNOWN, composition
from oodml.report.composition_figure import paint_composition
from oodml.report.ladder_tables import composition_table
from oodml.report.style import LIGHT, drawing

# Three superclasses of 3, 2 and 1 classes over two levels:
#            level 0: train | test     level 1: train | test
#   birds    b1 b2    | b3             b1 b2 b3 |
#   fish     f1       | f2             f1       | f2
#   moss              | m1                      |             (m1 was removed)
SIDES = [(("b1", "b2", "f1"), ("b3", "f2", "m1")), (("b1", "b2", "b3", "f1"), ("f2",))]
SUPERCLASSES = {"b1": "birds", "b2": "birds", "b3": "birds", "f1": "fish", "f2": "fish", "m1": "moss"}


def level(index: int, train: tuple[str, ...], test: tuple[str, ...]) -> Level:
    return replace(make_levels(2, default=0)[index], train=train, test=test, val=train[:1])


def small() -> Ladder:
    levels = tuple(level(index, *sides) for index, sides in enumerate(SIDES))
    return Ladder("small", "x", {}, "", {}, "fid", {}, levels)


def many(count: int, levels: int = 8) -> Ladder:
    """Superclass k has k + 1 classes; at level i the first (i + k) % (k + 2) of them train."""
    made = []
    for index, base in enumerate(make_levels(levels)):
        sides: list[list[str]] = [[], []]
        for k in range(count):
            for number in range(k + 1):
                sides[number >= (index + k) % (k + 2)].append(f"{k}/{number}")
        made.append(replace(base, train=tuple(sides[0]), test=tuple(sides[1]), val=()))
    return Ladder("many", "x", {}, "", {}, "fid", {}, tuple(made))


def lines(ladder: Ladder, superclasses: dict[str, str]) -> list[str]:
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(composition_table(ladder, superclasses))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def named(count: int) -> dict[str, str]:
    return {f"{k}/{number}": f"kind {k}" for k in range(count) for number in range(k + 1)}


def test_classes_are_counted_by_superclass_and_side() -> None:
    found = composition(small(), SUPERCLASSES)
    assert {group.name: group.counts for group in found.groups} == {
        "birds": ((2, 1), (3, 0)),
        "fish": ((1, 1), (1, 1)),
        "moss": ((0, 1), (0, 0)),
    }
    assert [group.name for group in found.groups] == ["birds", "fish", "moss"]  # 1 of 3 moved, none, none
    assert found.groups[0].moved == pytest.approx(1.0)
    assert [found.whole(place) for place in (0, 1)] == [0, 1] and found.divisible == 2
    assert found.groups[2].share(1) is None


def test_classes_without_a_superclass_are_counted_together() -> None:
    found = composition(small(), {"b1": "birds", "b2": "birds", "b3": "birds"})
    assert {group.name: group.counts for group in found.groups}[UNKNOWN] == ((1, 2), (1, 1))


def test_the_table_shows_counts_of_both_sides() -> None:
    shown = [line.split() for line in lines(small(), SUPERCLASSES)]
    assert ["birds", "2/1", "3/\u00b7"] in shown
    assert ["moss", "\u00b7/1", "\u00b7"] in shown
    assert ["whole,", "of", "2", "0", "1"] in shown


def test_many_superclasses_are_summed_up_in_a_line_and_nothing_is_cut_off() -> None:
    shown = lines(many(50), named(50))
    assert max(map(len, shown)) <= 80 and not any("\u2026" in line for line in shown)
    assert any(line.startswith("and 30 others") for line in shown)
    assert len([line for line in shown if line.startswith("kind ")]) == 20


def test_many_levels_are_thinned_out_with_the_default_among_them() -> None:
    shown = lines(many(4, levels=30), named(4))
    assert "21 levels left out" in " ".join(" ".join(shown).split())
    heads = shown[1].split()[1:]
    assert len(heads) == 9 and heads[0] == "0" and heads[-1] == "29" and "2*" in heads


def test_unknown_superclasses_are_said_to_be_unknown() -> None:
    assert "--superclasses" in " ".join(lines(small(), {}))


@pytest.mark.parametrize("count", [1, 6, 50, 80])
def test_the_figure_has_a_cell_for_every_superclass_and_level(count: int) -> None:
    ladder = many(count)
    with drawing():
        figure = paint_composition(composition(ladder, named(count)), LIGHT)
        axes = figure.axes[0]
        names = [label.get_text() for label in axes.get_yticklabels()]
        rows = {1: 1, 6: 6, 50: 50, 80: 61}[count]
        assert len(names) == rows and len(axes.patches) == rows * 8
        cells = {(round(text.get_position()[0]), round(text.get_position()[1])): text.get_text() for text in axes.texts}
        wanted = {group.name: group for group in composition(ladder, named(count)).groups}
        for row, name in enumerate(names[:50]):
            train, test = wanted[name].counts[3]
            assert cells[3, row] == f"{train}|{test}"
        figure.canvas.draw()
        frame = figure.bbox.expanded(1.001, 1.001)
        for text in (*axes.get_yticklabels(), *axes.get_xticklabels(), *figure.texts):
            box = text.get_window_extent()
            assert frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
