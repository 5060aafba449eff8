"""Which runs are adapted how, what of it is missing, and doing it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from oodml.adapter_specs import AdapterSpec, adapter_specs
from oodml.adapters.episodes import episodes_of, small_classes
from oodml.compaction import keep_packed
from oodml.errors import UnknownNameError, UsageError
from oodml.executors import run_jobs
from oodml.options import parse_names
from oodml.parts import ADAPTED
from oodml.plan import label
from oodml.records import Ladder, RunSpec
from oodml.run_logs import adapted_name, see_log
from oodml.sweep_folder import statuses
from oodml.watching import NOBODY, Watcher

if TYPE_CHECKING:
    from oodml.adaptation import Unit
    from oodml.executors.jobs import AdaptJob
    from oodml.executors.places import Places
    from oodml.runner import Bench

SMALL_CLASSES = ("drop", "error")


@dataclass(frozen=True)
class FewShot:
    """How runs are adapted.

    Attributes:
        shots: Numbers of labelled images per class.
        adapters: The adapters, the control among them.
        metrics: What episodes are scored by; None for the cheap ones.
    """

    shots: tuple[int, ...]
    adapters: tuple[AdapterSpec, ...]
    metrics: tuple[str, ...] | None = None


def parse_shots(text: str) -> tuple[int, ...]:
    """`"2,5"` as (2, 5).

    Raises:
        UsageError: If a part is not a whole number above 0.
    """
    parts = parse_names(text)
    if not parts or not all(part.isdecimal() and int(part) for part in parts):
        raise UsageError(f"--shots {text!r} should be whole numbers above 0 such as 2,5")
    return tuple(sorted({int(part) for part in parts}))


def few_shot_options(
    ladder: Ladder,
    levels: Sequence[int],
    shots: Sequence[int],
    adapters: Sequence[str],
    *,
    views: str | None = None,
    small: str = "drop",
    metrics: Sequence[str] | None = None,
) -> FewShot:
    """Resolves what a user asks for, so that mistakes show before anything is done.

    Args:
        ladder: With its episodes.
        levels: Levels that are adapted.
        shots: Labelled images per class.
        adapters: Adapters with their options, see `adapter_spec`.
        views: See `adapter_specs`.
        small: What happens to classes with no image left to ask for: "drop" leaves them out of these episodes,
            "error" refuses.
        metrics: What episodes are scored by.

    Raises:
        UnknownNameError: If an adapter, option or value does not exist.
        UsageError: If the ladder has no such episodes, or small classes are refused.
    """
    if small not in SMALL_CLASSES:
        raise UnknownNameError("value of --small-classes", small, SMALL_CLASSES)
    for level in levels:
        found = small_classes(ladder.levels[level].test, episodes_of(ladder, level, shots))
        if found and small == "error":
            number, names = next(iter(found.items()))
            raise UsageError(
                f"level {level}: {len(names)} test classes have no more than {number} images, the first is "
                f"{names[0]!r}; --small-classes drop leaves them out of the episodes of {number} shots"
            )
    return FewShot(tuple(shots), adapter_specs(adapters, views), None if metrics is None else tuple(metrics))


def plan_units(specs: Sequence[RunSpec], few_shot: FewShot) -> list[Unit]:
    """Every run with every adapter and number of shots."""
    from oodml.adaptation import Unit

    return [Unit(spec, k, adapter) for spec in specs for k in few_shot.shots for adapter in few_shot.adapters]


def unit_path(sweep: Path, unit: Unit) -> Path:
    """Where a sweep folder holds the rows of a unit."""
    return sweep / ADAPTED / f"{unit.unit_id}.parquet"


def unit_statuses(sweep: Path, units: Sequence[Unit]) -> dict[Unit, tuple[str, str]]:
    """Status and error of every unit; "missing" where the sweep folder holds nothing of it."""
    known = statuses(sweep, ADAPTED, [unit.unit_id for unit in units])
    return {unit: known.get(unit.unit_id, ("missing", "not adapted")) for unit in units}


def missing_units(sweep: Path, units: Sequence[Unit], retry_failed: bool) -> list[Unit]:
    """The units that a start would do."""
    found = unit_statuses(sweep, units)
    return [unit for unit in units if found[unit][0] == "missing" or (retry_failed and found[unit][0] != "done")]


def jobs_of(units: Sequence[Unit], few_shot: FewShot) -> list[AdaptJob]:
    """Units that share heads of one shape: the seeds, shots and adapters of a method at a level."""
    from oodml.executors.jobs import AdaptJob

    groups: dict[RunSpec, list[Unit]] = defaultdict(list)
    for unit in units:
        groups[replace(unit.spec, seed=0)].append(unit)
    own = {} if few_shot.metrics is None else {"metrics": few_shot.metrics}
    return [AdaptJob(tuple(members), **own) for members in groups.values()]


def adapt(
    bench: Bench, units: Sequence[Unit], few_shot: FewShot, sweep: Path, places: Places, watcher: Watcher = NOBODY
) -> None:
    """Adapts units, a process per job.

    Args:
        bench: Ladder, dataset and network.
        units: What is missing; the networks of their runs are in the sweep folder.
        few_shot: How.
        sweep: The sweep folder.
        places: Where.
        watcher: Told of what happens.
    """
    for _ in keep_packed(run_jobs(bench, jobs_of(units, few_shot), sweep, places, watcher), sweep):
        pass


def failures(sweep: Path, units: Sequence[Unit]) -> list[tuple[str, str]]:
    """Units without a result: (label, error)."""
    return [
        (
            f"{label(unit.spec)}, {unit.adapter.label}, {unit.shots} shots: {status}",
            see_log(sweep, adapted_name(unit.spec), error),
        )
        for unit, (status, error) in unit_statuses(sweep, units).items()
        if status != "done"
    ]
