"""From runs to a leaderboard: seeds are averaged in a cell, then levels under a curve. Free of torch.

A row is a cell: one configuration of a method (an entry) at one level, in one setting and metric (a
variant). Cells that were planned but have no finished run stay as rows without a mean; nothing is averaged
over a gap.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from oodml import schema
from oodml.entries import (
    Entry,
    Episodes,
    Grid,
    Variant,
    benchmark_facts,
    collect,
    failed_adaptations,
    find_entries,
    make_curve,
    make_episodes,
    make_grids,
    row_tuples,
)
from oodml.errors import ResultsError, UnknownNameError
from oodml.few_shot_statistics import gain_episodes, pair_episodes
from oodml.metrics.base import HEADLINE_METRICS, metric_info
from oodml.records import Level
from oodml.results import sort_leaderboard, to_frame
from oodml.schema import FEW_SHOT, UNADAPTED
from oodml.statistics import ags, rank_range, t_interval

INTERVAL = "t95 over seeds"
EPISODE_INTERVAL = "t95 over episodes"
GAIN = "gain_"  # prefix of the metric of rows that hold what an adapter adds
REFERENCE = "reference_"  # prefix of the columns of `levels_frame` that hold the untrained embedder's metrics

Row = dict[str, Any]


def build_leaderboard(
    runs: pd.DataFrame, plan: pd.DataFrame | None, levels: pd.DataFrame | Sequence[Level]
) -> pd.DataFrame:
    """Summarises runs of one or several sweeps and benchmarks.

    A run that several sweeps hold counts once. AGS rows have a null level and the metric "ags_<metric>";
    they average the seeds that are finished at every level of the ladder (`n`), and are null if there is
    none. Few-shot rows average the episodes of a seed first. Every adapter but "none" also has rows of the
    metric "gain_<metric>": adapted less unadapted on the same query images, episode by episode. They have no
    AGS. With two seeds or more every interval (and `std`) is over seeds; few-shot rows of one seed have that
    over its episodes, and `interval` says so.

    Args:
        runs: Rows of `oodml.results.read_runs`, of several sweeps after concatenation.
        plan: Rows of `read_plan`; without it only what ran counts as planned.
        levels: All levels of the ladder, or `levels_frame`s of several ladders after concatenation.

    Returns:
        One row per cell with the columns of `oodml.schema.LEADERBOARD`, sorted; independent of the order of
        rows. `delta_first` is the mean less that at the easiest level, `delta_reference` the mean less the
        value of the ladder's untrained embedder on all test images of the level: null in few-shot rows, whose
        query images are fewer.
        Ranks compare the entries with the same backbone by Welch's t-test (`oodml.statistics.rank_range`).

    Raises:
        ResultsError: If a level is not in `levels`, a benchmark mixes ladders, or a cell holds a seed twice.
    """
    found = collect(runs, plan)
    entries = find_entries(found)
    grids = make_grids(found, entries)
    episodes = make_episodes(runs, found, entries)
    gains = {key: gain_episodes(pairs) for key, pairs in pair_episodes(episodes).items()}
    lost = _lost(runs, entries)
    facts = benchmark_facts(found)
    ladders = {name: _ladder(levels, name) for name in facts}
    rows: list[Row] = []
    for entry, planned in grids.items():
        seen = {variant for known, variant in episodes if known == entry} | _lost_variants(entry, episodes, lost)
        for variant in seen or {Variant("zero_shot", None, None, metric) for metric in HEADLINE_METRICS}:
            identity = {**facts[entry.benchmark], **entry._asdict(), **variant._asdict()}
            grid = _without(planned, lost.get((entry, variant.shots, variant.adapter), set()))
            ladder, values = ladders[entry.benchmark], episodes.get((entry, variant), {})
            rows += [*_cells(identity, grid, values, ladder), *_ags_row(identity, grid, values, ladder)]
            if variant.setting == FEW_SHOT and variant.adapter != UNADAPTED:
                identity |= {"metric": f"{GAIN}{variant.metric}"}
                rows += _cells(identity, grid, gains.get((entry, variant), {}), ladder)
    _add_ranks(rows)
    columns = {name: [row.get(name) for row in rows] for name in schema.LEADERBOARD.names}
    columns["schema_version"] = [schema.VERSIONS["leaderboard"]] * len(rows)
    return sort_leaderboard(to_frame(schema.table(schema.LEADERBOARD, columns)))


def levels_frame(levels: Iterable[Level], benchmark: str | None = None) -> pd.DataFrame:
    """Levels as the table that `build_leaderboard` reads; name the benchmark to join those of several."""
    rows = [
        {"benchmark": benchmark, "level": v.index, "level_name": v.name, "shift": v.shift}
        | {"shift_scaled": v.shift_scaled}
        | {f"{REFERENCE}{metric}": value for metric, value in v.reference.items()}
        for v in levels
    ]
    return pd.DataFrame(rows)


def _ladder(levels: pd.DataFrame | Sequence[Level], benchmark: str) -> list[Row]:
    """Levels of a benchmark by index, each with its references under "reference"."""
    frame = levels if isinstance(levels, pd.DataFrame) else levels_frame(levels)
    if "benchmark" in frame:
        frame = frame[frame["benchmark"].isna() | (frame["benchmark"] == benchmark)]
    rows: list[Row] = []
    for record in frame.sort_values("level").to_dict("records"):
        row = {str(name): value for name, value in record.items()}
        reference = {n.removeprefix(REFERENCE): v for n, v in row.items() if n.startswith(REFERENCE)}
        shown = {name: row[name] for name in ("level", "level_name", "shift", "shift_scaled")}
        rows.append({**shown, "reference": reference})
    return rows


def _lost(runs: pd.DataFrame, entries: Mapping[str, Entry]) -> dict[tuple[Entry, Any, Any], set[tuple[int, int]]]:
    """Entry, shots and adapter to the (level, seed) at which the adaptation failed."""
    lost: dict[tuple[Entry, Any, Any], set[tuple[int, int]]] = defaultdict(set)
    rows = row_tuples(failed_adaptations(runs), ("run_id", "shots", "adapter", "level", "seed"))
    for run_id, shots, adapter, level, seed in rows:
        lost[entries[run_id], shots, adapter].add((level, seed))
    return lost


def _lost_variants(
    entry: Entry, known: Iterable[tuple[Entry, Variant]], lost: Iterable[tuple[Entry, Any, Any]]
) -> set[Variant]:
    """Variants of adaptations that failed: a failure names no metric, so it takes those of the others."""
    metrics = {v.metric for other, v in known if other == entry and v.setting == FEW_SHOT} or HEADLINE_METRICS
    keys = [(shots, adapter) for owner, shots, adapter in lost if owner == entry]
    return {Variant(FEW_SHOT, shots, adapter, metric) for shots, adapter in keys for metric in metrics}


def _without(grid: Grid, lost: set[tuple[int, int]]) -> Grid:
    return {
        level: {s: "failed" if (level, s) in lost else status for s, status in statuses.items()}
        for level, statuses in grid.items()
    }


def _summary(values: Mapping[int, float], single: Sequence[float] = ()) -> Row:
    """The mean over seeds; the values of a single seed's episodes give the interval that it cannot."""
    ordered = [values[seed] for seed in sorted(values)]
    mean, std, low, high = t_interval(ordered)
    interval = INTERVAL if len(ordered) > 1 else None
    if len(ordered) == 1 and len(single) > 1:
        (_, std, low, high), interval = t_interval(single), EPISODE_INTERVAL
    row = {"mean": mean, "std": std, "n": len(ordered), "ci_low": low, "ci_high": high, "interval": interval}
    return {**row, "values": ordered}


