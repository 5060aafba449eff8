"""A default division from a file."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from oodml.errors import LadderError
from oodml.splits.division import Sides

FORMS = 'JSON {"train": [names], "test": [names]}, or CSV with the columns class and side (train or test)'


def read_sides(path: Path) -> Sides:
    """Training and test classes as a file lists them; whether they are the dataset's is checked where they are used.

    Args:
        path: A .json or .csv file in UTF-8.

    Raises:
        LadderError: If it is missing or of another form.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LadderError(f"cannot read the initial division {path}: {error}; give {FORMS}") from error
    return _from_json(path, text) if path.suffix.lower() == ".json" else _from_csv(path, text)


def _from_json(path: Path, text: str) -> Sides:
    try:
        found = json.loads(text)
        given = [found[side] for side in ("train", "test")]
    except (ValueError, LookupError, TypeError) as error:
        raise LadderError(f"{path} holds no initial division: {error!r}; give {FORMS}") from error
    if not all(isinstance(side, list) for side in given):
        raise LadderError(f"{path}: train and test must be lists of class names; give {FORMS}")
    train, test = ([str(name) for name in side] for side in given)
    return train, test


def _from_csv(path: Path, text: str) -> Sides:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if not {"class", "side"} <= set(reader.fieldnames or ()):
        raise LadderError(f"{path} lacks the columns class and side; give {FORMS}")
    sides: dict[str, list[str]] = {"train": [], "test": []}
    for row in reader:
        side = (row["side"] or "").strip()
        if side not in sides:
            raise LadderError(f"{path} line {reader.line_num}: side is {side!r}, not train or test")
        sides[side].append((row["class"] or "").strip())
    return sides["train"], sides["test"]
