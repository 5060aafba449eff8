"""How long a sweep will take: what its finished runs took, or measured here, on the real thing, before it starts."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from oodml import registry
from oodml.devices import slot_devices
from oodml.durations import Kind, adapted_seconds, kind_of, seconds_by_kind
from oodml.few_shot import jobs_of
from oodml.methods.cards import MethodInfo
from oodml.prepared_sweep import Prepared
from oodml.presets import TrainingOptions
from oodml.records import RunSpec
from oodml.run_heads import read_heads
from oodml.runner import Bench, build_network, training_score, training_set
from oodml.training import train

if TYPE_CHECKING:
    from oodml.adaptation import Unit
    from oodml.adapting import PreparedAdapt

PROBE_STEPS = 4


@dataclass(frozen=True)
class Estimate:
    """Seconds that runs should take, and what says so."""

    seconds: float
    basis: str


def estimate(prepared: Prepared, todo: Sequence[RunSpec]) -> Estimate:
    """How long the runs should take here.

    A method that has finished runs in the sweep folder, with the same network, training and device, takes what those
    took. Of the others a few training steps are done and scaled up, which leaves out scoring and the start of
    processes, small beside training.
    """
    known = seconds_by_kind(read_heads(prepared.out), prepared.bench.device)
    places, finished = prepared.options.places, 0
    per_kind: dict[Kind, float] = {}
    kinds = {spec: kind_of(spec.method, spec.backbone, spec.config_json) for spec in todo}
    for spec, kind in kinds.items():
        if kind in per_kind:
            continue
        if kind in known:
            per_kind[kind], count = known[kind]
            finished += count
        else:
            per_kind[kind] = _seconds(prepared.bench, spec, places.threads)
    workers = len(slot_devices(prepared.bench.device, places.workers, places.threads))
    seconds = sum(per_kind[kind] for kind in kinds.values()) / max(1, min(workers, len(todo)))
    basis = _basis(finished, probed=len(per_kind.keys() - known.keys()))
    return Estimate(seconds, f"{basis}, on this machine alone" if places.executor != "local" else basis)


def estimate_adapting(prepared: PreparedAdapt, todo: Sequence[Unit]) -> Estimate | None:
    """How long adaptations should take here; None while there are none of the kind that are finished."""
    known = adapted_seconds(read_heads(prepared.sweep))
    kinds = [(unit.spec.method, unit.adapter.label, unit.shots) for unit in todo]
    if not kinds or not known.keys() >= set(kinds):
        return None
    places, device = prepared.options.places, prepared.benches[0][0].device
    jobs = len(jobs_of(todo, prepared.few_shot))
    workers = max(1, min(jobs, len(slot_devices(device, places.workers, places.threads))))
    finished = sum(known[kind][1] for kind in set(kinds))
    return Estimate(sum(known[kind][0] for kind in kinds) / workers, _finished(finished, "adaptation"))


def _basis(finished: int, probed: int) -> str:
    if not finished:
        return "from a few steps of each method here"
    return _finished(finished, "run") + (", and a few steps of each other method here" if probed else "")


def _finished(count: int, what: str) -> str:
    return f"from {count} finished {what}{'s' if count > 1 else ''} of the same kind"


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