def _failed(statuses: Mapping[int, str]) -> set[int]:
    return {seed for seed, status in statuses.items() if status not in ("done", "planned")}


def _cells(identity: Row, grid: Grid, episodes: Episodes, ladder: list[Row]) -> Iterator[Row]:
    """One row for every level that was planned or ran."""
    unknown = sorted(set(grid) - {row["level"] for row in ladder})
    if unknown:
        raise ResultsError(f"there are runs at level {unknown[0]} of {identity['benchmark']!r}, which its ladder lacks")
    curve = make_curve(episodes)
    first = _summary(curve.get(ladder[0]["level"], {}))["mean"]
    for level in ladder:
        if level["level"] in grid:
            statuses = grid[level["level"]]
            single = next(iter(episodes.get(level["level"], {}).values()), ())
            summary = _summary(curve.get(level["level"], {}), single)
            reference = level["reference"].get(identity["metric"], np.nan)
            yield {
                **{name: value for name, value in level.items() if name != "reference"},
                **identity,
                **summary,
                "n_planned": len(statuses),
                "n_failed": len(_failed(statuses)),
                "delta_first": summary["mean"] - first,
                "delta_reference": np.nan if identity["setting"] == FEW_SHOT else summary["mean"] - reference,
            }


def _ags_row(identity: Row, grid: Grid, episodes: Episodes, ladder: list[Row]) -> Iterator[Row]:
    """The row of the area over all levels; none for a single level, which has no area."""
    if len(ladder) < 2:
        return
    curve, indices = make_curve(episodes), [level["level"] for level in ladder]
    shift = [level["shift_scaled"] for level in ladder]
    complete = set.intersection(*(set(curve.get(index, {})) for index in indices))
    summary = _summary({s: ags(shift, [curve[index][s] for index in indices]) for s in complete})
    reference = ags(shift, [level["reference"].get(identity["metric"], np.nan) for level in ladder])
    yield {
        **identity,
        **summary,
        "metric": f"ags_{identity['metric']}",
        "n_planned": len(set().union(*grid.values())),
        "n_failed": len(set().union(*(_failed(statuses) for statuses in grid.values()))),
        "delta_reference": np.nan if identity["setting"] == FEW_SHOT else summary["mean"] - reference,
    }


