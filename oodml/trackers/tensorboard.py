"""TensorBoard: a folder of event files beside the runs."""

from __future__ import annotations

from pathlib import Path

from oodml.trackers.base import TrackedRun, Tracker


class TensorBoard(Tracker):
    """One TensorBoard run per run, with its options in the HParams table: `tensorboard --logdir SWEEP/trackers`."""

    def __init__(self, sweep: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(sweep / "trackers" / "tensorboard"))

    def log(self, run: TrackedRun) -> None:
        """Adds scores and options; of a run that failed its error as a text."""
        values = run.scores | run.costs
        if values:
            config = {name: value for name, value in run.config.items() if value is not None}
            self.writer.add_hparams(config, values, run_name=run.name)
        if run.status != "done":
            self.writer.add_text(run.name, f"{run.status}: {run.error}")
        self.writer.flush()

    def close(self) -> None:
        """Closes the event file."""
        self.writer.close()
