"""How long a sweep will take: measured here, on the real thing, before it starts."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace

from oodml import registry
from oodml.devices import slot_devices
from oodml.methods.cards import MethodInfo
from oodml.prepared_sweep import Prepared
from oodml.presets import TrainingOptions
from oodml.records import RunSpec
from oodml.runner import Bench, build_network, training_score, training_set
from oodml.training import train

PROBE_STEPS = 4


def estimate_seconds(prepared: Prepared, todo: Sequence[RunSpec]) -> float:
    """Seconds that the runs should take on this machine: a few training steps of each method, scaled up.

    Leaves out scoring and the start of processes, which are small beside training.
    """
    per_method: dict[str, float] = {}
    for spec in todo:
        if spec.method not in per_method:
            per_method[spec.method] = _seconds(prepared.bench, spec, prepared.options.places.threads)
    places = prepared.options.places
    workers = len(slot_devices(prepared.bench.device, places.workers, places.threads))
    return sum(per_method[spec.method] for spec in todo) / max(1, min(workers, len(todo)))


def _seconds(bench: Bench, spec: RunSpec, threads: int) -> float:
    import torch

    card: MethodInfo = registry.load("method", spec.method)
    if not card.trains:
        return 0.0
    options = TrainingOptions(**dict(spec.training))  # type: ignore[arg-type]
    rows, labels = training_set(bench, bench.ladder.levels[spec.level].train)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        network, source = build_network(bench, spec, card, options, int(labels.max()) + 1)
        moments: list[float] = []
        train(
            network,
            source,
            rows,
            labels,
            replace(options, steps=PROBE_STEPS),
            spec.run_id,
            score=training_score(bench, network, source, rows),
            on_step=lambda _: moments.append(time.perf_counter()),
        )
    finally:
        torch.set_num_threads(before)
    steps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    return statistics.median(steps) * options.num_steps(len(rows))
