"""Adapting the trained networks of a level to its episodes, and the rows that say what it brought."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from oodml import registry
from oodml.adapter_specs import AdapterSpec
from oodml.adapters.base import Adapter, Problem, Trained
from oodml.adapters.cards import AdapterInfo
from oodml.adapters.episodes import draw_of, episodes_of
from oodml.evaluation import COUNTS, evaluate_embeddings
from oodml.kept_models import load_model, model_path
from oodml.memory import PeakMemory
from oodml.presets import TrainingOptions
from oodml.records import PROTOCOL, RunSpec, content_hash
from oodml.run_errors import ending_of
from oodml.runner import Bench, build_network, identity_columns, training_set
from oodml.schema import FEW_SHOT

Rows = list[dict[str, Any]]
FEW_SHOT_METRICS = ("recall_at_1", "recall_at_2", "recall_at_4", "recall_at_8", "map_at_r", "map_at_1000_paper")
"""Cheap next to adapting: clustering every episode of every run would take longer than the adapters."""


@dataclass(frozen=True)
class Unit:
    """One run adapted by one adapter with one number of shots, in all episodes: one file of rows."""

    spec: RunSpec
    shots: int
    adapter: AdapterSpec

    @cached_property
    def unit_id(self) -> str:
        """Names everything that can change the numbers; the name of the file."""
        return content_hash([PROTOCOL, self.spec.run_id, self.shots, self.adapter.name, self.adapter.options])


def load_trained(bench: Bench, spec: RunSpec, models: Path) -> Trained:
    """The kept network of a run at its level.

    Args:
        bench: Ladder, dataset and network.
        spec: The run.
        models: The sweep folder.

    Raises:
        ResultsError: If there is no kept network of the run, or it cannot be read.
    """
    level = bench.ladder.levels[spec.level]
    options = TrainingOptions(**dict(spec.training))  # type: ignore[arg-type]
    held_out = set(level.val) if spec.selection == "val" else set()
    base_rows, base_labels = training_set(bench, [name for name in level.train if name not in held_out])
    card = registry.load("method", spec.method)
    network, source = build_network(bench, spec, card, options, num_classes=int(base_labels.max()) + 1)
    load_model(model_path(models, spec.run_id), network, spec.run_id)
    rows, labels = training_set(bench, level.test)
    return Trained(spec.run_id, network, source, rows, labels, base_rows, base_labels, not bench.on_vectors)


def adapt_units(
    bench: Bench, units: Sequence[Unit], sweep: Path, metrics: Sequence[str] = FEW_SHOT_METRICS
) -> Iterator[tuple[Unit, Rows]]:
    """Adapts runs of one method at one level; a failure becomes a row, not an exception.

    Networks and their features are loaded once, and each adapter gets all its problems together.

    Args:
        bench: Ladder, dataset and network.
        units: What to do.
        sweep: The sweep folder, which keeps the networks.
        metrics: What episodes are scored by, see `evaluate_embeddings`.

    Yields:
        Units with their rows of schema RUN, in no certain order.
    """
    models: dict[str, Trained] = {}
    for adapter in dict.fromkeys(unit.adapter for unit in units):
        memory = PeakMemory(bench.device)
        own = [unit for unit in units if unit.adapter == adapter]
        for unit, rows in _try_to_adapt(bench, adapter, own, models, sweep, metrics).items():
            common = {**unit_columns(bench, unit), "peak_memory_mb": memory.peak_mb()}
            yield unit, [{**common, **row} for row in rows]


def _try_to_adapt(
    bench: Bench,
    adapter: AdapterSpec,
    units: Sequence[Unit],
    models: dict[str, Trained],
    sweep: Path,
    metrics: Sequence[str],
) -> dict[Unit, Rows]:
    """All units together; if that fails each on its own, so that the one that is to blame fails alone."""
    try:
        with torch.random.fork_rng(devices=[]):
            for spec in dict.fromkeys(unit.spec for unit in units):
                if spec.run_id not in models:
                    models[spec.run_id] = load_trained(bench, spec, sweep)
            return _adapt(bench, adapter, units, models, metrics)
    except Exception as error:  # recorded: what fails must not stop the others
        if len(units) > 1:
            parts = [_try_to_adapt(bench, adapter, [unit], models, sweep, metrics) for unit in units]
            return {unit: rows for part in parts for unit, rows in part.items()}
        return {units[0]: [ending_of(error)]}


def unit_columns(bench: Bench, unit: Unit) -> dict[str, Any]:
    """The columns of a unit that are known before it starts."""
    own = {"setting": FEW_SHOT, "shots": unit.shots, "adapter": unit.adapter.label}
    return {**identity_columns(bench, unit.spec), **own}


def _adapt(
    bench: Bench, adapter: AdapterSpec, units: Sequence[Unit], models: dict[str, Trained], metrics: Sequence[str]
) -> dict[Unit, Rows]:
    info: AdapterInfo = registry.load("adapter", adapter.name)
    built: Adapter = info.build(dict(adapter.options))
    asked = [(unit, problem) for unit in units for problem in _problems(bench, unit, models[unit.spec.run_id])]
    found: dict[Unit, Rows] = {unit: [] for unit in units}
    started = time.perf_counter()
    scored = 0.0
    for (unit, problem), embeddings in zip(asked, built.adapt([problem for _, problem in asked]), strict=True):
        before = time.perf_counter()
        found[unit] += _rows(built, problem, embeddings.numpy(force=True), metrics)
        scored += time.perf_counter() - before
    share = (time.perf_counter() - started - scored) / len(asked)
    return {unit: [{**row, "train_s": share} for row in rows] for unit, rows in found.items()}


def _problems(bench: Bench, unit: Unit, model: Trained) -> list[Problem]:
    ids = [bench.data.image_ids[row] for row in model.rows]
    names = [bench.data.class_names[label] for label in bench.data.labels[model.rows]]
    episodes = episodes_of(bench.ladder, unit.spec.level, [unit.shots])
    return [Problem(model, **vars(draw_of(episode, ids, names, model.labels))) for episode in episodes]


def _rows(adapter: Adapter, problem: Problem, embeddings: NDArray[np.float32], metrics: Sequence[str]) -> Rows:
    """One row per metric of an adapted episode."""
    model, started = problem.model, time.perf_counter()
    scores = evaluate_embeddings(
        embeddings,
        model.labels[problem.queries],
        metrics=metrics,
        distance=adapter.distance(model),
        device=str(model.device),
    )
    counts = {name: int(scores.pop(name)) for name in COUNTS}
    common = {"episode": problem.episode, "status": "done", "eval_s": time.perf_counter() - started, **counts}
    defined = {metric: value for metric, value in scores.items() if not math.isnan(value)}
    return [{**common, "metric": metric, "value": value} for metric, value in defined.items()]
