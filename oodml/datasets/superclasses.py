"""The file that says which superclass each class belongs to (`--superclasses`)."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from oodml.datasets.base import Request
from oodml.errors import DatasetError


def superclasses_of(request: Request, class_names: Sequence[str], own: Mapping[str, str]) -> Mapping[str, str]:
    """Superclass of every class: from the file that the user gave, else the dataset's own."""
    return own if request.superclasses is None else read_superclasses(request.superclasses, class_names)


def read_superclasses(path: Path, class_names: Sequence[str]) -> dict[str, str]:
    """Superclass of every class from a CSV file with columns `class` and `superclass`; others are ignored.

    Args:
        path: UTF-8 CSV file with a header line.
        class_names: The classes of the dataset; each has to appear exactly once.

    Raises:
        DatasetError: If the file or a column is missing, or a class is unknown, repeated, missing or without
            a superclass.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns, rows = reader.fieldnames or [], list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"cannot read the superclasses in {path}: {error}") from error
    missing = [column for column in ("class", "superclass") if column not in columns]
    if missing:
        raise DatasetError(f"{path} has no column {missing[0]!r}; it needs the columns class and superclass")
    known, found = set(class_names), dict[str, str]()
    for line, row in enumerate(rows, start=2):
        name, group = (unicodedata.normalize("NFC", (row[key] or "").strip()) for key in ("class", "superclass"))
        if name not in known:
            raise DatasetError(f"{path} line {line} names the class {name!r}, which the dataset does not have")
        if name in found:
            raise DatasetError(f"{path} line {line} names the class {name!r} a second time")
        if not group:
            raise DatasetError(f"{path} line {line} gives no superclass for the class {name!r}")
        found[name] = group
    left = [name for name in class_names if name not in found]
    if left:
        shown = ", ".join(map(repr, left[:5])) + (" and others" if len(left) > 5 else "")
        raise DatasetError(f"{path} lacks {len(left)} of {len(class_names)} classes: {shown}; add a line for each")
    return found
