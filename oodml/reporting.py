"""From sweep folders to a report: read, summarise, write. Free of torch."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from oodml.controls import check_control, summarise_control
from oodml.entries import failed_adaptations
from oodml.errors import ResultsError, UnknownNameError
from oodml.few_shot_statistics import summarise_few_shot
from oodml.leaderboard import build_leaderboard, levels_frame
from oodml.method_facts import method_facts
from oodml.method_groups import expand_groups
from oodml.plan import describe_training
from oodml.records import PROTOCOL, Ladder
from oodml.report import Facts, Failure, Section, write_report
from oodml.results import ResultsWarning, read_plan, read_runs, write_leaderboard
from oodml.schema import FEW_SHOT
from oodml.splits import load_ladder

if TYPE_CHECKING:
    from collections.abc import Hashable

FINISHED = "done"


def make_report(
    sweeps: Sequence[Path],
    out: Path,
    *,
    metrics: Sequence[str] = ("recall_at_1", "map_at_r"),
    methods: Sequence[str] | None = None,
    figures: Sequence[str] | None = None,
    published: bool = False,
    controls: Sequence[Path] = (),
    processes: int = 1,
) -> tuple[Path, list[Section]]:
    """Writes the report of one or several sweeps, finished or not, and the leaderboard beside it.

    Args:
        sweeps: Sweep folders; those of the same ladder are shown together.
        out: Folder of the report.
        metrics: Metrics to show, the main one first.
        methods: Names and groups of the methods to show, None for all; ranks and leaderboard are those of all.
        figures: Names of the figures to draw (`oodml.report.figure_names.FIGURES`), None for all.
        published: Whether to show the published study beside sweeps on its ladders.
        controls: Sweeps over random divisions of the same data, for the bands that chance alone fills.
        processes: How many draw; a script that asks for two needs the `if __name__ == "__main__":` of every program
            that starts processes.

    Returns:
        Path of the page, and the sections that it shows.

    Raises:
        ResultsError: If a folder holds no sweep, or a control is none.
        UnknownNameError: If no sweep has one of the metrics.
        StorageError: If the folder cannot be written.
    """
    sections = load_sections(sweeps)
    shown = sections if methods is None else [_only(section, expand_groups(methods)) for section in sections]
    shown = _with_controls(shown, sweeps, controls)
    page = write_report(shown, out, metrics=metrics, figures=figures, published=published, processes=processes)
    write_leaderboard(out / "leaderboard.parquet", pd.concat([section.frame for section in sections]))
    return page, shown


def _with_controls(sections: list[Section], sweeps: Sequence[Path], controls: Sequence[Path]) -> list[Section]:
    """The sections, each with the control sweep of its data."""
    if not controls:
        return sections
    ladders = {ladder.name: ladder for ladder in map(_ladder_of, sweeps)}
    found = {}
    for folder in controls:
        ladder = _ladder_of(folder)
        check_control(ladder, list(ladders.values()))
        found[ladder.dataset_hash] = summarise_control(load_sections([folder])[0].frame)
    return [replace(section, control=found.get(ladders[section.benchmark].dataset_hash)) for section in sections]


def _only(section: Section, methods: Sequence[str]) -> Section:
    """A section with the rows of some methods.

    Raises:
        UnknownNameError: If it has none of them.
    """
    chosen = section.frame["method"].isin(methods)
    if not chosen.any() and len(section.frame):
        raise UnknownNameError("method of the sweep", ", ".join(methods), sorted(set(section.frame["method"])))
    return replace(section, frame=section.frame[chosen])


def load_sections(sweeps: Sequence[Path]) -> list[Section]:
    """One section per ladder, in the order in which the ladders are first met."""
    ladders: dict[str, Ladder] = {}
    folders: dict[str, list[Path]] = {}
    for sweep in sweeps:
        ladder = _ladder_of(sweep)
        ladders.setdefault(ladder.name, ladder)
        if ladders[ladder.name].ladder_hash != ladder.ladder_hash:
            raise ResultsError(
                f"{sweep} and {folders[ladder.name][0]} use different ladders of the name {ladder.name!r}; "
                "report them separately"
            )
        folders.setdefault(ladder.name, []).append(sweep)
    return [_section(ladder, folders[name]) for name, ladder in ladders.items()]


def _ladder_of(sweep: Path) -> Ladder:
    if not (sweep / "ladder" / "ladder.json").exists():
        raise ResultsError(f"{sweep} is not a sweep folder (it has no ladder/ladder.json); make one: oodml sweep")
    return load_ladder(sweep / "ladder")


def _section(ladder: Ladder, sweeps: Sequence[Path]) -> Section:
    frames, unreadable = [], []
    for sweep in sweeps:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResultsWarning)  # the section lists the files
            frames.append(read_runs(sweep))
        unreadable += [reason for _, reason in frames[-1].attrs["unreadable"]]
    runs = pd.concat(frames, ignore_index=True)
    plan = pd.concat([read_plan(sweep) for sweep in sweeps], ignore_index=True).drop_duplicates("run_id")
    board = build_leaderboard(runs, plan, levels_frame(ladder.levels, ladder.name))
    few_shot = summarise_few_shot(runs, plan, [(level.index, level.shift_scaled) for level in ladder.levels])
    facts, methods = _facts(ladder, runs, plan, unreadable), method_facts(ladder, runs, plan, board)
    return Section(ladder.name, board, ladder.levels, facts, few_shot, tuple(methods))


def _facts(ladder: Ladder, runs: pd.DataFrame, plan: pd.DataFrame, unreadable: Sequence[str]) -> Facts:
    first = runs[runs["setting"].ne(FEW_SHOT).fillna(True)].drop_duplicates("run_id")
    failed = first[first["status"] != FINISHED]
    level = ladder.levels[ladder.default_level or 0]
    last = ladder.levels[-1]
    return Facts(
        title=ladder.name,
        dataset=ladder.dataset,
        classes=(
            f"{len(level.train)} train and {len(level.test)} test at the default division, "
            f"{len(last.train)} and {len(last.test)} at the hardest level"
        ),
        training="; ".join(
            dict.fromkeys(describe_training(*kind) for kind in zip(plan["backbone"], plan["config"], strict=True))
        ),
        done=int((first["status"] == FINISHED).sum()),
        planned=len(plan),
        failures=tuple(_failure(row) for row in failed.to_dict("records")),
        adaptations=tuple(_failure(row, adapted=True) for row in failed_adaptations(runs).to_dict("records")),
        unreadable=tuple(unreadable),
        versions=", ".join(
            f"{name} {' and '.join(sorted(set(first[column].dropna())))}"
            for name, column in (("oodml", "oodml_version"), ("torch", "torch_version"))
            if len(first)
        ),
        device=" and ".join(sorted(set(first["device"].dropna()))),
        ladder_hash=ladder.ladder_hash,
        protocol=str(PROTOCOL),
        made=_period(first["started_at"]),
    )


def _period(started: pd.Series[str]) -> str:
    """The first and the last day."""
    days = started.dropna().str[:10]
    return " to ".join(sorted({days.min(), days.max()})) if len(days) else ""


def _failure(row: dict[Hashable, object], adapted: bool = False) -> Failure:
    level, seed = (int(str(row[name])) for name in ("level", "seed"))
    how = f", {row['adapter']}, {row['shots']} shots" if adapted else ""
    return Failure(f"{row['method']}{how}", level, seed, str(row["status"]), str(row["error"]))
