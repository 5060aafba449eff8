"""Tables of a ladder for the terminal: its levels, and which superclasses lie on which side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from oodml.records import Ladder, Level
from oodml.report import tables, text
from oodml.report.composition import Group, composition, together
from oodml.report.screen import Unit, is_default, level_index, new_table, plain, tight

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

WIDTH, SHOWN_GROUPS, SHOWN_LEVELS, LONGEST = 80, 20, 9, 5  # what fits on a screen of eighty columns
NONE = "\u00b7"
TRAIN, TEST = "bright_blue", "bright_red"
SHORT = {"recall_at_1": "R@1", "map_at_r": "MAP@R"}


def ladder_table(ladder: Ladder) -> Table:
    """The levels of a ladder: shift, null shift, excess, p-value, reference and class counts.

    Args:
        ladder: The ladder.

    Returns:
        A table for `rich`.
    """
    unit = Unit.of([value for level in ladder.levels for value in (level.shift, level.published_shift or 0.0)])
    columns = _columns(ladder.levels, unit)
    widths = [max(len(line) for cell in (name, *cells) for line in cell.split("\n")) for name, cells in columns.items()]
    fits = sum(widths) + 2 * (len(widths) - 1) <= WIDTH
    title = f"{ladder.name}: {len(ladder.levels)} levels"
    shown = new_table(title, _explain(ladder, unit), padding=1 if fits else 0)
    for name in columns:
        left = name in ("level", "origin")
        shown.add_column(
            name,
            justify="left" if left else "right",
            vertical="bottom" if not left else "top",
            no_wrap=name != "origin",
        )
    for row in zip(*columns.values(), strict=True):
        shown.add_row(*map(plain, row))
    return shown


def _columns(levels: Sequence[Level], unit: Unit) -> dict[str, list[str]]:
    """Cells by heading, without columns of which nothing is known."""
    unknown = math.nan
    counts = [tables.class_counts(level) for level in levels]
    found = {
        "level": [level_index(level) for level in levels],
        "origin": [level.origin for level in levels],
        "shift": [unit.show(level.shift) for level in levels],
        "publ.\nshift": [unit.show(unknown if (known := level.published_shift) is None else known) for level in levels],
        "null": [_null(level, unit) for level in levels],
        "excess": [unit.show(level.excess) for level in levels],
        "p": [_p(level.null_p) for level in levels],
    }
    for metric in tables.reference_metrics(levels):
        values = [level.reference.get(metric) for level in levels]
        name = f"ref.\n{SHORT.get(metric, text.metric_name(metric))}"
        found[name] = ["" if value is None else tight(text.number(value)) for value in values]
    found |= {name: [str(count[place]) for count in counts] for place, name in enumerate(("train", "val", "test"))}
    return {name: cells for name, cells in found.items() if any(cells)}


def composition_table(ladder: Ladder, superclasses: Mapping[str, str]) -> Table:
    """Per superclass its number of classes in training and in test at every level.

    Args:
        ladder: The ladder.
        superclasses: Class name to superclass.

    Returns:
        A table for `rich`: the superclasses that move most between the sides first, the rest summed up; in
        colour where a superclass of several classes lies on one side as a whole. Without superclasses it
        says so.
    """
    found = composition(ladder, superclasses)
    if not superclasses:
        shown = new_table("superclasses")
        shown.add_column("unknown; --superclasses FILE.csv (columns class, superclass) names them")
        return shown
    places = _spaced(ladder.levels, SHOWN_LEVELS)
    star = "* the default division; " if ladder.default_level is not None else ""
    caption = f"training/test classes, {NONE} none; {star}whole (in colour): superclasses of two classes or more that "
    caption += "lie on one side"
    hidden = len(ladder.levels) - len(places)
    shown = new_table(f"{len(found.groups)} superclasses", caption + (f"; {hidden} levels left out" if hidden else ""))
    shown.add_column("level", no_wrap=True)
    for place in places:
        shown.add_column(level_index(ladder.levels[place]), justify="right", no_wrap=True)
    many = len(found.groups) > SHOWN_GROUPS + 1
    listed = found.groups[:SHOWN_GROUPS] if many else found.groups
    rows = [[_sides(group, place) for place in places] for group in listed]
    if many:
        rest = together(f"and {len(found.groups) - len(listed)} others", found.groups[len(listed) :])
        listed = (*listed, rest)
        rows.append([_sides(rest, place, several=True) for place in places])
    taken = sum(max(len(line) for row in rows for line in row[i].plain.split("\n")) + 1 for i in range(len(places)))
    for name, cells in zip(text.shorten([group.name for group in listed], max(12, WIDTH - taken)), rows, strict=True):
        shown.add_row(plain(name), *cells)
    shown.add_section()
    shown.add_row(plain(f"whole, of {found.divisible}"), *(plain(str(found.whole(place))) for place in places))
    return shown


def _explain(ladder: Ladder, unit: Unit) -> str:
    parts = ["* the default division"] if ladder.default_level is not None else []
    parts += [f"shifts in {unit.name}"] if unit.name else []
    if any(map(_has_null, ladder.levels)):
        parts.append("null: shift of random sides; excess: shift less null")
    if any(map(_has_p, ladder.levels)):
        draws = ladder.generator.get("null_draws")
        least = f", smallest 1/{draws + 1}" if isinstance(draws, int) else ""
        parts.append(f"p: share of random sides as far apart{least}")
    parts += ["ref.: untrained"] if tables.reference_metrics(ladder.levels) else []
    return "; ".join([*parts, "train, val, test: classes"])


def _has_null(level: Level) -> bool:
    return not math.isnan(level.null_mean)


def _has_p(level: Level) -> bool:
    return not math.isnan(level.null_p)


def _null(level: Level, unit: Unit) -> str:
    spread = f"{text.PLUS_MINUS}{tight(unit.show(level.null_std))}" if not math.isnan(level.null_std) else ""
    return f"{unit.show(level.null_mean)}{spread}"


def _p(value: float) -> str:
    if math.isnan(value):
        return ""
    return "<.001" if value < 0.001 else tight(text.number(value))


def _spaced(levels: Sequence[Level], most: int) -> list[int]:
    """Places of at most so many levels: the first, the last, the default and some between."""
    if len(levels) <= most:
        return list(range(len(levels)))
    default = [place for place, level in enumerate(levels) if is_default(level)]
    steps = most - 1 - len(default)
    return sorted({round(i * (len(levels) - 1) / steps) for i in range(steps + 1)} | set(default))


def _sides(group: Group, place: int, several: bool = False) -> Text:
    train, test = group.counts[place]
    style = ""
    if not several and train + test > 1:
        style = TRAIN if not test else TEST if not train else ""
    if not train + test:
        return plain(NONE, "dim")
    words = f"{train or NONE}/{test or NONE}"
    return plain(words if len(words) <= LONGEST else words.replace("/", "/\n"), style)
