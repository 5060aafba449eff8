"""Weights and Biases; its environment variables (WANDB_MODE, WANDB_PROJECT, WANDB_ENTITY) hold."""

from __future__ import annotations

import inspect
import os
from pathlib import Path

from oodml import store
from oodml.errors import UsageError
from oodml.trackers.base import TrackedRun, Tracker


class WeightsAndBiases(Tracker):
    """One run there per run here, grouped by sweep folder, in the project "oodml" unless WANDB_PROJECT says other."""

    def __init__(self, sweep: Path) -> None:
        mode = os.environ.get("WANDB_MODE", "online")
        if mode in ("online", "shared") and not _logged_in():
            raise UsageError("nobody is logged in; run `wandb login`, or set WANDB_MODE=offline")
        self.folder, self.group = store.make_folder(sweep / "trackers"), sweep.resolve().name

    def log(self, run: TrackedRun) -> None:
        """Starts a run, logs its scores and ends it, as failed if it did."""
        import wandb

        own = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "oodml"),
            group=self.group,
            name=run.name,
            config={**run.config, "status": run.status, "error": run.error},
            dir=str(self.folder),
            settings=wandb.Settings(silent=True),  # its messages would tear the live table apart
        )
        own.log(run.scores | run.costs)
        own.finish(exit_code=0 if run.status == "done" else 1)


def _logged_in() -> bool:
    """Whether there are credentials; without them `wandb.init` would ask on the terminal and wait."""
    import wandb

    if "prompt" in inspect.signature(wandb.login).parameters:
        return bool(wandb.login(prompt=False))
    return bool(wandb.api.api_key)  # of older ones
