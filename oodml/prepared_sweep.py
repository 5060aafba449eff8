"""A sweep before it starts: every option resolved, every mistake found, nothing written yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from oodml import registry
from oodml.adapter_specs import DEFAULT_ADAPTERS
from oodml.devices import pick_device
from oodml.errors import UsageError
from oodml.execution_options import ExecutionOptions, check_places
from oodml.few_shot import FewShot, few_shot_options, missing_units, plan_units
from oodml.kept_models import model_path
from oodml.method_groups import expand_groups
from oodml.metrics import metric_names
from oodml.plan import DEFAULT_METHODS, make_plan
from oodml.presets import BACKBONES, Situation, TrainingOptions, training_options
from oodml.records import Ladder, RunSpec, Scalar
from oodml.sweep_folder import finished
from oodml.trackers import check_trackers

if TYPE_CHECKING:
    from oodml.adaptation import Unit
    from oodml.dataset_ref import DatasetRef
    from oodml.networks import NetworkConfig
    from oodml.runner import Bench


@dataclass(frozen=True)
class SweepOptions(ExecutionOptions):
    """What a sweep is asked to do; see `run_sweep`. `methods` are names and groups."""

    methods: Sequence[str] = DEFAULT_METHODS
    seeds: Sequence[int] = (0, 1, 2)
    levels: Sequence[int] | None = None
    preset: str = "quick"
    backbone: str | None = None
    pretrained: bool | None = None
    weights: Path | None = None
    backbone_args: Mapping[str, Scalar] = field(default_factory=dict)
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    settings: Mapping[str, Mapping[str, Scalar]] = field(default_factory=dict)
    selection: str = "last"
    metrics: Sequence[str] = ("default",)
    checkpoint_every: float = 60.0
    keep_models: bool = False
    shots: Sequence[int] = ()
    adapters: Sequence[str] = DEFAULT_ADAPTERS
    views: str | None = None
    small_classes: str = "drop"


@dataclass(frozen=True)
class Prepared:
    """A sweep that is ready to start: nothing has been written yet."""

    bench: Bench
    specs: list[RunSpec]
    training: TrainingOptions
    options: SweepOptions
    out: Path
    few_shot: FewShot | None = None

    @property
    def runs(self) -> Path:
        """Folder of the run files."""
        return self.out / "runs"


def _network(dataset: DatasetRef, options: SweepOptions) -> NetworkConfig:
    """The backbone that a sweep asks for, explicitly or by its preset."""
    from oodml.networks import NetworkConfig
    from oodml.records import as_options

    vectors = dataset.spec.startswith("embeddings:")
    name = options.backbone or ("vectors" if vectors else BACKBONES.get(options.preset, ""))
    if vectors != (name == "vectors"):
        holds = "ready-made vectors" if vectors else "images"
        raise UsageError(f"dataset {dataset.spec!r} holds {holds}; the backbone {name!r} cannot take them")
    return NetworkConfig(
        name=name,
        pretrained=not starts_from_scratch(options) and options.weights is None,
        weights=options.weights,
        args=as_options(options.backbone_args),
        mean=options.mean,
        std=options.std,
    )


def prepare_sweep(ladder: Ladder, dataset: DatasetRef, options: SweepOptions, out: Path) -> Prepared:
    """Resolves every option and opens dataset and backbone, so that mistakes show before anything is written."""
    from oodml.networks import identity
    from oodml.runner import Bench

    check_places(options.places)
    check_trackers(options.trackers)
    options = replace(options, methods=expand_groups(options.methods))
    network, scratch = _network(dataset, options), starts_from_scratch(options)
    for metric in options.metrics:
        metric_names(metric, num_classes=1)
    bench = Bench(
        ladder,
        dataset,
        network,
        pick_device(options.device, elsewhere=options.executor == "ray"),
        tuple(options.metrics),
        options.checkpoint_every or None,
        options.keep_models or bool(options.shots),
    )
    settings = dict(options.settings)
    situation = Situation(
        dataset=ladder.dataset.partition(":")[0],
        photographs=bench.data.photographs,
        vectors=bench.on_vectors,
        native_size=bench.data.native_size,
        default_backbone=options.backbone is None,
        from_weights=not scratch and not bench.on_vectors,
    )
    train = settings.pop("train", {})
    training = training_options(options.preset, situation, train)
    specs = make_plan(
        ladder,
        methods=options.methods,
        levels=options.levels,
        seeds=options.seeds,
        backbone=network.name,
        backbone_config=identity(network),
        from_scratch=scratch and not bench.on_vectors,
        training=training,
        exceptions=_exceptions(options, situation, train),
        settings=settings,
        selection=options.selection,
    )
    bench.backbone(training.image_size)
    return Prepared(bench, specs, training, options, out, _few_shot(ladder, specs, options))


def _few_shot(ladder: Ladder, specs: Sequence[RunSpec], options: SweepOptions) -> FewShot | None:
    if not options.shots:
        return None
    levels = sorted({spec.level for spec in specs})
    views, small = options.views, options.small_classes
    return few_shot_options(ladder, levels, options.shots, options.adapters, views=views, small=small)


def _exceptions(options: SweepOptions, situation: Situation, train: Mapping[str, Scalar]) -> dict[str, TrainingOptions]:
    """Training options of the methods that the paper preset treats differently; what the user sets goes first."""
    if options.preset != "paper":
        return {}
    own = {name: registry.load("method", name).paper_training(situation.dataset) for name in options.methods}
    return {n: training_options("paper", situation, {**values, **train}) for n, values in own.items() if values}


def starts_from_scratch(options: SweepOptions) -> bool:
    """Whether the backbone starts from random weights: on request, or as the quick preset's own small network does.

    A file of weights always counts.
    """
    if options.weights is not None:
        return False
    quick = options.preset == "quick" and not options.backbone
    return quick if options.pretrained is None else not options.pretrained


def cautions(prepared: Prepared) -> list[str]:
    """What a user should know before a sweep starts, in whole sentences."""
    bench, batch = prepared.bench, prepared.training.batch_size
    levels = sorted({spec.level for spec in prepared.specs})
    sizes = {level: len(bench.data.rows_of(bench.ladder.levels[level].train)) for level in levels}
    return [
        f"level {level} has {size} training samples, fewer than train.batch_size={batch}: every batch repeats some"
        for level, size in sizes.items()
        if size < batch
    ]


def missing(prepared: Prepared) -> list[RunSpec]:
    """The runs that this start would execute, also done ones whose network is asked for and was not kept."""
    done = finished(prepared.out, prepared.specs)
    retry, keep = prepared.options.retry_failed, prepared.options.keep_models
    wanted = {spec.run_id for spec in prepared.specs if keep} | {unit.spec.run_id for unit in to_adapt(prepared)}

    def is_missing(spec: RunSpec) -> bool:
        if spec.run_id not in done:
            return True
        if done[spec.run_id][0] != "done":
            return retry
        return spec.run_id in wanted and not model_path(prepared.out, spec.run_id).exists()

    return [spec for spec in prepared.specs if is_missing(spec)]


def to_adapt(prepared: Prepared) -> list[Unit]:
    """What this start would adapt, once the runs are there."""
    if not prepared.few_shot:
        return []
    units = plan_units(prepared.specs, prepared.few_shot)
    return missing_units(prepared.out, units, prepared.options.retry_failed)
