"""`oodml adapt`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from oodml import arguments as arg
from oodml.options import parse_names

if TYPE_CHECKING:
    from oodml.adapting import AdaptOptions, AdaptResult, PreparedAdapt
    from oodml.records import Ladder

EXAMPLES = """Examples:

`oodml adapt results/glyphs --shots 2,5`

`oodml adapt results/photos --shots 5 --adapters linear,linear:criterion=multisimilarity,whitening`

`oodml adapt results/photos --shots 2 --adapters linear --views online --methods margin --dry-run`

Needs the networks that `oodml sweep --keep-models` leaves. The same command again does only what is missing.
Exit code: 0 all done, 1 something failed, 2 bad input, 130 interrupted."""


def adapt(
    sweep: arg.SweepPath,
    shots: arg.FewShots = "2,5",
    adapters: arg.Adapters = None,
    views: arg.Views = None,
    small_classes: arg.SmallClasses = None,
    metrics: arg.FewShotMetrics = None,
    methods: arg.AdaptedMethods = None,
    levels: arg.SweepLevels = None,
    seeds: arg.Seeds = None,
    dataset: arg.DatasetOverride = None,
    superclasses: arg.Superclasses = None,
    root: arg.Root = Path("data"),
    download: arg.Download = False,
    device: arg.Device = None,
    workers: arg.Workers = None,
    threads: arg.Threads = None,
    timeout: arg.Timeout = None,
    share: arg.Share = None,
    executor: arg.Executor = None,
    ray_address: arg.RayAddress = None,
    gpus_per_run: arg.GpusPerRun = None,
    memory_per_run: arg.MemoryPerRun = None,
    trackers: arg.Trackers = [],  # noqa: B006 - typer copies it
    retry_failed: arg.RetryFailed = False,
    dry_run: arg.DryRun = False,
) -> None:
    """Adapt the trained networks of a sweep to a few labelled images per test class, without training again."""
    given = dict(locals())
    from oodml.adapting import ladder_of, prepare_adapt
    from oodml.console import warn
    from oodml.dataset_ref import DatasetRef

    ladder = ladder_of(sweep)
    where = DatasetRef(dataset or ladder.dataset, dict(ladder.dataset_options), superclasses, root, download)
    prepared = prepare_adapt(sweep, where, _options(ladder, given))
    if prepared.without_network:
        warn(prepared.no_network())
    if dry_run:
        _show_plan(prepared)
        return
    _finish(_execute(prepared))


def _options(ladder: Ladder, given: dict[str, object]) -> AdaptOptions:
    from oodml.adapting import AdaptOptions
    from oodml.few_shot import parse_shots
    from oodml.plan import parse_levels, parse_seeds
    from oodml.sweep_config import parse_memory, tracker_names

    values: dict[str, object] = {
        name: parse_names(str(given[name])) for name in ("adapters", "metrics", "methods") if given[name] is not None
    }
    readers = {
        "shots": parse_shots,
        "levels": lambda text: parse_levels(text, ladder),
        "seeds": parse_seeds,
        "memory_per_run": parse_memory,
    }
    values |= {name: read(str(given[name])) for name, read in readers.items() if given[name] is not None}
    values["trackers"] = tracker_names(given["trackers"])  # type: ignore[arg-type]
    plain = (
        *("views", "small_classes", "device", "workers", "threads", "timeout", "share", "retry_failed"),
        *("executor", "ray_address", "gpus_per_run"),
    )
    values |= {name: given[name] for name in plain if given[name] is not None}
    return AdaptOptions(**values)  # type: ignore[arg-type]


def _show_plan(prepared: PreparedAdapt) -> None:
    from rich.table import Table

    from oodml.commands.plan_view import duration
    from oodml.console import out, say
    from oodml.estimate import estimate_adapting
    from oodml.few_shot import jobs_of

    units = [unit for _, own in prepared.benches for unit in own]
    todo = set(prepared.missing(units))
    table = Table("adapter", "shots", "runs", "to do", title="plan", title_justify="left")
    for adapter in prepared.few_shot.adapters:
        for shots in prepared.few_shot.shots:
            own = [unit for unit in units if unit.adapter == adapter and unit.shots == shots]
            table.add_row(adapter.label, str(shots), str(len(own)), str(sum(unit in todo for unit in own)))
    out.print(table)
    expected, jobs = estimate_adapting(prepared, list(todo)), len(jobs_of(list(todo), prepared.few_shot))
    say(f"to do: {len(todo)} of {len(units)}, in {jobs} jobs (a method at a level); results in {prepared.sweep}")
    if expected:
        say(f"time: about {duration(expected.seconds)}, {expected.basis}")


def _execute(prepared: PreparedAdapt) -> AdaptResult:
    from oodml.adapting import execute_adapt
    from oodml.console import interruptible
    from oodml.sweep_display import SweepDisplay

    text = f"stopped; what is adapted is in {prepared.sweep}, the same command goes on from there"
    runs = {unit.spec.run_id for _, units in prepared.benches for unit in units}
    with interruptible(text), SweepDisplay(prepared.sweep, runs) as display:
        return execute_adapt(prepared, display)


def _finish(result: AdaptResult) -> None:
    from oodml.console import say, warn

    say(f"adapted: {result.planned} planned, {result.already} were there already")
    say(f"results: {result.sweep}")
    say(f"next:    oodml report {result.sweep}")
    if result.failures:
        for name, error in result.failures:
            warn(f"{name}: {error}")
        warn(f"{len(result.failures)} have no result; --retry-failed repeats those that failed")
        raise typer.Exit(arg.EXIT_FAILED)
