"""A sweep: lock the folder, execute what is missing, adapt what is asked for, report what happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oodml import store
from oodml.compaction import keep_packed
from oodml.executors import run_jobs
from oodml.few_shot import FewShot, adapt, failures, plan_units
from oodml.kept_models import model_path
from oodml.mirror import shared
from oodml.plan import label, save_plan
from oodml.prepared_sweep import Prepared, SweepOptions, missing, prepare_sweep, to_adapt
from oodml.records import Ladder, RunSpec
from oodml.run_logs import see_log
from oodml.sweep_folder import claim_folder, finished, locked
from oodml.trackers.tracking import tracked
from oodml.watching import NOBODY, Watcher


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


def execute_sweep(prepared: Prepared, watcher: Watcher = NOBODY) -> SweepResult:
    """Runs and adapts what is missing. Safe to stop and start again at any moment: a run exists when its file does.

    Args:
        prepared: From `prepare_sweep`.
        watcher: Told of what happens.
    """
    options = prepared.options
    with (
        locked(prepared.out),
        shared(prepared.out, options.share, watcher) as watcher,
        tracked(options.trackers, prepared.out, watcher) as watcher,
    ):
        claim_folder(prepared.out, prepared.bench.ladder)
        store.make_folder(prepared.runs)
        save_plan(prepared.out / "plan.parquet", prepared.specs, prepared.bench.ladder.name)
        todo = missing(prepared)
        result = SweepResult(prepared.out, len(prepared.specs), len(prepared.specs) - len(todo))
        if (todo or to_adapt(prepared)) and not prepared.bench.on_vectors:
            prepared.bench.pack(prepared.training, watcher.packing)
        _train(prepared, todo, result, watcher)
        status = finished(prepared.out, prepared.specs)
        if prepared.few_shot:
            done = {run_id for run_id, (kind, _) in status.items() if kind == "done"}
            _adapt(prepared, prepared.few_shot, done, watcher)
    for spec in prepared.specs:
        kind, error = status.get(spec.run_id, ("missing", "not run"))
        if kind != "done":
            result.failures.append((f"{label(spec)}: {kind}", see_log(prepared.out, spec.run_id, error)))
    if prepared.few_shot:
        result.failures += failures(prepared.out, plan_units(prepared.specs, prepared.few_shot))
    return result


def _train(prepared: Prepared, todo: list[RunSpec], result: SweepResult, watcher: Watcher) -> None:
    from oodml.executors.jobs import TrainJob

    jobs = [TrainJob(spec) for spec in todo]
    outcomes = run_jobs(prepared.bench, jobs, prepared.out, prepared.options.places, watcher)
    for outcome in keep_packed(outcomes, prepared.out):
        result.outcomes[outcome.status] += 1


def _adapt(prepared: Prepared, few_shot: FewShot, done: Collection[str], watcher: Watcher) -> None:
    """Adapts the finished runs, then drops the networks that were kept for this only."""
    options = prepared.options
    units = [unit for unit in to_adapt(prepared) if unit.spec.run_id in done]
    adapt(prepared.bench, units, few_shot, prepared.out, options.places, watcher)
    if not options.keep_models:
        for spec in prepared.specs:
            model_path(prepared.out, spec.run_id).unlink(missing_ok=True)


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
