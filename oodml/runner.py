"""One run: build, train, score, and the rows that say so."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from oodml import registry, schema
from oodml.backbones import build_backbone
from oodml.backbones.base import Backbone
from oodml.checkpoints import Checkpoint
from oodml.class_values import class_columns
from oodml.dataset_ref import DatasetRef
from oodml.datasets.base import Dataset
from oodml.embeddings import extract, pixel_settings
from oodml.evaluation import COUNTS, Evaluation, evaluate
from oodml.images import ImageSettings, PackedImages, cache_folder, pack
from oodml.inputs import ImageSource, Source, VectorSource
from oodml.kept_models import save_model
from oodml.memory import PeakMemory
from oodml.methods.base import Context, Method
from oodml.methods.cards import MethodInfo
from oodml.model import Network, embed
from oodml.networks import NetworkConfig
from oodml.presets import TrainingOptions
from oodml.records import Ladder, Level, RunSpec
from oodml.run_errors import ending_of
from oodml.seeds import derive_seed, torch_generator
from oodml.training import Score, train
from oodml.training_watch import DivergedError
from oodml.version import __version__

Progress = Callable[[int, int], None]
SELECTED_BY = ("recall_at_1", "map_at_r")


@dataclass(frozen=True)
class Bench:
    """What all runs of a sweep share in a process.

    Attributes:
        ladder: The ladder.
        dataset: Where its images are.
        network: The backbone as the user named it.
        device: "cpu" or "cuda".
        metrics: What runs are scored by, see `evaluate_embeddings`.
        checkpoint_every: Seconds of training after which an unfinished run is put away; None never.
        keep_models: Whether the trained network of every run stays on disk.
        cache: Folder of packed images and embeddings; None for the default.
    """

    ladder: Ladder
    dataset: DatasetRef
    network: NetworkConfig
    device: str = "cpu"
    metrics: tuple[str, ...] = ("default",)
    checkpoint_every: float | None = None
    keep_models: bool = False
    cache: Path | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Only the fields: a worker opens the data for itself."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @cached_property
    def data(self) -> Dataset:
        """The open dataset.

        Raises:
            LadderError: If it is not the one that the ladder was made from.
        """
        return self.dataset.open_for(self.ladder)

    def pack(self, options: TrainingOptions, progress: Progress | None = None) -> PackedImages:
        """The images at the size that the options ask for, from the cache where they are there."""
        settings = ImageSettings(options.image_size, options.resize, options.fit)
        return pack(self.data, settings, cache=self.cache, progress=progress)

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """The inputs of the backbones that take vectors."""
        settings = pixel_settings() if self.network.name == "pixels" else None
        return extract(self.data, self.network, settings, cache=self.cache or cache_folder())

    @property
    def on_vectors(self) -> bool:
        """Whether the backbone takes vectors instead of images."""
        return self.network.name in ("pixels", "vectors")

    def backbone(self, image_size: int, seed: int = 0) -> Backbone:
        """A new backbone for images of a size; random weights follow the seed."""
        width = self.vectors.shape[1] if self.on_vectors else 0
        return build_backbone(self.network, num_inputs=width, image_size=image_size or None, seed=seed)


def execute(
    bench: Bench, spec: RunSpec, checkpoint: Checkpoint | None = None, model: Path | None = None
) -> list[dict[str, Any]]:
    """Trains and scores one run; a failure becomes a row, not an exception.

    Args:
        bench: Ladder, dataset and network.
        spec: The run.
        checkpoint: Where the run goes on from, and is put away from time to time.
        model: Where the trained network is kept, if it is.

    Returns:
        Rows of schema RUN: one per metric, or a single one with status and error.
    """
    memory = PeakMemory(bench.device)
    base = identity_columns(bench, spec)
    try:
        with torch.random.fork_rng(devices=_cuda_devices(bench.device)):
            torch.manual_seed(derive_seed(spec.run_id, "library"))
            scores, costs, by_class = _train_and_score(bench, spec, checkpoint, model)
    except Exception as error:  # recorded: one run that fails must not stop the others
        peak = memory.peak_mb()
        return [{**base, **ending_of(error), "peak_memory_mb": peak}]
    counts = {name: int(scores.pop(name)) for name in COUNTS}
    common = {**base, **costs, **counts, "status": "done", "peak_memory_mb": memory.peak_mb()}
    defined = {metric: value for metric, value in scores.items() if not math.isnan(value)}
    return [{**common, "metric": name, "value": value, **by_class.get(name, {})} for name, value in defined.items()]


def identity_columns(bench: Bench, spec: RunSpec) -> dict[str, Any]:
    """The columns of a run that are known before it starts."""
    level = bench.ladder.levels[spec.level]
    return {
        "schema_version": schema.VERSIONS["run"],
        "run_id": spec.run_id,
        "benchmark": bench.ladder.name,
        "dataset": bench.data.name,
        "ladder_hash": spec.ladder_hash,
        "level": spec.level,
        "shift": level.shift,
        "shift_scaled": level.shift_scaled,
        "method": spec.method,
        "backbone": spec.backbone,
        "embedding_dim": dict(spec.training)["embedding_dim"],
        "config": spec.config_json,
        "seed": spec.seed,
        "selection": spec.selection,
        "setting": "zero_shot",
        "device": bench.device,
        "oodml_version": __version__,
        "torch_version": torch.__version__,
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _cuda_devices(device: str) -> list[int]:
    return list(range(torch.cuda.device_count())) if device.startswith("cuda") else []


def _train_and_score(
    bench: Bench, spec: RunSpec, checkpoint: Checkpoint | None, model: Path | None
) -> tuple[dict[str, float], dict[str, Any], dict[str, dict[str, Any]]]:
    """Metrics of the test classes, what they cost, and the columns of the metrics that are kept by class."""
    level, options = bench.ladder.levels[spec.level], TrainingOptions(**dict(spec.training))  # type: ignore[arg-type]
    card: MethodInfo = registry.load("method", spec.method)
    held_out = set(level.val) if spec.selection == "val" else set()
    rows, labels = training_set(bench, [name for name in level.train if name not in held_out])
    network, source = build_network(bench, spec, card, options, num_classes=int(labels.max()) + 1)
    train_s = 0.0
    if card.trains:
        train_s = train(
            network,
            source,
            rows,
            labels,
            options,
            spec.run_id,
            select=_selection_score(bench, level, network, source, spec.selection),
            score=training_score(bench, network, source, rows),
            checkpoint=checkpoint,
        )
    if model:
        save_model(model, network, spec.run_id)
    trained = time.perf_counter()
    test = bench.data.rows_of(level.test)
    found, dim = _evaluate(bench, network, source, test, bench.metrics, int(labels.max()) + 1)
    costs = {"train_s": train_s, "eval_s": time.perf_counter() - trained, "embedding_dim": dim}
    number = {name: label for label, name in enumerate(bench.data.class_names)}
    return found.scores, costs, class_columns(found, [number[name] for name in level.test])


def training_set(bench: Bench, classes: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the dataset that hold the classes, and their classes counted from 0, each of shape (n,)."""
    rows = bench.data.rows_of(classes)
    _, labels = np.unique(bench.data.labels[rows], return_inverse=True)
    return rows, labels.astype(np.int64)


