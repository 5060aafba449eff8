"""Sweep folders made by hand, without training anything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oodml.parts import RUNS
from oodml.plan import save_plan
from oodml.records import RunSpec, as_options
from oodml.results import write_run

TRAINING = as_options({"embedding_dim": 6, "steps": 10, "lr": 0.01})


def spec(method: str, level: int = 0, seed: int = 0, **changes: Any) -> RunSpec:
    """A run of a plan."""
    values: dict[str, Any] = {"training": TRAINING, "backbone_config": (), "selection": "last", **changes}
    return RunSpec("ladder", "vectors", level=level, method=method, seed=seed, **values)


def planned(sweep: Path, specs: Sequence[RunSpec]) -> Path:
    """The sweep folder with a plan of these runs."""
    save_plan(sweep / "plan.parquet", specs, "toy")
    (sweep / RUNS).mkdir(exist_ok=True)
    return sweep


def columns(run: RunSpec, **values: Any) -> dict[str, Any]:
    """The columns that all rows of a run share."""
    own = {"run_id": run.run_id, "benchmark": "toy", "method": run.method, "level": run.level, "seed": run.seed}
    own |= {"backbone": run.backbone, "selection": run.selection, "config": run.config_json, "setting": "zero_shot"}
    return {**own, "device": "cpu", "status": "done", "started_at": "2030-01-01T00:00:00+00:00", **values}


def write_done(sweep: Path, run: RunSpec, recall: float, **values: Any) -> None:
    """The file of a run that is done; "nmi" comes before "recall_at_1" in it."""
    common = columns(run, **{"train_s": 8.0, "eval_s": 2.0, "peak_memory_mb": 100.0, **values})
    rows = [{**common, "metric": name, "value": value} for name, value in (("nmi", 0.1), ("recall_at_1", recall))]
    write_run(sweep / RUNS / f"{run.run_id}.parquet", rows)


def write_failed(sweep: Path, run: RunSpec, error: str, status: str = "failed") -> None:
    """The file of a run that failed."""
    write_run(sweep / RUNS / f"{run.run_id}.parquet", [columns(run, status=status, error=error)])


def write_adapted(file: Path, run: RunSpec, adapter: str, shots: int, recalls: Sequence[float]) -> None:
    """The file of an adapted run with so many episodes, 3 seconds each."""
    common = columns(run, setting="few_shot", adapter=adapter, shots=shots, train_s=2.0, eval_s=1.0)
    rows = [
        {**common, "episode": episode, "metric": metric, "value": value}
        for episode, value in enumerate(recalls)
        for metric in ("recall_at_1", "map_at_r")
    ]
    write_run(file, rows)
