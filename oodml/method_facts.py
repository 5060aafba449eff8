"""What stands behind the rows of a method: its card, its options, its runs and the command that repeats them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from oodml import registry
from oodml.entries import Entry, Run, collect, few_shot_rows, find_entries, row_tuples
from oodml.errors import OodmlError
from oodml.method_labels import label_methods
from oodml.options import scalar_text
from oodml.plan import spec_from_json
from oodml.records import Ladder
from oodml.repeat import repeat_command


@dataclass(frozen=True)
class RunNote:
    """One run behind a number.

    Attributes:
        run_id: Its name.
        level: Index of the level.
        seed: Its seed.
        selection: Which weights were scored.
        status: "done", "planned", or how it failed.
        values: Its zero-shot metrics.
    """

    run_id: str
    level: int
    seed: int
    selection: str
    status: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class MethodFacts:
    """What stands behind the rows of a method.

    Attributes:
        label: As the leaderboard shows it.
        group: Group of the method, such as "study"; "" if it is not registered here.
        summary: What it does, one line.
        paper: Its source.
        options: Its resolved options as text.
        command: What makes its runs again, "" if unknown.
        train_s: Mean seconds of training per run; None if unknown.
        runs: Its runs, sorted.
    """

    label: str
    group: str = ""
    summary: str = ""
    paper: str = ""
    options: str = ""
    command: str = ""
    train_s: float | None = None
    runs: tuple[RunNote, ...] = ()


def method_facts(ladder: Ladder, runs: pd.DataFrame, plan: pd.DataFrame, board: pd.DataFrame) -> list[MethodFacts]:
    """One record for every label of a leaderboard.

    Args:
        ladder: The ladder of the runs.
        runs: Rows of `read_runs`.
        plan: Rows of `read_plan`.
        board: Rows of `build_leaderboard` of these.
    """
    found = collect(runs, plan)
    entries = find_entries(found)
    labels = dict(zip(row_tuples(board, Entry._fields), label_methods(board), strict=True))
    members: dict[str, list[Run]] = defaultdict(list)
    for run_id, run in found.items():
        members[labels[tuple(entries[run_id])]].append(run)
    values, costs = _values(runs), _seconds(runs)
    named = plan.dropna(subset="spec")
    specs = dict(zip(named["run_id"], named["spec"], strict=True))
    return [_facts(ladder, label, members[label], values, costs, specs) for label in sorted(members)]


def _values(runs: pd.DataFrame) -> Mapping[str, dict[str, float]]:
    """Run id to its zero-shot metrics."""
    known = runs[runs["metric"].notna() & ~few_shot_rows(runs)].drop_duplicates(["run_id", "metric"])
    values: dict[str, dict[str, float]] = defaultdict(dict)
    for run_id, metric, value in zip(known["run_id"], known["metric"], known["value"], strict=True):
        values[run_id][metric] = value
    return values


def _seconds(runs: pd.DataFrame) -> Mapping[str, float]:
    """Run id to its seconds of training."""
    known = runs[runs["train_s"].notna() & ~few_shot_rows(runs)].drop_duplicates("run_id")
    return dict(zip(known["run_id"], known["train_s"], strict=True))


def _facts(
    ladder: Ladder,
    label: str,
    members: Sequence[Run],
    values: Mapping[str, dict[str, float]],
    costs: Mapping[str, float],
    specs: Mapping[str, str],
) -> MethodFacts:
    first = members[0]
    try:
        card: Any = registry.load("method", first.method)
    except OodmlError:
        card = None  # of a package that is not installed here
    notes = [
        RunNote(run.run_id, run.level, run.seed, run.selection, run.status, values.get(run.run_id, {}))
        for run in sorted(members, key=lambda run: (run.selection, run.level, run.seed))
    ]
    seconds = [costs[run.run_id] for run in members if run.run_id in costs]
    return MethodFacts(
        label=label,
        group=card.group if card else "",
        summary=card.summary if card else "",
        paper=card.paper if card else "",
        options=_options_text(first.config),
        command=_command(ladder, [run for run in members if run.selection == first.selection], specs),
        train_s=sum(seconds) / len(seconds) if seconds else None,
        runs=tuple(notes),
    )


def _options_text(config: str | None) -> str:
    options = json.loads(config or "{}").get("method", {})
    return ", ".join(f"{name}={scalar_text(value)}" for name, value in options.items())


def _command(ladder: Ladder, members: Sequence[Run], specs: Mapping[str, str]) -> str:
    known = [spec_from_json(specs[run.run_id]) for run in members if run.run_id in specs]
    dataset = ladder.dataset.partition(":")[0]
    return repeat_command(f"splits/{ladder.name}", dataset, known) if known else ""
