"""Adapting the runs of a finished sweep from their kept networks, without training again."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodml.adapter_specs import DEFAULT_ADAPTERS
from oodml.devices import pick_device
from oodml.errors import ResultsError, UnknownNameError, UsageError
from oodml.execution_options import ExecutionOptions, check_places
from oodml.few_shot import FewShot, adapt, failures, few_shot_options, missing_units, plan_units
from oodml.kept_models import model_path
from oodml.metrics import metric_names
from oodml.mirror import shared
from oodml.plan import label, load_specs
from oodml.presets import TrainingOptions
from oodml.records import Ladder, RunSpec
from oodml.splits.files import load_ladder
from oodml.sweep_folder import finished, locked
from oodml.trackers import check_trackers
from oodml.trackers.tracking import tracked
from oodml.watching import NOBODY, Watcher

if TYPE_CHECKING:
    from oodml.adaptation import Unit
    from oodml.dataset_ref import DatasetRef
    from oodml.runner import Bench


@dataclass(frozen=True)
class AdaptOptions(ExecutionOptions):
    """What is adapted, and how; see `adapt_sweep`. `methods` are names and groups; None takes all runs."""

    shots: Sequence[int] = (2, 5)
    adapters: Sequence[str] = DEFAULT_ADAPTERS
    views: str | None = None
    small_classes: str = "drop"
    metrics: Sequence[str] | None = None
    methods: Sequence[str] | None = None
    levels: Sequence[int] | None = None
    seeds: Sequence[int] | None = None


@dataclass(frozen=True)
class PreparedAdapt:
    """An adaptation that is ready to start: nothing has been written yet.

    Attributes:
        benches: Every network of the sweep with its units, done ones among them.
        few_shot: How.
        options: As given.
        sweep: The sweep folder.
        without_network: Runs that are done but whose network was not kept, and that are not fully adapted.
    """

    benches: list[tuple[Bench, list[Unit]]]
    few_shot: FewShot
    options: AdaptOptions
    sweep: Path
    without_network: list[RunSpec]

    def missing(self, units: Sequence[Unit]) -> list[Unit]:
        """The units that a start would do."""
        left_out = set(self.without_network)
        found = missing_units(self.sweep, units, self.options.retry_failed)
        return [unit for unit in found if unit.spec not in left_out]

    def no_network(self) -> str:
        """Which runs cannot be adapted, and what to do."""
        without, first = self.without_network, self.without_network[0]
        several = f"{len(without)} runs of {self.sweep} have" if len(without) > 1 else f"a run of {self.sweep} has"
        return (
            f"{several} no kept network, the first is {label(first)} ({model_path(self.sweep, first.run_id)}); repeat "
            "their `oodml sweep` with --keep-models, or with --shots: it trains what has none"
        )


@dataclass
class AdaptResult:
    """What an adaptation did: units planned, there before, and the failures (label, error)."""

    sweep: Path
    planned: int
    already: int
    failures: list[tuple[str, str]] = field(default_factory=list)


def ladder_of(sweep: Path) -> Ladder:
    """The ladder that a sweep folder holds.

    Raises:
        ResultsError: If it is not a sweep folder.
    """
    if not (sweep / "ladder" / "ladder.json").exists():
        raise ResultsError(f"{sweep} is not a sweep folder (it has no ladder/ladder.json); make one: oodml sweep")
    return load_ladder(sweep / "ladder")


def prepare_adapt(sweep: Path, dataset: DatasetRef | None, options: AdaptOptions) -> PreparedAdapt:
    """Resolves every option, so that mistakes show before anything is written.

    Args:
        sweep: The sweep folder.
        dataset: Where the images are now; None takes the ladder's.
        options: What to do.

    Raises:
        ResultsError: If the folder holds no finished runs, or none whose network was kept.
        UnknownNameError: If a name does not exist.
        UsageError: If an option cannot be used.
    """
    from oodml.dataset_ref import DatasetRef

    check_places(options.places)
    check_trackers(options.trackers)
    ladder = ladder_of(sweep)
    specs = _chosen(sweep, options)
    for metric in options.metrics or ():
        metric_names(metric, num_classes=1)
    views, small = options.views, options.small_classes
    levels = sorted({spec.level for spec in specs})
    few_shot = few_shot_options(
        ladder, levels, options.shots, options.adapters, views=views, small=small, metrics=options.metrics
    )
    open_units = missing_units(sweep, plan_units(specs, few_shot), options.retry_failed)
    wanted = dict.fromkeys(unit.spec for unit in open_units)
    without = [spec for spec in wanted if not model_path(sweep, spec.run_id).exists()]
    where = dataset or DatasetRef(ladder.dataset, dict(ladder.dataset_options))
    groups: dict[tuple[Any, ...], list[RunSpec]] = defaultdict(list)
    for spec in specs:
        groups[spec.backbone, spec.backbone_config].append(spec)
    device = pick_device(options.device, elsewhere=options.executor == "ray")
    benches = [(_bench(ladder, where, own[0], device), plan_units(own, few_shot)) for own in groups.values()]
    prepared = PreparedAdapt(benches, few_shot, options, sweep, without)
    if without and len(without) == len(wanted):
        raise ResultsError(prepared.no_network())
    return prepared


def _chosen(sweep: Path, options: AdaptOptions) -> list[RunSpec]:
    """Finished runs of the sweep that the options name."""
    from oodml.method_groups import expand_groups

    planned = load_specs(sweep / "plan.parquet")
    methods = None if options.methods is None else expand_groups(options.methods)
    for name in methods or ():
        if name not in {spec.method for spec in planned} and options.methods and name in options.methods:
            raise UnknownNameError("method of the sweep", name, {spec.method for spec in planned})
    done = {run_id for run_id, (kind, _) in finished(sweep, planned).items() if kind == "done"}
    specs = [
        spec
        for spec in planned
        if spec.run_id in done
        and (methods is None or spec.method in methods)
        and (options.levels is None or spec.level in options.levels)
        and (options.seeds is None or spec.seed in options.seeds)
    ]
    if not specs:
        raise ResultsError(f"{sweep} has no finished run of these methods, levels and seeds")
    return specs


def _bench(ladder: Ladder, dataset: DatasetRef, spec: RunSpec, device: str) -> Bench:
    """A bench that builds the network of a run without its first weights, which the kept ones replace."""
    from oodml.networks import NetworkConfig
    from oodml.records import as_options
    from oodml.runner import Bench

    known = dict(spec.backbone_config)
    mean, std = (tuple(json.loads(str(known[name]))) if name in known else None for name in ("mean", "std"))
    args = as_options(json.loads(str(known["args"])))
    network = NetworkConfig(spec.backbone, pretrained=False, args=args, mean=mean, std=std)
    return Bench(ladder, dataset, network, device)


def execute_adapt(prepared: PreparedAdapt, watcher: Watcher = NOBODY) -> AdaptResult:
    """Does what is missing; safe to stop and start again at any moment.

    Args:
        prepared: From `prepare_adapt`.
        watcher: Told of what happens.
    """
    planned = [unit for _, units in prepared.benches for unit in units]
    todo = set(prepared.missing(planned))
    result = AdaptResult(
        prepared.sweep, len(planned), len(planned) - len(missing_units(prepared.sweep, planned, False))
    )
    options = prepared.options
    with (
        locked(prepared.sweep),
        shared(prepared.sweep, options.share, watcher) as watcher,
        tracked(options.trackers, prepared.sweep, watcher) as watcher,
    ):
        for bench, units in prepared.benches:
            own = [unit for unit in units if unit in todo]
            if not bench.on_vectors:
                for training in dict.fromkeys(unit.spec.training for unit in own):
                    bench.pack(TrainingOptions(**dict(training)), watcher.packing)  # type: ignore[arg-type]
            adapt(bench, own, prepared.few_shot, prepared.sweep, prepared.options.places, watcher)
    result.failures = failures(prepared.sweep, [u for u in planned if u.spec not in prepared.without_network])
    result.failures += [(label(s), "its network was not kept; train it again") for s in prepared.without_network]
    return result


def adapt_sweep(sweep: str | Path, *, dataset: str | DatasetRef | None = None, **options: Any) -> AdaptResult:
    """Adapts every kept network of a sweep to the stored few-shot episodes; again it does only what is missing.

    Args:
        sweep: Folder of a sweep that kept its networks (`keep_models=True`).
        dataset: Where the images are now, if not where the ladder says.
        **options: Fields of AdaptOptions (shots, adapters, methods, levels, seeds and so on).

    Example:
        >>> adapt_sweep("results/glyphs", shots=[2, 5], adapters=["linear", "ridge"])  # doctest: +SKIP
    """
    from oodml.dataset_ref import DatasetRef

    if isinstance(dataset, str):
        dataset = DatasetRef(dataset)
    prepared = prepare_adapt(Path(sweep), dataset, AdaptOptions(**options))
    if not prepared.few_shot.shots:
        raise UsageError("shots names no number of labelled images, such as [2, 5]")
    return execute_adapt(prepared)
