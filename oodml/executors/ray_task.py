"""What a node of a Ray cluster does: a job in a folder of its own, whose files travel back to the driver."""

from __future__ import annotations

import faulthandler
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oodml import store
from oodml.adaptation import Unit
from oodml.errors import OodmlError, StorageError, UsageError
from oodml.executors.jobs import AdaptJob, Job, Outcome, TrainJob
from oodml.executors.ray_scratch import scratch_folder, scratch_root
from oodml.executors.worker import run_logged
from oodml.images import cache_folder
from oodml.kept_models import model_path
from oodml.presets import TrainingOptions
from oodml.records import RunSpec
from oodml.run_logs import LOGS
from oodml.runner import Bench
from oodml.sweep_folder import CHECKPOINTS
from oodml.version import __version__

SEEN_BY = f"{CHECKPOINTS}/.driver"  # file by which a node sees that the folder of the sweep is there too


@dataclass(frozen=True)
class Order:
    """What the jobs of a sweep have in common.

    Attributes:
        bench: Ladder, dataset and network, for the device of a task.
        threads: CPU threads of a job.
        folder: Working directory of the driver, to which relative paths belong.
        sweep: The sweep folder, absolute.
        token: What `SEEN_BY` holds.
        version: Of oodml at the driver.
    """

    bench: Bench
    threads: int
    folder: Path
    sweep: Path
    token: str
    version: str = __version__


@dataclass(frozen=True)
class Delivery:
    """What comes back from a job.

    Attributes:
        outcome: How it ended; None if the node refused it.
        files: What it wrote, by the path under the sweep folder; results last.
        refusal: Why the node could not even begin, or not write.
        storage: Whether that was for want of storage.
    """

    outcome: Outcome | None
    files: tuple[tuple[str, bytes], ...] = ()
    refusal: str = ""
    storage: bool = False


class Board:
    """An actor that hears which jobs have begun, and passes it on when asked."""

    def __init__(self) -> None:
        self._begun: dict[int, str] = {}

    def note(self, number: int, node: str) -> None:
        """A job begins on a node, not for the first time if its process or node died before."""
        self._begun[number] = node

    def take(self) -> dict[int, str]:
        """The jobs that began since the last call, with their nodes."""
        begun, self._begun = self._begun, {}
        return begun


def do(order: list[Any], number: int, job: Job, models: Mapping[str, Any], board: Any) -> Delivery:
    """Does one job; the body of a Ray task.

    Args:
        order: Reference to the `Order`, in a list so that Ray does not fetch it for every job.
        number: Of the job, for the board.
        job: The job.
        models: References to the kept networks that it needs, by run id.
        board: Handle of the `Board`.
    """
    import ray

    try:
        ours = _prepared(order[0])
        _fill_cache(ours.bench, job)
        board.note.remote(number, ray.get_runtime_context().get_node_id())
        return _work(ours, job, models)
    except OodmlError as error:
        refusal = f"{error} (on node {socket.gethostname()})"
        return Delivery(None, refusal=refusal, storage=isinstance(error, StorageError))


def specs_of(job: Job) -> list[RunSpec]:
    """The runs that a job trains or adapts."""
    if isinstance(job, TrainJob):
        return [job.spec]
    units: tuple[Unit, ...] = job.units if isinstance(job, AdaptJob) else ()
    return list(dict.fromkeys(unit.spec for unit in units))


_order: tuple[str, Order] | None = None


def _prepared(reference: Any) -> Order:
    """Sets this process up with the first job of a sweep; the open dataset stays for the next ones."""
    global _order
    if _order is None or _order[0] != reference.hex():
        import ray
        import torch

        order: Order = ray.get(reference)
        if order.version != __version__:
            raise UsageError(f"this node has oodml {__version__}, the driver {order.version}; install the same one")
        with suppress(OSError):
            os.chdir(order.folder)
        torch.set_num_threads(order.threads)
        faulthandler.enable(file=2)  # standard error, which is the log of the job at the moment of a crash
        _order = reference.hex(), order
    return _order[1]


def _fill_cache(bench: Bench, job: Job) -> None:
    """Makes the inputs of a job once per node: its other processes wait, and find them in the cache."""
    from filelock import FileLock

    specs = specs_of(job)
    if specs:
        with FileLock(store.make_folder(bench.cache or cache_folder()) / "ray.lock"):
            if bench.on_vectors:
                _ = bench.vectors
            else:
                for training in dict.fromkeys(spec.training for spec in specs):
                    bench.pack(TrainingOptions(**dict(training)))  # type: ignore[arg-type]


def _work(order: Order, job: Job, models: Mapping[str, Any]) -> Delivery:
    with scratch_folder(scratch_root()) as scratch:
        if _is_here(order):  # then a run that is repeated on another node goes on, and its log is kept
            for folder in (CHECKPOINTS, LOGS):
                (scratch / folder).symlink_to(order.sweep / folder)
        for run_id, reference in models.items():
            import ray

            with store.atomic(model_path(scratch, run_id)) as temporary:
                temporary.write_bytes(ray.get(reference))
        given = {model_path(scratch, run_id) for run_id in models}
        outcome = run_logged(job, order.bench, scratch, own_process=True)
        return Delivery(outcome, _files(scratch, given))


def _is_here(order: Order) -> bool:
    try:
        return (order.sweep / SEEN_BY).read_text(encoding="utf-8") == order.token
    except OSError:
        return False


def _files(scratch: Path, given: set[Path]) -> tuple[tuple[str, bytes], ...]:
    """What a job has left; a run counts as finished once its rows are there, so what belongs to them goes first."""
    found = [Path(folder) / name for folder, _, names in os.walk(scratch) for name in names]
    kept = [path for path in found if path not in given and not path.name.endswith(store.TEMPORARY_SUFFIX)]
    kept = [path for path in kept if path.relative_to(scratch).parts[0] != CHECKPOINTS]
    kept.sort(key=lambda path: (path.suffix == ".parquet", path))
    return tuple((str(path.relative_to(scratch)), path.read_bytes()) for path in kept)