def _add_ranks(rows: list[Row]) -> None:
    """Ranks rows that differ in method, width and options only; a metric of unknown direction has none."""
    shared = ("benchmark", "backbone", "level", "setting", "shots", "adapter", "selection", "metric")
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        if row["n"]:
            groups[tuple(row.get(name) for name in shared)].append(row)
    for members in groups.values():
        try:
            metric = members[0]["metric"].removeprefix("ags_").removeprefix(GAIN)
            upward = metric_info(metric).higher_is_better
        except UnknownNameError:
            continue
        ranks = rank_range({str(i): row["values"] for i, row in enumerate(members)}, higher_is_better=upward)
        for i, row in enumerate(members):
            row["rank"], row["rank_low"], row["rank_high"] = ranks[str(i)]


def label_methods(frame: pd.DataFrame) -> pd.Series[str]:
    """Display names of the rows: the method and, where a benchmark has several of it, what differs.

    Returns:
        Labels such as "margin" or "margin (beta=0.6)" with the frame's index; different entries never share
        one within a benchmark.
    """
    keys = list(row_tuples(frame, ("benchmark", "method", "backbone", "embedding_dim", "config")))
    groups: dict[tuple[str, str], list[tuple[Any, ...]]] = defaultdict(list)
    for key in sorted(set(keys), key=lambda key: [str(part) for part in key]):
        groups[key[:2]].append(key)
    labels: dict[tuple[Any, ...], str] = {}
    for (_, method), entries in groups.items():
        taken: set[str] = set()
        for entry, traits in zip(entries, _differences([_traits(*entry[2:]) for entry in entries]), strict=True):
            label = f"{method} ({', '.join(traits)})" if traits else method
            labels[entry] = label if label not in taken else f"{label} #{len(taken) + 1}"
            taken.add(labels[entry])
    return pd.Series([labels[key] for key in keys], index=frame.index, name="label", dtype="str")


def _traits(backbone: str, embedding_dim: int | None, config: str | None) -> dict[tuple[str, str], Any]:
    """Everything that an entry can differ in, most telling first: (section, name) -> value."""
    sections: dict[str, dict[str, Any]] = json.loads(config or "{}")
    columns = {("", "backbone"): backbone, ("", "embedding_dim"): embedding_dim}
    own, training, network = (
        {(section, name): value for name, value in sections.get(section, {}).items()}
        for section in ("method", "training", "backbone")
    )
    return own | columns | training | network


def _differences(entries: list[dict[tuple[str, str], Any]]) -> list[list[str]]:
    """Of every entry the traits that vary; what follows from the backbone's name is left out."""

    def varies(name: tuple[str, str], among: list[dict[tuple[str, str], Any]]) -> bool:
        return len({json.dumps(traits.get(name)) for traits in among}) > 1

    backbones: dict[str, list[dict[tuple[str, str], Any]]] = defaultdict(list)
    for traits in entries:
        backbones[traits["", "backbone"]].append(traits)
    shown = []
    for name in dict.fromkeys(name for traits in entries for name in traits):
        groups = list(backbones.values()) if name[0] == "backbone" else [entries]
        if any(varies(name, group) for group in groups):
            shown.append(name)
    if ("", "embedding_dim") in shown:
        shown = [name for name in shown if name != ("training", "embedding_dim")]
    return [[_trait_text(name, traits[name]) for name in shown if name in traits] for traits in entries]


def _trait_text(name: tuple[str, str], value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if name == ("", "backbone") else f"{name[1]}={text}"
