"""`oodml sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from oodml import arguments as arg

if TYPE_CHECKING:
    from oodml.prepared_sweep import Prepared, SweepOptions
    from oodml.sweep import SweepResult

EXAMPLES = """Examples:

`oodml sweep splits/glyphs --methods margin,arcface --seeds 3`

`oodml sweep splits/glyphs --set margin.beta=0.6 --set train.lr=0.0005 --dry-run`

`oodml sweep splits/photos --backbone mobilenetv2_100 --weights FILE --image-size 96 --steps 120`

`oodml sweep splits/glyphs --shots 2,5 --adapters linear,whitening`

`oodml sweep splits/glyphs --executor ray --tracker tensorboard`

The same command again does only what is missing; `oodml status` shows from another terminal how far it is.
Exit code: 0 all done, 1 some runs failed, 2 bad input, 130 interrupted."""


def sweep(
    ladder: arg.LadderPath,
    out: arg.Out = None,
    methods: arg.Methods = None,
    levels: arg.SweepLevels = None,
    seeds: arg.Seeds = None,
    preset: arg.Preset = None,
    steps: arg.Steps = None,
    embedding_dim: arg.EmbeddingDim = None,
    selection: arg.Selection = None,
    metrics: arg.RunMetrics = None,
    shots: arg.FewShots = None,
    adapters: arg.Adapters = None,
    views: arg.Views = None,
    small_classes: arg.SmallClasses = None,
    set_: arg.Set = [],  # noqa: B006 - typer copies it
    config: arg.Config = None,
    backbone: arg.BackboneName = None,
    pretrained: arg.Pretrained = None,
    weights: arg.Weights = None,
    backbone_args: arg.BackboneArgs = [],  # noqa: B006
    mean: arg.Mean = None,
    std: arg.Std = None,
    image_size: arg.ImageSize = None,
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
    trackers: arg.Trackers = [],  # noqa: B006
    checkpoint_every: arg.CheckpointEvery = None,
    keep_models: arg.KeepModels = False,
    retry_failed: arg.RetryFailed = False,
    dry_run: arg.DryRun = False,
) -> None:
    """Train and score every method on every level of a ladder; resumable."""
    prepared = _prepare(dict(locals()))
    if dry_run:
        _show_plan(prepared)
    else:
        _finish(_execute(prepared), prepared)


def _prepare(given: dict[str, Any]) -> Prepared:
    from oodml.console import warn
    from oodml.dataset_ref import DatasetRef
    from oodml.prepared_sweep import cautions, prepare_sweep
    from oodml.splits import load_ladder

    opened = load_ladder(given["ladder"])
    spec, options = given["dataset"] or opened.dataset, dict(opened.dataset_options)
    where = DatasetRef(spec, options, given["superclasses"], given["root"], given["download"])
    prepared = prepare_sweep(opened, where, _options(opened, given), given["out"] or Path("results") / opened.name)
    for text in cautions(prepared):
        warn(text)
    return prepared


def _options(ladder: Any, given: dict[str, Any]) -> SweepOptions:
    from oodml.options import parse_pairs
    from oodml.sweep_config import KEYS, sweep_options

    flags = {key: given[key] for key in KEYS}
    flags["backbone_args"] = parse_pairs(given["backbone_args"], "--backbone-args") or None
    flags["mean"], flags["std"] = arg.channels(given["mean"], "--mean"), arg.channels(given["std"], "--std")
    flags |= {name: given[name] or None for name in ("keep_models", "retry_failed", "trackers")}
    return sweep_options(ladder, flags, given["set_"], given["config"])


def _show_plan(prepared: Prepared) -> None:
    from oodml.commands.plan_view import duration, plan_table
    from oodml.console import out, say
    from oodml.estimate import estimate
    from oodml.plan import describe_training
    from oodml.prepared_sweep import missing

    todo = missing(prepared)
    out.print(plan_table(prepared.specs, {spec.run_id for spec in todo}))
    first = prepared.specs[0]
    say(f"training: {describe_training(first.backbone, first.config_json)}, selection {first.selection}")
    say(f"runs: {len(prepared.specs)} planned, {len(todo)} to do; results in {prepared.out}")
    if prepared.few_shot:
        adapters = ", ".join(adapter.label for adapter in prepared.few_shot.adapters)
        say(f"then: {adapters} with {', '.join(map(str, prepared.few_shot.shots))} labelled images per test class")
    if todo:
        expected = estimate(prepared, todo)
        say(f"time: about {duration(expected.seconds)}, {expected.basis}")


def _execute(prepared: Prepared) -> SweepResult:
    from oodml.console import interruptible
    from oodml.sweep import execute_sweep
    from oodml.sweep_display import SweepDisplay

    text = f"stopped; finished runs are in {prepared.out}, the same command goes on from there"
    runs = {spec.run_id for spec in prepared.specs}
    with interruptible(text), SweepDisplay(prepared.out, runs) as display:
        return execute_sweep(prepared, display)


def _finish(result: SweepResult, prepared: Prepared) -> None:
    from oodml.console import out, say, warn
    from oodml.report.terminal import summary_table
    from oodml.reporting import load_sections

    for section in load_sections([result.out]):
        out.print(summary_table(section, "recall_at_1"))
    executed = sum(result.outcomes.values())
    say(f"runs: {result.planned} planned, {result.already} were there already, {executed} executed now")
    say(f"results: {result.out}")
    say(f"next:    oodml report {result.out}")
    if result.failures:
        for name, error in result.failures:
            warn(f"{name}: {error}")
        warn(f"{len(result.failures)} runs have no result; --retry-failed repeats them")
        raise typer.Exit(arg.EXIT_FAILED)
