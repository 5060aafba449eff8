"""How far a sweep is, from its folder alone: nothing is written or held. Free of torch."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from oodml.durations import at_a_time, kind_of, seconds_by_kind, trained
from oodml.errors import ResultsError
from oodml.parts import ADAPTED, PARTS, RUNS
from oodml.results import PLAN_FILE, read_plan
from oodml.run_heads import read_heads
from oodml.run_logs import LOGS, see_log
from oodml.schema import FEW_SHOT
from oodml.sweep_folder import CHECKPOINTS, LOCK


@dataclass(frozen=True)
class Cell:
    """The runs of a method at a level; `recall_at_1` is the mean of those that are done, None without any."""

    method: str
    level: int
    planned: int
    done: int
    failed: int
    recall_at_1: float | None


@dataclass(frozen=True)
class AdaptedCell:
    """The adaptations by one adapter with so many labelled images per class."""

    adapter: str
    shots: int
    done: int
    failed: int
    recall_at_1: float | None


@dataclass(frozen=True)
class SweepStatus:
    """How far a sweep is.

    Attributes:
        sweep: The sweep folder.
        active: Whether a sweep is writing to it now; None if that cannot be found out.
        planned: Runs of the plan.
        done: Of them, finished with scores.
        failed: Of them, finished without: failed, diverged or timed out.
        begun: Runs with a log or a checkpoint but no result: (label, seconds since the last of these was written).
            They are running, or were stopped.
        cells: Methods x levels.
        adapted: Few-shot adaptations so far; a plan does not say how many there will be.
        failures: (label, status, error).
        written_s: Seconds since the last file was written; None if there is none.
        remaining_s: Seconds that the runs to do should take, at the pace of the latest; None before the first.
        timed_by: Number of finished runs that say so.
        unreadable: (path, reason) of files that cannot be read.
    """

    sweep: str
    active: bool | None
    planned: int
    done: int
    failed: int
    begun: list[tuple[str, float]] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    adapted: list[AdaptedCell] = field(default_factory=list)
    failures: list[tuple[str, str, str]] = field(default_factory=list)
    written_s: float | None = None
    remaining_s: float | None = None
    timed_by: int = 0
    unreadable: list[tuple[str, str]] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """Runs of the plan without a result."""
        return self.planned - self.done - self.failed


def sweep_status(sweep: str | Path) -> SweepStatus:
    """Looks at a sweep folder, also while a sweep writes to it, or when it has only just begun.

    Args:
        sweep: The sweep folder.

    Raises:
        ResultsError: If it is none.
    """
    folder = Path(sweep)
    active = is_active(folder)
    if not (folder / PLAN_FILE).exists():
        if active or (folder / "ladder" / "ladder.json").exists():
            return SweepStatus(str(folder), active, 0, 0, 0, written_s=_since_last_file(folder))
        raise ResultsError(f"{folder} is not a sweep folder (it has no {PLAN_FILE}); give the --out of `oodml sweep`")
    heads, plan = read_heads(folder), read_plan(folder)
    adapted = heads["setting"].eq(FEW_SHOT).fillna(False).astype(bool)
    runs = _joined(plan, heads[~adapted])
    missing = runs[runs["status"].isna()]
    seconds, timed_by = _remaining(missing, heads)
    return SweepStatus(
        sweep=str(folder),
        active=active,
        planned=len(runs),
        done=int((runs["status"] == "done").sum()),
        failed=int((runs["status"].notna() & (runs["status"] != "done")).sum()),
        begun=_begun(folder, missing),
        cells=_cells(runs),
        adapted=_adapted_cells(heads[adapted]),
        failures=_failures(folder, runs, heads[adapted]),
        written_s=_since_last_file(folder),
        remaining_s=seconds,
        timed_by=timed_by,
        unreadable=heads.attrs["unreadable"],
    )


def is_active(sweep: Path) -> bool | None:
    """Whether a process holds the folder as a sweep does; None if its lock cannot be tried."""
    from filelock import FileLock, Timeout

    path = sweep / LOCK
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):  # let go at once
            return False
    except Timeout:
        return True
    except OSError:
        return None


def _joined(plan: pd.DataFrame, heads: pd.DataFrame) -> pd.DataFrame:
    """Planned runs with how they ended, and what to call their method."""
    known = heads.set_index("run_id")[["status", "error", "value"]]
    runs = plan.drop_duplicates("run_id").join(known, on="run_id")
    runs["label"] = runs["method"]
    if len(runs[["method", "backbone", "config"]].drop_duplicates()) > runs["method"].nunique():
        from oodml.method_labels import label_methods

        runs["label"] = label_methods(runs)
    if runs["selection"].nunique() > 1:
        runs["label"] += " [" + runs["selection"] + "]"
    return runs


def _cells(runs: pd.DataFrame) -> list[Cell]:
    cells = []
    groups: Any = runs.groupby(["label", "level"], sort=False)
    for (label, level), own in groups:
        done = own["status"] == "done"
        failed = int((own["status"].notna() & ~done).sum())
        cells.append(Cell(str(label), int(level), len(own), int(done.sum()), failed, _mean(own.loc[done, "value"])))
    return cells


def _adapted_cells(heads: pd.DataFrame) -> list[AdaptedCell]:
    cells = []
    groups: Any = heads.groupby(["adapter", "shots"])
    for (adapter, shots), own in groups:
        done = own["status"] == "done"
        mean = _mean(own.loc[done, "value"])
        cells.append(AdaptedCell(str(adapter), int(shots), int(done.sum()), int((~done).sum()), mean))
    return cells


def _mean(values: pd.Series[float]) -> float | None:
    return float(values.mean()) if values.notna().any() else None


def _failures(sweep: Path, runs: pd.DataFrame, adapted: pd.DataFrame) -> list[tuple[str, str, str]]:
    bad = runs[runs["status"].notna() & (runs["status"] != "done")]
    found = []
    for r in bad.itertuples():
        error = see_log(sweep, str(r.run_id), str(r.error or ""))
        found.append((f"{r.label}, level {r.level}, seed {r.seed}", str(r.status), error))
    for r in adapted[adapted["status"] != "done"].itertuples():
        label = f"{r.method}, level {r.level}, seed {r.seed}, {r.adapter}, {r.shots} shots"
        found.append((label, str(r.status), str(r.error or "")))
    return found


def _begun(sweep: Path, missing: pd.DataFrame) -> list[tuple[str, float]]:
    """Missing runs with a log or a checkpoint, those with the latest sign first."""
    signs = _ages([*(sweep / LOGS).glob("*.log"), *(sweep / CHECKPOINTS).glob("*.pt")])
    latest: dict[str, float] = {}
    for path, age in signs.items():
        latest[path.stem] = min(age, latest.get(path.stem, age))
    names = {r.run_id: f"{r.label}, level {r.level}, seed {r.seed}" for r in missing.itertuples()}
    found = [(names[run_id], age) for run_id, age in latest.items() if run_id in names]
    return sorted(found, key=lambda item: item[1])


def _remaining(missing: pd.DataFrame, heads: pd.DataFrame) -> tuple[float | None, int]:
    """Seconds for the missing runs and the number of runs that say so: those of the kind, else the mean of all."""
    known, done = seconds_by_kind(heads), trained(heads)
    if not len(done) or not len(missing):
        return (0.0 if not len(missing) else None), len(done)
    mean = float(done["seconds"].mean())
    kinds = map(kind_of, missing["method"], missing["backbone"], missing["config"])
    return sum(known.get(kind, (mean, 0))[0] for kind in kinds) / at_a_time(heads), len(done)


def _since_last_file(sweep: Path) -> float | None:
    files = [path for name in (RUNS, ADAPTED, PARTS, CHECKPOINTS, LOGS) for path in (sweep / name).glob("[!.]*")]
    return min(_ages([sweep / PLAN_FILE, *files]).values(), default=None)


def _ages(paths: Any) -> dict[Path, float]:
    """Seconds since files were written; one that vanished meanwhile is left out."""
    now, found = time.time(), {}
    for path in paths:
        try:
            found[path] = max(0.0, now - path.stat().st_mtime)
        except OSError:
            continue
    return found


def as_json(status: SweepStatus) -> dict[str, Any]:
    """The status in plain values, with the number of missing runs."""
    values: dict[str, Any] = json.loads(json.dumps(status, default=vars))
    return {**values, "missing": status.missing}
