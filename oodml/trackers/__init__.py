"""Trackers: where the scores of runs also go. They only receive; the files of the sweep hold its state."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from oodml.errors import MissingPackageError, UnknownNameError, UsageError

TRACKERS = {
    "tensorboard": ("oodml.trackers.tensorboard:TensorBoard", "torch.utils.tensorboard"),
    "wandb": ("oodml.trackers.weights_and_biases:WeightsAndBiases", "wandb"),
    "mlflow": ("oodml.trackers.mlflow_server:MLflow", "mlflow"),
}
"""Name to the tracker's class and the module that it needs."""
INSTALL = "pip install 'oodml[trackers]'"


def check_trackers(names: Sequence[str]) -> None:
    """Imports what the trackers need, so that a missing package shows before a sweep starts.

    Args:
        names: Keys of TRACKERS.

    Raises:
        UnknownNameError: If there is no such tracker.
        MissingPackageError: If its package is not installed.
        UsageError: If its package is there but does not load.
    """
    for name in names:
        if name not in TRACKERS:
            raise UnknownNameError("tracker", name, TRACKERS)
        try:
            importlib.import_module(TRACKERS[name][1])
        except ImportError as error:
            raise MissingPackageError(name, f"--tracker {name}", INSTALL) from error
        except Exception as error:  # packages that do not fit each other fail in many ways
            raise UsageError(f"--tracker {name}: its package does not load ({error}); mend it: {INSTALL}") from error
