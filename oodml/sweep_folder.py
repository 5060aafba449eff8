"""The folder of a sweep: who may write to it, whose ladder it holds, which runs are finished in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from oodml import schema, store
from oodml.errors import LadderError, NewerFileError, ResultsError
from oodml.kept_models import MODELS
from oodml.parts import ADAPTED, PARTS, RUNS, packed_statuses
from oodml.records import Ladder, RunSpec

LOCK = "sweep.lock"  # file of a sweep folder that the sweep which writes to it holds
CHECKPOINTS = "checkpoints"  # folder of a sweep for its unfinished runs


def finished(sweep: Path, specs: Sequence[RunSpec]) -> dict[str, tuple[str, str]]:
    """Run ids that have a readable file or a place in a part, with their status and error."""
    return statuses(sweep, RUNS, [spec.run_id for spec in specs])


def statuses(sweep: Path, folder: str, names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Status and error of the files of these names (without suffix) that a folder of the sweep or a part holds."""
    packed = packed_statuses(sweep)
    found = {n: status_of(sweep / folder / f"{n}.parquet") or packed.get(f"{folder}/{n}") for n in names}
    return {name: status for name, status in found.items() if status}


def status_of(path: Path) -> tuple[str, str] | None:
    """Status and error that a run file holds; None if there is none, as for a truncated one.

    Raises:
        NewerFileError: If a newer oodml wrote the file; it is not overwritten.
    """
    if not path.exists():
        return None
    try:
        row = store.read_table(path, schema.STATUS).slice(0, 1).to_pylist()[0]
    except NewerFileError:
        raise
    except (ResultsError, IndexError):
        return None
    return row["status"], row["error"] or ""


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Holds the sweep folder, freed of what killed sweeps left half-written; a second sweep on it is refused.

    Raises:
        ResultsError: If another process holds it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(store.make_folder(out) / LOCK)
    try:
        lock.acquire(timeout=1)  # `oodml status` holds it for a moment
    except Timeout as error:
        raise ResultsError(
            f"another sweep is writing to {out}; wait for it to end, or choose another folder with --out"
        ) from error
    for folder in (RUNS, ADAPTED, PARTS, CHECKPOINTS, MODELS):
        store.remove_leftovers(out / folder)
    try:
        yield
    finally:
        lock.release()


def claim_folder(out: Path, ladder: Ladder) -> None:
    """Puts the ladder beside the runs, so that the folder explains itself; refuses a folder of another ladder."""
    from oodml.splits.files import load_ladder, save_ladder

    folder = out / "ladder"
    if (folder / "ladder.json").exists():
        found = load_ladder(folder)
        if found.ladder_hash != ladder.ladder_hash:
            raise LadderError(
                f"{out} holds results of ladder {found.name!r} ({found.ladder_hash}), not of {ladder.name!r} "
                f"({ladder.ladder_hash}); choose another folder with --out"
            )
        return
    save_ladder(ladder, folder)
