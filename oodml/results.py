"""Files of a sweep as pandas frames: run files, the plan, leaderboards."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from oodml import schema, store
from oodml.errors import ResultsError

PLAN_FILE = "plan.parquet"
LEADERBOARD_FILE = "leaderboard.parquet"
ADAPTED = "adapted"  # folder of a sweep for the rows of adapted runs
LEADERBOARD_KEY = (
    *("benchmark", "backbone", "selection", "setting", "shots", "adapter", "metric"),
    *("level", "method", "embedding_dim", "config"),
)
"""Names a row of a leaderboard, in the order of sorting."""


class ResultsWarning(UserWarning):
    """A file among results that cannot be read and is left out."""


def read_runs(path: str | Path) -> pd.DataFrame:
    """Reads the finished runs of a sweep, also of one that is still running.

    Args:
        path: Sweep folder, its `runs` folder, or one run file.

    Returns:
        One row per number with the columns of `oodml.schema.RUN`, sorted by file name; missing values are
        null and integers nullable (Int64). `attrs["unreadable"]` lists (path, reason) of the files that were
        left out; a ResultsWarning names each of them.

    Raises:
        ResultsError: If the path holds no runs, is one file that cannot be read, or holds a row twice.
    """
    path = Path(path)
    if not path.is_dir():
        files, found = [path], [_read(path, schema.RUN)]
    else:
        files = _run_files(path)
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(_try_read_run, files))
    unreadable = [(str(f), str(e)) for f, e in zip(files, found, strict=True) if isinstance(e, ResultsError)]
    for _, reason in unreadable:
        warnings.warn(f"{reason}; left out, the other files are read", ResultsWarning, stacklevel=2)
    tables = {f.name: t for f, t in zip(files, found, strict=True) if not isinstance(t, ResultsError)}
    frame = to_frame(pa.concat_tables([schema.RUN.empty_table(), *tables.values()]))
    _refuse_repeats(frame, tables)
    frame.attrs["unreadable"] = unreadable
    return frame


def read_plan(path: str | Path) -> pd.DataFrame:
    """Reads the planned runs of a sweep, columns of `oodml.schema.PLAN`.

    Args:
        path: Sweep folder or its plan file.

    Raises:
        ResultsError: If there is none or it cannot be read.
    """
    path = Path(path)
    return to_frame(_read(path / PLAN_FILE if path.is_dir() else path, schema.PLAN))


def read_leaderboard(path: str | Path) -> pd.DataFrame:
    """Reads a leaderboard, columns of `oodml.schema.LEADERBOARD`.

    Args:
        path: The file, or the folder that holds `leaderboard.parquet`.

    Raises:
        ResultsError: If there is none or it cannot be read.
    """
    path = Path(path)
    if path.is_dir() and not (path / LEADERBOARD_FILE).exists():
        raise ResultsError(f"there is no {LEADERBOARD_FILE} in {path}; `oodml report` writes one into its --out folder")
    return to_frame(_read(path / LEADERBOARD_FILE if path.is_dir() else path, schema.LEADERBOARD))


def write_run(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes the rows of one run atomically; columns that a row lacks are null.

    Raises:
        ValueError: If there is no row, or a column is not in `oodml.schema.RUN`.
        StorageError: If the file cannot be written.
    """
    if not rows:
        raise ValueError("a run file needs at least one row; a failed run has one with its error")
    names = {name for row in rows for name in row}
    columns = {name: [row.get(name) for row in rows] for name in names}
    columns["schema_version"] = [schema.SCHEMA_VERSION] * len(rows)
    store.write_table(path, schema.table(schema.RUN, columns))


def write_leaderboard(path: Path, frame: pd.DataFrame) -> None:
    """Writes leaderboard rows atomically and sorted: the same rows in any order give the same bytes.

    Args:
        path: The file, or a folder for `leaderboard.parquet`.
        frame: Rows with the columns of `oodml.schema.LEADERBOARD`, of one or several benchmarks.

    Raises:
        ResultsError: If a column is missing or two rows are of the same cell.
        StorageError: If the file cannot be written.
    """
    missing = [name for name in schema.LEADERBOARD.names if name not in frame]
    if missing:
        raise ResultsError(f"a leaderboard needs the columns {', '.join(missing)}")
    rows = sort_leaderboard(frame)
    if rows.duplicated(list(LEADERBOARD_KEY)).any():
        row = rows[rows.duplicated(list(LEADERBOARD_KEY))].iloc[0]
        cell = ", ".join(f"{name} {row[name]}" for name in ("benchmark", "method", "level", "metric"))
        raise ResultsError(f"two leaderboard rows are of the same cell ({cell}); build it from all runs at once")
    columns = {name: rows[name] for name in schema.LEADERBOARD.names}
    table = schema.table(schema.LEADERBOARD, columns).combine_chunks()
    store.write_table(path / LEADERBOARD_FILE if path.is_dir() else path, table)


def sort_leaderboard(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows in the order of LEADERBOARD_KEY, nulls (the level of AGS) last, numbered anew."""
    return frame.sort_values(list(LEADERBOARD_KEY), kind="stable", ignore_index=True)


def to_frame(table: Any) -> pd.DataFrame:
    """A pyarrow table as a frame whose integer columns may be null, so that level 3 never turns into 3.0."""
    frame: pd.DataFrame = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    return frame


def _run_files(path: Path) -> list[Path]:
    """The run files of a folder, adapted ones last; temporary ones end differently and are never among them."""
    folder = path / "runs" if (path / "runs").is_dir() else path
    files = _parquet_files(folder) + (_parquet_files(path / ADAPTED) if folder != path else [])
    if folder == path and path.name != "runs":
        files = [file for file in files if file.name not in (PLAN_FILE, LEADERBOARD_FILE)]
        if not files and not (path / PLAN_FILE).exists():
            raise ResultsError(f"{path} holds no runs; give the folder that `oodml sweep` wrote (--out)")
    return files


def _parquet_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.parquet") if not file.name.startswith("."))


def _read(path: Path, expected: Any) -> Any:
    """One Parquet file in exactly the expected schema.

    ParquetFile reads many small files faster than `pq.read_table`, and takes no columns from folder names.
    """
    try:
        with pq.ParquetFile(path) as file:
            schema.check(file.schema_arrow, expected, str(path))
            table = file.read(columns=expected.names, use_threads=False)
        return table if table.schema.equals(expected) else table.select(expected.names).cast(expected)
    except FileNotFoundError as error:
        raise ResultsError(f"there is no file {path}") from error
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ResultsError(f"{path} is not a readable Parquet file of oodml (truncated?): {error}") from error


def _try_read_run(path: Path) -> Any:
    """A run file's table, or the error that says why it cannot be read."""
    try:
        return _read(path, schema.RUN)
    except ResultsError as error:
        return error


def _refuse_repeats(frame: pd.DataFrame, tables: Mapping[str, Any]) -> None:
    repeated = frame.loc[frame.duplicated(list(schema.RUN_KEY)), "run_id"]
    if len(repeated):
        run = repeated.iloc[0]
        files = [name for name, table in tables.items() if run in table.column("run_id").to_pylist()]
        raise ResultsError(f"run {run} has the same row twice (in {', '.join(files)}); remove the copy")