def build_network(
    bench: Bench, spec: RunSpec, card: MethodInfo, options: TrainingOptions, num_classes: int
) -> tuple[Network, Source]:
    """The network of a run with its initial weights, and where its inputs come from, on the bench's device."""
    device = torch.device(bench.device)
    backbone = bench.backbone(options.image_size, derive_seed(spec.run_id, "backbone"))
    generator = torch_generator(spec.run_id, "method", device=bench.device)
    context = Context(backbone.num_features, options.embedding_dim, num_classes, generator)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(spec.run_id, "heads"))
        method: Method = card.build(context, dict(spec.config))
    if options.freeze_batch_norm:
        from oodml.backbones.timm_models import freeze_batch_norm

        freeze_batch_norm(backbone)
    bf16 = options.precision == "bf16" or (options.precision == "auto" and device.type == "cuda")
    network = Network(backbone, method, bf16).to(device)
    if bench.on_vectors:
        return network, VectorSource(bench.vectors, device)
    network = network.to(memory_format=torch.channels_last)
    return network, ImageSource(bench.pack(options), options, backbone, device)


def training_score(bench: Bench, network: Network, source: Source, rows: NDArray[np.int64]) -> Score:
    """Metrics of some of the training rows, for methods that ask."""
    return lambda picked, metrics: _evaluate(bench, network, source, rows[picked.numpy()], metrics)[0].scores


def _evaluate(
    bench: Bench,
    network: Network,
    source: Source,
    rows: NDArray[np.int64],
    metrics: Sequence[str],
    num_train_classes: int | None = None,
) -> tuple[Evaluation, int]:
    """What the embeddings of some rows score, and how wide they are."""
    embeddings = embed(network, source, rows)
    bad = rows[~np.isfinite(embeddings).all(axis=1)]
    if len(bad):
        name = bench.data.image_ids[bad[0]]
        raise DivergedError(f"the embedding of image {name} is not finite ({len(bad)} such of {len(rows)} scored)")
    found = evaluate(
        embeddings,
        bench.data.labels[rows],
        metrics=metrics,
        distance=network.method.distance,
        num_train_classes=num_train_classes,
        device=bench.device,
    )
    return found, embeddings.shape[1]


def _selection_score(
    bench: Bench, level: Level, network: Network, source: Source, selection: str
) -> Callable[[], float] | None:
    """What the kept weights maximise: recall@1 plus MAP@R of held-out training classes, or test recall@1."""
    if selection == "last":
        return None
    rows = bench.data.rows_of(level.val if selection == "val" else level.test)

    def score() -> float:
        values = _evaluate(bench, network, source, rows, SELECTED_BY)[0].scores
        return values["recall_at_1"] + (values["map_at_r"] if selection == "val" else 0.0)

    return score
