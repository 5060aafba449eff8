"""Run files packed into parts: a part holds the rows of each under its name, and a file of its own goes before it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from oodml import schema, store

RUNS = "runs"  # folder of a sweep for the rows of trained runs
ADAPTED = "adapted"  # folder of a sweep for the rows of adapted runs
PARTS = "parts"  # folder of a sweep for packed files of both
PACKED = "file"  # the column of a part that says which file a row comes from, such as "runs/<run_id>"
PART = schema.schema_of("run", [*((field.name, field.type) for field in schema.RUN), (PACKED, schema.TEXT)])
_STATUSES = schema.schema_of("run", [(name, schema.TEXT) for name in (PACKED, "status", "error")])


def packed_name(file: Path) -> str:
    """The name under which a part holds a run file: folder and stem."""
    return f"{file.parent.name}/{file.stem}"


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files of a folder, sorted; temporary and hidden ones are not among them."""
    return sorted(file for file in folder.glob("*.parquet") if not file.name.startswith("."))


def run_file(sweep: Path, run_id: str) -> Path:
    """Where a sweep folder holds the rows of a trained run."""
    return sweep / RUNS / f"{run_id}.parquet"


def run_files(sweep: Path) -> list[Path]:
    """The run files of a sweep folder that are not packed, adapted ones last."""
    return parquet_files(sweep / RUNS) + parquet_files(sweep / ADAPTED)


def part_files(sweep: Path) -> list[Path]:
    """The parts of a sweep folder. Where a part that was being replaced is still there, both hold the same rows."""
    return parquet_files(sweep / PARTS)


def each_file_once(parts: Iterable[Any], seen: Collection[str]) -> Iterator[Any]:
    """The parts without the rows of files that are among `seen`, or in a part before."""
    known = set(seen)
    for part in parts:
        yield _without(part, known)
        known |= set(part.column(PACKED).unique().to_pylist())


def _without(part: Any, names: Collection[str]) -> Any:
    """The rows of a part that do not come from these files."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return part.filter(pc.invert(pc.is_in(part.column(PACKED), pa.array(sorted(names), pa.string()))))


def packed_statuses(sweep: Path) -> dict[str, tuple[str, str]]:
    """Status and error of every file that the parts of a sweep hold, by its name in them.

    Raises:
        ResultsError: If a part cannot be read: its runs are not done again without being asked.
    """
    found: dict[str, tuple[str, str]] = {}
    for path in part_files(sweep):
        rows = store.read_table(path, _STATUSES).to_pandas().drop_duplicates(PACKED)
        found |= dict(zip(rows[PACKED], zip(rows["status"], rows["error"].fillna(""), strict=True), strict=True))
    return found
