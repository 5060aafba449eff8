"""The sentences on ours beside the published study: what was compared, what came out, what was left out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from oodml.published import Study
from oodml.report import text
from oodml.report.published_ladder import Match
from oodml.report.published_runs import METRIC, Compared, Runs, several
from oodml.report.published_tables import Pair, ags_pair, level_pair, levels_of

SELECTED = {
    "oracle": "chosen on the test classes (oracle), as in the study",
    "last": "the last ones, not the best on the test classes as in the study: ours may lie lower for that alone",
    "val": "chosen on held-out training classes, not the best on the test classes as in the study: ours may lie lower "
    "for that alone",
}


def which_ladder(match: Match, study: Study) -> list[str]:
    """Which published ladder it is, and how much of it is there."""
    count, there = len(match.ladder.shifts), len(match.splits)
    part = f"all {count} splits" if match.whole else f"{there} of {count} splits"
    lead = f"The ladder is that of the study on {match.ladder.title} (arXiv:{study.arxiv}), {part}."
    if match.whole:
        return [lead]
    return [lead, "AGS is not compared: over fewer splits it is another area than the published one."]


def outcome(compared: Sequence[Compared], match: Match) -> list[str]:
    """How many cells agree, by how much they differ, and whether the order of the methods is the same."""
    pairs = [level_pair(entry, level, match) for entry in compared for level in levels_of(compared)]
    known = [(pair.difference, pair.agrees) for pair in pairs if pair.difference is not None]
    differences = [difference for difference, _ in known if difference is not None]
    name = text.metric_name(METRIC)
    if not differences:
        return [f"No split has both a value of ours and a published one of {name}."]
    counts = [
        f"{sum(verdict is word for _, verdict in known)} {label}" for word, label in _VERDICTS if _has(known, word)
    ]
    mean = text.signed(sum(differences) / len(differences)) or "0"
    found = [f"{name} of {len(known)} cells beside their published value: {', '.join(counts)}; mean difference {mean}."]
    return found + (_order(compared, match) if match.whole else [])


_VERDICTS = (
    (True, "within our interval and the uncertainty of the reading"),
    (False, "outside"),
    (None, "undecided, with one seed and so without an interval"),
)


def _has(known: Sequence[tuple[float | None, bool | None]], word: bool | None) -> bool:
    return any(verdict is word for _, verdict in known)


def _order(compared: Sequence[Compared], match: Match) -> list[str]:
    """How many pairs of methods stand in the published order; those that the reading cannot tell apart do not count."""
    pairs = [(entry.method, ags_pair(entry, match)) for entry in compared]
    scored = [(method, pair) for method, pair in pairs if pair.difference is not None]
    told = [(a, b) for (m, a), (n, b) in combinations(scored, 2) if m != n and _apart(a, b)]
    if not told:
        return []
    same = sum(_step(a, b) > 0 for a, b in told)
    return [f"AGS: {same} of {len(told)} pairs of methods that differ in the study stand in the same order."]


def _apart(a: Pair, b: Pair) -> bool:
    first, second = a.published, b.published
    return bool(first and second and abs(first.value - second.value) > first.uncertainty + second.uncertainty)


def _step(a: Pair, b: Pair) -> float:
    """Positive if ours and the published go in the same direction from one method to the other."""
    assert a.ours and b.ours and a.published and b.published
    return ((a.ours.mean or 0.0) - (b.ours.mean or 0.0)) * (a.published.value - b.published.value)


def conditions(compared: Sequence[Compared]) -> list[str]:
    """Which weights were scored, and in what an entry differs from the study although its training does not."""
    sentences = []
    chosen = dict.fromkeys(entry.view.selection for entry in compared)
    for selection in chosen:
        who = [entry.label for entry in compared if entry.view.selection == selection]
        of = "" if len(chosen) == 1 else f" of {', '.join(who)}"
        sentences.append(f"Our weights{of} are {SELECTED.get(selection, selection)}.")
    odd = [entry for entry in compared if entry.differences]
    return sentences + [f"{e.label} differs from the study: {several(e.differences)}." for e in odd]


def left_out(runs: Runs) -> list[str]:
    """Which entries are not compared, and why; those with the same reasons share a sentence."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for label, problems in runs.deviating.items():
        groups.setdefault(problems, []).append(label)
    sentences = [f"Left out, not by `--preset paper`: {', '.join(of)}: {several(why)}." for why, of in groups.items()]
    if runs.waiting:
        sentences.append(f"Without a value yet: {', '.join(runs.waiting)}.")
    if runs.foreign:
        sentences.append(f"Not in the study: {several(runs.foreign)}.")
    return sentences


def other_metrics(metrics: Sequence[str]) -> list[str]:
    """That the other metrics of the report have no published numbers."""
    others = [text.metric_name(metric) for metric in metrics if metric != METRIC]
    return [f"No published numbers are known of {', '.join(others)}."] if others else []


def caption(compared: Sequence[Compared]) -> str:
    """How to read the figure, and which weights it shows."""
    made = "; ".join(dict.fromkeys(made for entry in compared for made in entry.view.intervals()))
    parts = ["Solid, filled: ours" + (f", vertical bars: {made}." if made else "; an interval needs two seeds.")]
    parts.append(
        "Dashed, hollow: published, read off a plot; grey: what the reading leaves open; gaps could not be read. "
        "Dotted: the split that the literature uses. The published numbers are those of the best epoch on the test "
        "classes."
    )
    return " ".join([*parts, *(line for line in conditions(compared) if line.startswith("Our weights"))])
