"""The rows that a job of a sweep has left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodml import schema, store
from oodml.errors import ResultsError
from oodml.parts import PACKED, PART, packed_name, part_files, run_file

if TYPE_CHECKING:
    from oodml.executors.jobs import Job


def files_of(job: Job, sweep: Path) -> list[Path]:
    """The run files of a job: one of a trained run, one per adapter and number of shots of adapted ones."""
    from oodml.executors.jobs import AdaptJob, TrainJob
    from oodml.few_shot import unit_path

    if isinstance(job, TrainJob):
        return [run_file(sweep, job.spec.run_id)]
    return [unit_path(sweep, unit) for unit in job.units] if isinstance(job, AdaptJob) else []


def rows_of(job: Job, sweep: Path) -> list[list[dict[str, Any]]]:
    """The rows of a job that has ended, file by file; a file that cannot be read is left out."""
    found = [_rows(file, sweep) for file in files_of(job, sweep)]
    return [rows for rows in found if rows]


def _rows(file: Path, sweep: Path) -> list[dict[str, Any]]:
    """Rows of a run file, or of the part that it was packed into since."""
    try:
        rows: list[dict[str, Any]] = store.read_table(file, schema.RUN).to_pylist()
    except ResultsError:
        rows = [] if file.exists() else _packed_rows(packed_name(file), sweep)
    return rows


def _packed_rows(name: str, sweep: Path) -> list[dict[str, Any]]:
    import pyarrow.compute as pc

    for part in part_files(sweep):
        try:
            table = store.read_table(part, PART)
        except ResultsError:  # replaced by another one meanwhile, or broken, which others tell
            continue
        rows: list[dict[str, Any]] = table.filter(pc.equal(table.column(PACKED), name)).to_pylist()
        if rows:
            return rows
    return []
