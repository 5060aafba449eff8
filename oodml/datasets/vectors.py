"""`embeddings:FILE`: ready-made vectors with labels."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodml.datasets.arrays import read_arrays
from oodml.datasets.base import Dataset, DatasetInfo, Request
from oodml.datasets.superclasses import superclasses_of
from oodml.errors import DatasetError

Arrays = Mapping[str, NDArray[Any]]


def build(request: Request) -> Dataset:
    """Reads vectors and labels; classes without a row are left out.

    The file holds `embeddings` (n, d) and `labels` (n,), integers or names; optionally `class_names` (which
    integer labels index), `superclasses` (one per class or one per row) and `ids` (n,).

    Raises:
        DatasetError: If the file is damaged, or a part is missing, of another length, or not finite.
    """
    path = Path(request.argument).expanduser()
    arrays = read_arrays(path)
    vectors = _vectors(path, arrays["embeddings"])
    names, known = _names(path, arrays, len(vectors))
    used = set(names)
    class_names = [name for name in known if name in used]
    number = {name: index for index, name in enumerate(class_names)}
    own = _superclasses(path, arrays, names, known)
    return Dataset(
        name=path.stem,
        class_names=tuple(class_names),
        labels=np.array([number[name] for name in names], dtype=np.int64),
        image_ids=tuple(_ids(path, arrays, len(vectors))),
        vectors=vectors,
        superclasses=superclasses_of(request, class_names, {name: own[name] for name in class_names if own}),
        photographs=False,
        fingerprint=tuple(hashlib.sha256(row.astype("<f4").tobytes()).hexdigest()[:16] for row in vectors),
    )


def _vectors(path: Path, found: NDArray[Any]) -> NDArray[np.float32]:
    if found.ndim != 2 or 0 in found.shape or found.dtype.kind not in "fiu":
        raise DatasetError(
            f"{path}: embeddings must be numbers of shape (n, d), n and d at least 1, "
            f"not {found.dtype} of shape {found.shape}"
        )
    with np.errstate(over="ignore"):
        vectors = np.ascontiguousarray(found, dtype=np.float32)
    wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(wrong):
        raise DatasetError(
            f"{path}: the vector of row {wrong[0]} is not finite in single precision "
            f"({len(wrong)} such rows); remove these rows or compute them again"
        )
    return vectors


def _names(path: Path, arrays: Arrays, rows: int) -> tuple[list[str], list[str]]:
    """The class name of every row, and the names of all classes in order."""
    labels = _column(path, arrays, "labels", rows)
    given = _text(arrays["class_names"]) if "class_names" in arrays else None
    if given is not None:
        _check_unique(path, "class_names", given)
    if labels.dtype.kind in "US":
        names = _text(labels)
        unknown = sorted(set(names).difference(names if given is None else given))
        if unknown:
            raise DatasetError(f"{path}: the label {unknown[0]!r} is not among class_names ({len(unknown)} such)")
        return names, sorted(set(names)) if given is None else given
    if labels.dtype.kind not in "iu":
        raise DatasetError(f"{path}: labels must be whole numbers or names, not {labels.dtype}")
    if given is None:
        return _text(labels), _text(np.unique(labels))
    wrong = np.flatnonzero((labels < 0) | (labels >= len(given)))
    if len(wrong):
        raise DatasetError(
            f"{path}: the label of row {wrong[0]} is {labels[wrong[0]]}, but class_names has {len(given)} entries"
        )
    return [given[label] for label in labels], given


def _ids(path: Path, arrays: Arrays, rows: int) -> list[str]:
    if "ids" not in arrays:
        return [f"row/{row:06d}" for row in range(rows)]
    ids = _text(_column(path, arrays, "ids", rows))
    _check_unique(path, "ids", ids)
    return ids


def _superclasses(path: Path, arrays: Arrays, names: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    if "superclasses" not in arrays:
        return {}
    groups = _text(arrays["superclasses"])
    owners = names if len(groups) == len(names) else known
    if len(groups) != len(owners):
        raise DatasetError(
            f"{path}: superclasses has {len(groups)} entries; one per class ({len(known)}) or one per row "
            f"({len(names)}) is needed"
        )
    found = dict[str, str]()
    for name, group in zip(owners, groups, strict=True):
        if found.setdefault(name, group) != group:
            raise DatasetError(f"{path}: class {name!r} has two superclasses, {found[name]!r} and {group!r}")
    return found


def _column(path: Path, arrays: Arrays, name: str, rows: int) -> NDArray[Any]:
    column = arrays[name]
    if column.shape != (rows,):
        raise DatasetError(f"{path}: {name} has the shape {column.shape}, but there are {rows} vectors")
    return column


def _check_unique(path: Path, what: str, names: Iterable[str]) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise DatasetError(f"{path}: {what} holds {repeated[0]!r} twice; every entry must be unique")


def _text(values: NDArray[Any]) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values.ravel().tolist()]


INFO = DatasetInfo(
    name="embeddings",
    summary="ready-made vectors with labels: .npz or .parquet",
    build=build,
    argument="FILE",
)
