"""Packing the run files of a sweep, so that a big one stays quick to read and small enough to pass on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from oodml import schema, store
from oodml.errors import NewerFileError, ResultsError
from oodml.parts import (
    PACKED,
    PART,
    PARTS,
    RUNS,
    each_file_once,
    packed_name,
    packed_statuses,
    part_files,
    run_files,
)
from oodml.sweep_folder import locked

MOST_FILES = 1000  # read in half a second; more than that are packed while a sweep runs
T = TypeVar("T")


@dataclass(frozen=True)
class Compaction:
    """What was packed.

    Attributes:
        path: The part that holds everything now; None if there is nothing to hold.
        packed: Number of run files that went into it.
        left: Files that cannot be read and stay as they are, with the reason.
    """

    path: Path | None
    packed: int
    left: tuple[str, ...]


def compact(sweep: str | Path) -> Compaction:
    """Packs the run files of a sweep, and the parts that it has, into one part.

    Every reader of the folder sees the same rows before, meanwhile and after, also if this is killed: old files
    go only when the new one is complete, and until then a run counts once.

    Args:
        sweep: Sweep folder; no sweep may be running in it.

    Raises:
        ResultsError: If a sweep is writing to the folder, or one of its parts cannot be read.
        StorageError: If the part cannot be written.
    """
    folder = Path(sweep)
    if not any((folder / name).is_dir() for name in (RUNS, PARTS)):
        raise ResultsError(f"{folder} holds no runs; give the folder that `oodml sweep` wrote (--out)")
    with locked(folder):
        return _pack(folder, part_files(folder))


def keep_packed(outcomes: Iterable[T], sweep: Path, most: int = MOST_FILES) -> Iterator[T]:
    """Passes the outcomes of a sweep on, and packs its run files whenever there are too many to read quickly.

    Args:
        outcomes: What the executor yields; the caller holds the sweep's lock.
        sweep: The sweep folder.
        most: So many files stay as they are.
    """
    for number, outcome in enumerate(outcomes, 1):
        yield outcome
        if number % max(1, most // 4) == 0 and len(files := run_files(sweep)) > most:
            known = packed_statuses(sweep)
            again = any(packed_name(file) in known for file in files)
            _pack(sweep, part_files(sweep) if again else [])  # two parts never hold different rows of a file


def _pack(folder: Path, parts: Sequence[Path]) -> Compaction:
    """One part of all run files and some parts, which it replaces."""
    tables, left = _own_files(folder)
    if not tables and len(parts) <= 1:
        return Compaction(parts[0] if parts else None, 0, left)
    table = _joined(tables, parts)
    path = folder / PARTS / f"{_content_hash(table)}.parquet"
    store.write_table(path, table)
    for part in parts:  # before the files: a file of its own goes before any part, a stale part would not
        if part != path:
            part.unlink()
    for file in tables:
        file.unlink()
    return Compaction(path, len(tables), left)


def _own_files(folder: Path) -> tuple[dict[Path, Any], tuple[str, ...]]:
    tables, left = {}, []
    for file in run_files(folder):
        try:
            tables[file] = store.read_table(file, schema.RUN)
        except NewerFileError:
            raise
        except ResultsError as error:
            left.append(str(error))
    return tables, tuple(left)


def _joined(tables: dict[Path, Any], parts: Sequence[Path]) -> Any:
    """Rows of files and parts, those of each file once, ordered by file."""
    import pyarrow as pa

    rows = [t.append_column(PACKED, pa.array([packed_name(f)] * len(t), pa.string())) for f, t in tables.items()]
    seen = {packed_name(file) for file in tables}
    rows += each_file_once((store.read_table(path, PART) for path in parts), seen)
    joined = pa.concat_tables([table.select(PART.names).cast(PART) for table in rows])
    keys = pa.table({"file": joined.column(PACKED), "row": pa.array(range(len(joined)))})
    order = keys.sort_by([("file", "ascending"), ("row", "ascending")])
    return joined.take(order.column("row")).combine_chunks()


def _content_hash(table: Any) -> str:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return hashlib.sha256(sink.getvalue()).hexdigest()[:16]
