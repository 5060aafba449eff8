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
from oodml.parts import PART, PARTS, RUNS, each_file_once, packed_name, parquet_files, part_files, run_files
from oodml.records import PROTOCOL

PLAN_FILE = "plan.parquet"
LEADERBOARD_FILE = "leaderboard.parquet"
_ENCODED = ("config",)  # the only long text of a run
LEADERBOARD_KEY = (
    *("benchmark", "backbone", "selection", "setting", "shots", "adapter", "metric"),
    *("level", "method", "embedding_dim", "config"),
)
"""Names a row of a leaderboard, in the order of sorting."""
PROTOCOL_KEY = b"oodml_protocol"  # in the metadata of a leaderboard: its rows do not say by which protocol they scored


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
    tables: dict[Path, Any] = {}
    unreadable: list[tuple[str, str]] = []
    for file, table in _run_tables(path):
        if isinstance(table, ResultsError):
            unreadable.append((str(file), str(table)))
            warnings.warn(f"{table}; left out, the other files are read", ResultsWarning, stacklevel=2)
        else:
            tables[file] = table
    empty = schema.encoded(schema.RUN, _ENCODED).empty_table()
    frame = to_frame(pa.concat_tables([empty, *tables.values()]))
    frame["config"] = frame["config"].astype(object)
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
    return to_frame(store.read_table(path / PLAN_FILE if path.is_dir() else path, schema.PLAN))


def read_leaderboard(path: str | Path) -> pd.DataFrame:
    """Reads a leaderboard, columns of `oodml.schema.LEADERBOARD`.

    Args:
        path: The file, or the folder that holds `leaderboard.parquet`.

    Returns:
        One row per cell; columns that came after the file's version are null. `attrs["protocol"]` is the number of
        the protocol that its runs were scored by (`oodml.records.PROTOCOL`), None where the file does not say.

    Raises:
        ResultsError: If there is none or it cannot be read.
    """
    path = leaderboard_file(path)
    frame = to_frame(store.read_table(path, schema.LEADERBOARD))
    frame.attrs["protocol"] = protocol_in(pq.read_schema(path).metadata or {})
    return frame


def leaderboard_file(path: str | Path) -> Path:
    """The leaderboard that a path stands for: a file itself, or the one in a folder.

    Raises:
        ResultsError: If a folder has none.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    if not (path / LEADERBOARD_FILE).exists():
        raise ResultsError(f"there is no {LEADERBOARD_FILE} in {path}; `oodml report` writes one into its --out folder")
    return path / LEADERBOARD_FILE


def protocol_in(metadata: Mapping[bytes, bytes]) -> int | None:
    """The protocol that the metadata of a leaderboard names, None if they name none."""
    text = metadata.get(PROTOCOL_KEY, b"").decode(errors="replace")
    return int(text) if text.isdecimal() else None


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
    columns["schema_version"] = [schema.VERSIONS["run"]] * len(rows)
    store.write_table(path, schema.table(schema.RUN, columns), small=True)


def write_leaderboard(path: Path, frame: pd.DataFrame) -> None:
    """Writes leaderboard rows atomically and sorted: the same rows in any order give the same bytes.

    Args:
        path: The file, or a folder for `leaderboard.parquet`.
        frame: Rows with the columns of `oodml.schema.LEADERBOARD`, of one or several benchmarks. The file takes the
            protocol of `attrs`, so that rows that were read keep theirs; without one it is the current protocol.

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
    columns["schema_version"] = [schema.VERSIONS["leaderboard"]] * len(rows)
    table = schema.table(schema.LEADERBOARD, columns).combine_chunks()
    protocol = frame.attrs.get("protocol", PROTOCOL)
    if protocol is not None:
        table = table.replace_schema_metadata({**table.schema.metadata, PROTOCOL_KEY: str(protocol)})
    store.write_table(path / LEADERBOARD_FILE if path.is_dir() else path, table)


def sort_leaderboard(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows in the order of LEADERBOARD_KEY, nulls (the level of AGS) last, numbered anew."""
    return frame.sort_values(list(LEADERBOARD_KEY), kind="stable", ignore_index=True)


def to_frame(table: Any) -> pd.DataFrame:
    """A pyarrow table as a frame whose integer columns may be null, so that level 3 never turns into 3.0."""
    frame: pd.DataFrame = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    return frame


def _run_tables(path: Path) -> list[tuple[Path, Any]]:
    """Files that hold runs, packed ones last, each with its rows or the error that says why it cannot be read.

    A sweep may pack its files meanwhile: single files that are gone are then in a part, since parts are listed
    after they were read, and parts that are gone were replaced by others.
    """
    if not path.is_dir():
        return [(path, store.read_table(path, schema.RUN, _ENCODED))]
    files = _run_files(path)
    with ThreadPoolExecutor(2) as pool:
        found = list(zip(files, pool.map(_try_read_run, files), strict=True))
    parts = [(file, _try_read(file, PART)) for file in part_files(path)]
    if any(table is None for _, table in parts):
        return _run_tables(path)
    found = [(file, table) for file, table in found if table is not None]
    seen = {packed_name(file) for file, table in found if not isinstance(table, ResultsError)}
    readable = [(file, table) for file, table in parts if not isinstance(table, ResultsError)]
    rows = [table.select(schema.RUN.names) for table in each_file_once((table for _, table in readable), seen)]
    found += zip((file for file, _ in readable), rows, strict=True)
    return found + [(file, error) for file, error in parts if isinstance(error, ResultsError)]


def _run_files(path: Path) -> list[Path]:
    """The run files of a folder that are not packed, adapted ones last."""
    if (path / RUNS).is_dir() or (path / PARTS).is_dir():
        return run_files(path)
    files = [file for file in parquet_files(path) if file.name not in (PLAN_FILE, LEADERBOARD_FILE)]
    if not files and path.name != RUNS and not (path / PLAN_FILE).exists():
        raise ResultsError(f"{path} holds no runs; give the folder that `oodml sweep` wrote (--out)")
    return files


def _try_read_run(path: Path) -> Any:
    return _try_read(path, schema.RUN)


def _try_read(path: Path, expected: Any) -> Any:
    """A file's table, the error that says why it cannot be read, or None if it is not there any more."""
    try:
        return store.read_table(path, expected, _ENCODED)
    except ResultsError as error:
        return error if path.exists() else None


def _refuse_repeats(frame: pd.DataFrame, tables: Mapping[Path, Any]) -> None:
    repeated = frame.loc[frame.duplicated(list(schema.RUN_KEY)), "run_id"]
    if len(repeated):
        run = repeated.iloc[0]
        files = [file.name for file, table in tables.items() if run in table.column("run_id").to_pylist()]
        raise ResultsError(f"run {run} has the same row twice (in {', '.join(files)}); remove the copy")
