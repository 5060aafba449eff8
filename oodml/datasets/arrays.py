"""The arrays of an .npz or Parquet file of embeddings, under the same names for both."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodml.errors import DatasetError

COLUMNS = {"embedding": "embeddings", "label": "labels", "superclass": "superclasses", "id": "ids"}
"""Names that a Parquet file may give its columns, and ours for them."""


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file: `embeddings` and `labels`, and what else it holds.

    In Parquet `embeddings` (or `embedding`) is a column of lists, and a column `class_names` (or
    `class_name`) is the name of each row's class, which then is the label.

    Raises:
        DatasetError: If the file is missing, damaged, of another kind, or has no embeddings or labels.
    """
    if not path.is_file():
        raise DatasetError(f"there is no file {path}; check the path")
    readers = {".npz": _read_npz, ".parquet": _read_parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DatasetError(f"{path} ends in {path.suffix!r}; embeddings are read from .npz or .parquet files")
    arrays = reader(path)
    for name in ("embeddings", "labels"):
        if name not in arrays:
            raise DatasetError(f"{path} has no {name}; it holds {', '.join(sorted(arrays)) or 'nothing'}")
    return arrays


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    if not zipfile.is_zipfile(path):
        raise DatasetError(f"{path} is not a readable .npz file; is it cut short?")
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, ValueError) as error:
        hint = "; save names as text arrays, not as objects" if "Object arrays" in str(error) else ""
        raise DatasetError(f"{path} is not a readable .npz file: {error}{hint}") from error


def _read_parquet(path: Path) -> dict[str, NDArray[Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{path} is not a readable Parquet file (cut short?): {error}") from error
    arrays = dict[str, NDArray[Any]]()
    for column in table.column_names:
        name = {**COLUMNS, "class_name": "class_names"}.get(column, column)
        if name not in {*COLUMNS.values(), "class_names"}:
            continue
        values = table[column].combine_chunks()
        empty = np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))
        if len(empty):
            raise DatasetError(f"{path} has no {column!r} in row {empty[0]} ({len(empty)} such rows)")
        arrays[name] = _matrix(path, column, values) if name == "embeddings" else np.array(values.to_pylist())
    if "class_names" in arrays:
        arrays["labels"] = arrays.pop("class_names")
    return arrays


def _matrix(path: Path, column: str, values: Any) -> NDArray[Any]:
    import pyarrow.compute as pc
    from pyarrow import types

    if not any(test(values.type) for test in (types.is_list, types.is_large_list, types.is_fixed_size_list)):
        raise DatasetError(f"{path}: column {column!r} must hold a list of numbers per row, not {values.type}")
    lengths = pc.list_value_length(values).to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero(lengths != lengths[:1])
    if len(wrong):
        raise DatasetError(
            f"{path}: the vector of row {wrong[0]} has {lengths[wrong[0]]} numbers, that of row 0 has {lengths[0]}"
        )
    flat: NDArray[Any] = pc.list_flatten(values).to_numpy(zero_copy_only=False)
    return flat.reshape(len(lengths), lengths[0] if len(lengths) else 0)
