"""What executors execute: a job writes its files itself, and says how it went."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from oodml.adaptation import FEW_SHOT_METRICS, Unit, adapt_units, unit_columns
from oodml.checkpoints import Checkpoint
from oodml.few_shot import unit_path
from oodml.kept_models import model_path
from oodml.parts import run_file
from oodml.records import RunSpec
from oodml.results import write_run
from oodml.run_logs import adapted_name, log_file, note, see_log
from oodml.runner import Bench, execute, identity_columns
from oodml.sweep_folder import CHECKPOINTS, status_of


class Job(Protocol):
    """Work of a sweep that is done in one piece; equal jobs are the same work."""

    @property
    def label(self) -> str:
        """The job in a few words."""

    @property
    def name(self) -> str:
        """The name of its log: the same whenever the job is done again."""

    def run(self, bench: Bench, sweep: Path) -> Outcome:
        """Does the work; its files are there before it returns."""

    def record_loss(self, bench: Bench, sweep: Path, status: str, error: str) -> None:
        """Writes down that the job did not come to an end by itself, so that it is not tried for ever."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended: its status and, if not done, why."""

    job: Job
    status: str
    error: str
    seconds: float


def lost(bench: Bench, sweep: Path, job: Job, status: str, error: str, seconds: float) -> Outcome:
    """Records a job that cannot say itself how it ended."""
    note(log_file(sweep, job.name), error)
    job.record_loss(bench, sweep, status, error)
    return Outcome(job, status, see_log(sweep, job.name, error), seconds)


@dataclass(frozen=True)
class TrainJob:
    """One run: trained, scored, its rows written."""

    spec: RunSpec

    @property
    def label(self) -> str:
        """Method, level and seed."""
        return f"{self.spec.method} level {self.spec.level} seed {self.spec.seed}"

    @property
    def name(self) -> str:
        """The run id."""
        return self.spec.run_id

    def run(self, bench: Bench, sweep: Path) -> Outcome:
        """Trains and scores, from a checkpoint where there is one."""
        started = time.perf_counter()
        path, every_s = sweep / CHECKPOINTS / f"{self.spec.run_id}.pt", bench.checkpoint_every
        checkpoint = None if every_s is None else Checkpoint(path, every_s)
        model = model_path(sweep, self.spec.run_id) if bench.keep_models else None
        rows = execute(bench, self.spec, checkpoint, model)
        write_run(run_file(sweep, self.spec.run_id), rows)
        if checkpoint:
            checkpoint.remove()
        first = rows[0]
        return Outcome(self, first["status"], first.get("error") or "", time.perf_counter() - started)

    def record_loss(self, bench: Bench, sweep: Path, status: str, error: str) -> None:
        """A run file with the status and error, unless there is a result: of a run repeated for its network only."""
        path = run_file(sweep, self.spec.run_id)
        if not _is_done(path):
            write_run(path, [{**identity_columns(bench, self.spec), "status": status, "error": error}])


@dataclass(frozen=True)
class AdaptJob:
    """The runs of one method at one level, adapted; one file per run, adapter and number of shots."""

    units: tuple[Unit, ...]
    metrics: tuple[str, ...] = FEW_SHOT_METRICS

    @property
    def label(self) -> str:
        """Method, level, and how many of what."""
        spec = self.units[0].spec
        return f"{spec.method} level {spec.level}: {_count(self.units)} adapted"

    @property
    def name(self) -> str:
        """Names the method at its level."""
        return adapted_name(self.units[0].spec)

    def run(self, bench: Bench, sweep: Path) -> Outcome:
        """Adapts and scores; a unit's file is written as soon as its adapter is through."""
        started = time.perf_counter()
        errors = []
        for unit, rows in adapt_units(bench, self.units, sweep, self.metrics):
            write_run(unit_path(sweep, unit), rows)
            if rows[0]["status"] != "done":
                errors.append(f"{unit.adapter.label}, {unit.shots} shots: {rows[0].get('error') or ''}")
        first = next(iter(dict.fromkeys(errors)), "")
        return Outcome(self, "failed" if errors else "done", first, time.perf_counter() - started)

    def record_loss(self, bench: Bench, sweep: Path, status: str, error: str) -> None:
        """A file with the status and error for every unit that has no result."""
        for unit in self.units:
            if not _is_done(unit_path(sweep, unit)):
                write_run(unit_path(sweep, unit), [{**unit_columns(bench, unit), "status": status, "error": error}])


def _is_done(file: Path) -> bool:
    return (status_of(file) or ("",))[0] == "done"


def _count(units: Sequence[Unit]) -> str:
    runs = len({unit.spec for unit in units})
    return f"{runs} run{'s' if runs > 1 else ''}"
