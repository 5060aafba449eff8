"""MLflow, at MLFLOW_TRACKING_URI or where it keeps its runs by default."""

from __future__ import annotations

import os
import time
from pathlib import Path

from oodml.trackers.base import TrackedRun, Tracker

_LONGEST = 500  # characters that every MLflow server takes as the value of a parameter


class MLflow(Tracker):
    """One MLflow run per run, in the experiment "oodml" unless MLFLOW_EXPERIMENT_NAME says other."""

    def __init__(self, sweep: Path) -> None:
        from mlflow import MlflowClient

        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "oodml")
        self.client, self.sweep = MlflowClient(), sweep.resolve().name
        found = self.client.get_experiment_by_name(name)
        self.experiment = found.experiment_id if found else self.client.create_experiment(name)

    def log(self, run: TrackedRun) -> None:
        """Creates a run, adds options and scores in one request, and ends it, as failed if it did."""
        from mlflow.entities import Metric, Param

        tags = {"sweep": self.sweep, "benchmark": run.benchmark, "status": run.status}
        if run.error:
            tags["error"] = run.error[:_LONGEST]
        own = self.client.create_run(self.experiment, run_name=run.name, tags=tags).info.run_id
        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, 0) for name, value in (run.scores | run.costs).items()]
        params = [Param(name, str(value)[:_LONGEST]) for name, value in run.config.items()]
        self.client.log_batch(own, metrics=metrics, params=params)
        self.client.set_terminated(own, "FINISHED" if run.status == "done" else "FAILED")
