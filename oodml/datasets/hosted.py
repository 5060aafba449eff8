"""What the downloadable sets have in common: loaders of other packages, and files that may be missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from oodml.datasets.base import Dataset, Request
from oodml.datasets.decode import read_image
from oodml.datasets.superclasses import superclasses_of
from oodml.errors import DatasetError, MissingPackageError, OodmlError

T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """One image: its id, its file and the name of its class."""

    image_id: str
    path: Path
    class_name: str


def guarded(name: str, request: Request, layout: str, load: Callable[[], T]) -> T:
    """Calls a loader of another package; whatever it raises becomes one error that says what to place where.

    Args:
        name: Registered name of the set.
        request: Names the root, and whether a download was allowed.
        layout: What has to lie below the root.
        load: Opens or downloads the set.

    Raises:
        DatasetError: If loading fails.
    """
    try:
        return load()
    except OodmlError:
        raise
    except ImportError as error:
        package = error.name or "torchvision"
        raise MissingPackageError(package, f"dataset {name!r}", f"pip install {package}") from error
    except Exception as error:  # loaders raise nearly anything on missing, moved or damaged files
        raise missing(name, request, layout, f"{type(error).__name__}: {error}") from error


def missing(name: str, request: Request, layout: str, reason: str = "not found") -> DatasetError:
    """The error for a set that is not there; names the layout and the ways to get it."""
    what = "could not be downloaded or read" if request.download else "could not be read"
    tail = "" if request.download else "; or try --download"
    return DatasetError(
        f"dataset {name!r} {what} ({reason}); hosts of such sets come and go: get a copy, place it as "
        f"{layout} below the folder that --root names (now {str(request.root)!r}){tail}"
    )


def from_files(
    name: str,
    request: Request,
    rows: Iterable[Row],
    superclasses: Mapping[str, str],
    *,
    initial: str = "random",
    photographs: bool = True,
    native_size: int | None = None,
) -> Dataset:
    """A dataset of image files, sorted by id.

    Raises:
        DatasetError: If there are none, or one of them is missing.
    """
    ordered = sorted(rows, key=lambda row: row.image_id)
    if not ordered:
        raise DatasetError(f"dataset {name!r} has no images below {request.root}")
    try:
        sizes = [row.path.stat().st_size for row in ordered]
    except OSError as error:
        raise DatasetError(f"dataset {name!r} is incomplete: {error.filename}: {error.strerror}") from error
    class_names = sorted({row.class_name for row in ordered})
    number = {class_name: index for index, class_name in enumerate(class_names)}
    return Dataset(
        name=name,
        class_names=tuple(class_names),
        labels=np.array([number[row.class_name] for row in ordered], dtype=np.int64),
        image_ids=tuple(row.image_id for row in ordered),
        read=lambda index: read_image(ordered[index].path, ordered[index].image_id),
        superclasses=superclasses_of(request, class_names, superclasses),
        photographs=photographs,
        native_size=native_size,
        initial=initial,
        fingerprint=tuple(map(str, sizes)),
    )
