"""What a reader should distrust: sentences about the numbers of a view that follow from how they were made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from oodml.records import Level
from oodml.report import text
from oodml.report.sections import Facts
from oodml.report.view import View

FEW = 3  # seeds: below, an interval is a guess
CHANCE = 0.05
DRIFT = 0.05  # of the untrained reference over the ladder


def distrust(view: View, metric: str, facts: Facts) -> tuple[str, ...]:
    """Sentences, the most serious first.

    Args:
        view: A setting and selection.
        metric: The main metric.
        facts: Where the numbers come from.
    """
    found = [
        *_selection(view),
        *_seeds(view, metric),
        *_levels(view.levels),
        *_reference(view.levels, metric),
        *_several(facts),
    ]
    return tuple(found)


def _selection(view: View) -> Iterator[str]:
    if view.selection == "oracle":
        yield (
            "The weights were chosen on the test classes (oracle selection): these numbers are too good, and only fit "
            "for a comparison with published ones that were made in the same way."
        )


def _seeds(view: View, metric: str) -> Iterator[str]:
    counts = {
        method: [cell.n for level in view.levels if (cell := view.cells.get((method, level.index, metric))) and cell.n]
        for method in view.methods
    }
    single = [method for method, n in counts.items() if n and max(n) == 1]
    few = [method for method, n in counts.items() if n and 1 < max(n) < FEW]
    if single and len(single) == len(view.methods):
        yield "Every number stands on one seed: there is no interval, and no difference was tested."
    elif single:
        yield f"One seed only, so no interval: {_listed(single)}."
    if few:
        yield f"Two seeds only, so the interval is a guess: {_listed(few)}."


def _levels(levels: Sequence[Level]) -> Iterator[str]:
    removed = [level.index for level in levels if level.origin.startswith("removal")]
    if removed:
        yield (
            f"{_numbers(removed)} lost classes to reach {'its' if len(removed) == 1 else 'their'} shift: fewer classes "
            "make retrieval easier and the distance between class means larger, whatever the classes are."
        )
    chance = [level.index for level in levels if level.null_p > CHANCE]
    if chance:
        yield f"The shift of {_numbers(chance, 'level')} is within what random divisions have: it shows no shift."
    sizes = {len(level.test) for level in levels}
    if len(sizes) > 1:
        yield f"The levels test on {min(sizes)} to {max(sizes)} classes; a metric moves with that number by itself."


def _reference(levels: Sequence[Level], metric: str) -> Iterator[str]:
    known = [level.reference[metric] for level in levels if metric in level.reference]
    if len(known) == len(levels) > 1 and abs(known[-1] - known[0]) >= DRIFT:
        word = "falls" if known[-1] < known[0] else "rises"
        easier = "harder" if known[-1] < known[0] else "easier"
        yield (
            f"The untrained reference {word} from {text.number(known[0])} to {text.number(known[-1])} over the ladder: "
            f"part of every curve is that the test classes themselves are {easier} to tell apart."
        )


def _several(facts: Facts) -> Iterator[str]:
    mixed = [name for name, words in (("versions", facts.versions), ("devices", facts.device)) if " and " in words]
    if mixed:
        yield f"The runs were made with different {' and '.join(mixed)}, which moves numbers in the last digits."


def _listed(methods: Sequence[str]) -> str:
    return ", ".join(methods) if len(methods) <= 8 else f"{', '.join(methods[:6])} and {len(methods) - 6} others"


def _numbers(indices: Sequence[int], word: str = "Level") -> str:
    return f"{word}{'' if len(indices) == 1 else 's'} {', '.join(map(str, indices))}"
