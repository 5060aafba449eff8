"""The trained network of a run on disk, for what is done with it afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from oodml import store
from oodml.errors import ResultsError

if TYPE_CHECKING:
    from oodml.model import Network

MODELS = "models"  # folder of a sweep for its kept networks


def model_path(sweep: Path, run_id: str) -> Path:
    """Where a sweep folder keeps the network of a run."""
    return sweep / MODELS / f"{run_id}.pt"


def save_model(path: Path, network: Network, run_id: str) -> None:
    """Writes the weights of a trained network atomically.

    Raises:
        StorageError: If the folder or disk does not take the file.
    """
    import torch

    store.make_folder(path.parent)
    with store.atomic(path) as temporary:
        torch.save({"run_id": run_id, "network": network.state_dict()}, temporary)


def load_model(path: Path, network: Network, run_id: str) -> None:
    """Puts kept weights into a network that was built for the same run.

    Raises:
        ResultsError: If there is no such file, it cannot be read, it belongs to another run, or weights are missing.
    """
    import torch

    repeat = "repeat the sweep with --keep-models, which trains the runs whose network is not there"
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ResultsError(f"there is no kept model {path}; {repeat}") from None
    except Exception as error:  # cut short or not ours, errors of many types
        raise ResultsError(f"{path} is not a readable model ({type(error).__name__}); {repeat}") from error
    if not isinstance(kept, dict) or kept.get("run_id") != run_id:
        raise ResultsError(f"{path} is not the model of run {run_id}; {repeat}")
    wanted = network.state_dict().keys()
    if lost := sorted(wanted - kept["network"].keys()):
        raise ResultsError(f"{path} has no weights {', '.join(lost[:3])} ({len(lost)} are missing); {repeat}")
    # some methods add clusters, queues or a teacher when training starts: nothing that a trained network needs
    network.load_state_dict({name: kept["network"][name] for name in wanted})
