"""What comes of a job on a Ray cluster: its files in the sweep folder, or words for why there are none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oodml import store
from oodml.errors import UsageError
from oodml.executors.ray_connection import INSTALL, RETRIES
from oodml.run_logs import LOGS


def commit(sweep: Path, files: Sequence[tuple[str, bytes]]) -> None:
    """Puts files that came from a node into a sweep folder; each is there as a whole or not at all, logs grow.

    Raises:
        StorageError: If the folder does not take them.
    """
    for name, content in files:
        path = sweep / name
        if path.parent.name == LOGS:
            try:
                with path.open("ab") as log:
                    log.write(content)
            except OSError as error:
                raise store.explain_os_error(error, path) from error
        else:
            with store.atomic(path) as temporary:
                temporary.write_bytes(content)


def reason_of(error: Exception) -> str:
    """Why Ray gave a job up, in words."""
    kind, times = type(error).__name__, f"{RETRIES + 1} times"
    if kind == "OutOfMemoryError":
        return f"its node ran out of memory, {times}; let each run reserve what it needs with --memory-per-run"
    if kind in ("NodeDiedError", "LocalRayletDiedError"):
        return f"the node that it ran on died, {times}"
    if kind == "WorkerCrashedError":
        return f"the worker process died, {times} (killed, or out of memory?); try --memory-per-run"
    return f"Ray gave it up: {kind}: {(str(error).strip().splitlines() or [''])[0]}"


def check_installation(error: Exception) -> None:
    """Tells a node that lacks oodml from a bug in a job, by the error of its task.

    Raises:
        UsageError: If the node lacks it.
    """
    if "No module named 'oodml" in str(error):
        raise UsageError(
            f"a node of the Ray cluster has no oodml, or an older one; on every node run: {INSTALL}"
        ) from error
