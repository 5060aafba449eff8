"""A sweep: plan, lock the folder, execute what is missing, report what happened."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodml import registry, store
from oodml.devices import pick_device
from oodml.errors import UsageError
from oodml.method_groups import expand_groups
from oodml.metrics import metric_names
from oodml.plan import DEFAULT_METHODS, make_plan, save_plan
from oodml.presets import BACKBONES, Situation, TrainingOptions, training_options
from oodml.records import Ladder, RunSpec, Scalar
from oodml.sweep_folder import claim_folder, finished, locked

if TYPE_CHECKING:
    from oodml.dataset_ref import DatasetRef
    from oodml.executors.worker import Outcome
    from oodml.networks import NetworkConfig
    from oodml.runner import Bench


@dataclass(frozen=True)
class SweepOptions:
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
    device: str = "auto"
    workers: int | None = None
    threads: int = 1
    checkpoint_every: float = 60.0
    retry_failed: bool = False


@dataclass(frozen=True)
class Prepared:
    """A sweep that is ready to start: nothing has been written yet."""

    bench: Bench
    specs: list[RunSpec]
    training: TrainingOptions
    options: SweepOptions
    out: Path

    @property
    def runs(self) -> Path:
        """Folder of the run files."""
        return self.out / "runs"


@dataclass
class SweepResult:
    """What a sweep did.

    Attributes:
        out: The sweep folder.
        planned: Runs of this plan.
        already: Of them, finished before.
        outcomes: Status to number of runs executed now.
        failures: Runs of this plan that failed or diverged, now or before: (label, error).
    """

    out: Path
    planned: int
    already: int
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, str]] = field(default_factory=list)


def label(spec: RunSpec) -> str:
    """A run in words."""
    return f"{spec.method}, level {spec.level}, seed {spec.seed}"


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

    options = replace(options, methods=expand_groups(options.methods))
    network, scratch = _network(dataset, options), starts_from_scratch(options)
    for metric in options.metrics:
        metric_names(metric, num_classes=1)
    bench = Bench(
        ladder,
        dataset,
        network,
        pick_device(options.device),
        tuple(options.metrics),
        options.checkpoint_every or None,
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
    return Prepared(bench, specs, training, options, out)


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
    """The runs that this start would execute."""
    done = finished(prepared.runs, prepared.specs)
    retry = prepared.options.retry_failed
    return [s for s in prepared.specs if s.run_id not in done or (retry and done[s.run_id][0] != "done")]


def execute_sweep(
    prepared: Prepared,
    *,
    on_pack: Callable[[int, int], None] | None = None,
    on_start: Callable[[int], None] | None = None,
    on_outcome: Callable[[Outcome], None] | None = None,
) -> SweepResult:
    """Runs what is missing. Safe to stop and start again at any moment: a run exists when its file does.

    Args:
        prepared: From `prepare_sweep`.
        on_pack: Called with (images decoded, images in all), where they are not in the cache.
        on_start: Called with the number of runs to execute.
        on_outcome: Called after each run.
    """
    from oodml.executors.local import run_local

    with locked(prepared.out):
        claim_folder(prepared.out, prepared.bench.ladder)
        store.make_folder(prepared.runs)
        save_plan(prepared.out / "plan.parquet", prepared.specs, prepared.bench.ladder.name)
        todo = missing(prepared)
        result = SweepResult(prepared.out, len(prepared.specs), len(prepared.specs) - len(todo))
        if todo and not prepared.bench.on_vectors:
            prepared.bench.pack(prepared.training, on_pack)
        if on_start:
            on_start(len(todo))
        workers = min(prepared.options.workers or default_workers(prepared.bench.device), max(1, len(todo)))
        threads = prepared.options.threads
        for outcome in run_local(prepared.bench, todo, prepared.runs, workers=workers, threads=threads):
            result.outcomes[outcome.status] += 1
            if on_outcome:
                on_outcome(outcome)
        status = finished(prepared.runs, prepared.specs)
    for spec in prepared.specs:
        kind, error = status.get(spec.run_id, ("missing", "not run"))
        if kind != "done":
            result.failures.append((f"{label(spec)}: {kind}", error))
    return result


def default_workers(device: str) -> int:
    """One worker per core on the CPU, one in all on a GPU."""
    return (os.cpu_count() or 1) if device == "cpu" else 1


def run_sweep(ladder: Ladder | str | Path, *, out: str | Path | None = None, **options: Any) -> SweepResult:
    """Trains and scores every method on every level; the same call again does only what is missing.

    Args:
        ladder: A ladder, its folder, or its name under ./splits.
        out: Sweep folder; default results/<ladder>.
        **options: Fields of SweepOptions (methods, seeds, levels, preset, backbone, settings and so on); further
            `dataset`: where the ladder's images are, a spec such as "folder:photos" or a DatasetRef.

    Returns:
        What was done, with the failures.

    Example:
        >>> run_sweep("glyphs", methods=["margin"], seeds=[0])  # doctest: +SKIP
    """
    from oodml.dataset_ref import DatasetRef
    from oodml.splits.files import load_ladder

    opened = ladder if isinstance(ladder, Ladder) else load_ladder(ladder)
    dataset = options.pop("dataset", None)
    if not isinstance(dataset, DatasetRef):
        dataset = DatasetRef(dataset or opened.dataset, dict(opened.dataset_options))
    folder = Path(out) if out is not None else Path("results") / opened.name
    return execute_sweep(prepare_sweep(opened, dataset, SweepOptions(**options), folder))
