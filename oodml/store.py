"""Atomic files: a file exists when it is complete, and half-written ones are never seen under their name."""

from __future__ import annotations

import errno
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from oodml import schema as schemas
from oodml.errors import ResultsError, StorageError

TEMPORARY_SUFFIX = ".oodml-tmp"
_SMALL: dict[str, Any] = {"compression": "snappy", "use_dictionary": ["config"], "write_statistics": False}
"""A third of the time that reading takes with zstd, dictionaries and statistics, and a smaller file."""


def explain_os_error(error: OSError, path: Path) -> StorageError:
    """The storage error that tells a user what to do about a failed write to `path`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StorageError(f"no space left while writing {path}; free some and repeat, nothing finished is lost")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StorageError(f"cannot write {path}: permission denied; choose another folder with --out")
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        return StorageError(f"cannot write {path}: a file stands where a folder is needed; choose another --out")
    return StorageError(f"cannot write {path}: {error.strerror or error}")


def make_folder(path: Path) -> Path:
    """Creates a folder with its parents and checks that files can be made in it.

    Raises:
        StorageError: If it is not writable.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise explain_os_error(error, path) from error
    return path


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; renames it over `path` on success, removes it on failure.

    Raises:
        StorageError: If the folder or disk does not take the file.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=TEMPORARY_SUFFIX, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise explain_os_error(error, path) from error
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise explain_os_error(error, path) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path, older_than_s: float = 3600.0) -> None:
    """Removes temporary files that killed processes left; young ones may belong to a process that still writes.

    Args:
        folder: Where to look, not in folders below; it may be missing.
        older_than_s: Seconds since the last write.
    """
    latest = time.time() - older_than_s
    for path in folder.glob(f".*{TEMPORARY_SUFFIX}"):
        with suppress(OSError):  # another process may be removing it as well
            if path.stat().st_mtime < latest:
                path.unlink()


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Writes readable, diffable JSON atomically (two-space indent, keys in the given order, final newline)."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_table(path: Path, table: Any, *, small: bool = False) -> None:
    """Writes a pyarrow table as Parquet atomically; the same table gives the same bytes.

    Args:
        path: The file.
        table: The table.
        small: Whether it is one of thousands of small files, of which reading many takes as short as possible.
    """
    import pyarrow.parquet as pq

    with atomic(path) as temporary:
        pq.write_table(table, temporary, **(_SMALL if small else {"compression": "zstd"}))


def read_table(path: Path, schema: Any, encoded: Sequence[str] = ()) -> Any:
    """Reads one Parquet file in exactly a schema of `oodml.schema`; further columns are left out.

    ParquetFile reads many small files faster than `pq.read_table`, and takes no columns from folder names.

    Args:
        path: The file.
        schema: What it should be.
        encoded: Columns of text that come as dictionaries: long texts that repeat are then read once.

    Raises:
        ResultsError: If the file is missing, truncated, of another kind or from a newer oodml.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, memory_map=True, pre_buffer=False, read_dictionary=encoded) as file:
            found = file.schema_arrow
            schemas.check(found, schema, str(path))
            expected = schemas.encoded(schema, encoded)
            if found.equals(expected):  # no selection by name, which takes as long as reading
                return file.read(use_threads=False)
            names = set(found.names)
            known = None if names <= set(schema.names) else [name for name in schema.names if name in names]
            return _completed(file.read(columns=known, use_threads=False), expected)
    except KeyError:
        if not encoded:
            raise
        return read_table(path, schema)  # one of these columns is missing: the check says so
    except FileNotFoundError as error:
        raise ResultsError(f"there is no file {path}") from error
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ResultsError(f"{path} is not a readable Parquet file of oodml (truncated?): {error}") from error


def _completed(table: Any, expected: Any) -> Any:
    """The table in a schema; columns that came with a later version are null."""
    import pyarrow as pa

    columns = dict(zip(table.column_names, table.columns, strict=True))
    data = [columns[f.name] if f.name in columns else pa.nulls(len(table), f.type) for f in expected]
    cast = [column if column.type == f.type else column.cast(f.type) for column, f in zip(data, expected, strict=True)]
    return pa.Table.from_arrays(cast, schema=expected)
