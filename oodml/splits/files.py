"""A ladder as a folder: `ladder.json` (readable, diffable) and `episodes.parquet`."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodml import schema, store
from oodml.errors import LadderError, ResultsError, StorageError
from oodml.records import Episode, Ladder, Level

KIND = "oodml-ladder"
LADDER_FILE = "ladder.json"
EPISODES_FILE = "episodes.parquet"
HOME = Path("splits")


def save_ladder(ladder: Ladder, folder: Path | str, *, overwrite: bool = False) -> Path:
    """Writes a ladder; it exists once `ladder.json`, the last file written, does.

    Saving the ladder that is already there changes nothing: same classes and episodes, and numbers that agree
    to six digits.

    Args:
        ladder: The ladder.
        folder: Its folder, made if missing.
        overwrite: Replace a different ladder.

    Returns:
        The folder.

    Raises:
        LadderError: If the folder holds a different ladder. Ladders are versioned, never edited.
        StorageError: If the folder cannot be written.
    """
    folder = Path(folder)
    document, path = _document(ladder), folder / LADDER_FILE
    store.make_folder(folder)
    if path.exists():
        if not overwrite:
            if not _same(_read_json(path), json.loads(json.dumps(document))):
                raise LadderError(
                    f"{folder} holds another ladder, and ladders are versioned, never edited; "
                    "choose another folder with --out (or overwrite it on purpose)"
                )
            if _intact(folder):
                return folder
        try:
            path.unlink()  # first, so that an interrupted save leaves no ladder rather than a mixed one
        except OSError as error:
            raise store.explain_os_error(error, path) from error
    store.write_table(folder / EPISODES_FILE, _episode_table(ladder))
    store.write_json(path, document)
    return folder


def load_ladder(path: Path | str) -> Ladder:
    """Reads and verifies a ladder.

    Args:
        path: Its folder, its `ladder.json`, or its bare name under `./splits`.

    Raises:
        LadderError: If there is none (those in `./splits` are listed), or if a file is truncated, edited, of
            another kind or from a newer oodml.
    """
    file = _find(path)
    document = _read_json(file)
    try:
        levels = tuple(_level(entry) for entry in document["levels"])
        ladder = Ladder(
            name=document["name"],
            dataset=document["dataset"]["name"],
            dataset_options=document["dataset"]["options"],
            dataset_hash=document["dataset"]["hash"],
            skipped=tuple(document["dataset"].get("skipped", ())),
            embedder=document["embedder"],
            distance=document["distance"],
            statistics=document.get("statistics", Ladder.statistics),
            generator=document["generator"],
            levels=levels,
            trace=tuple((origin, float(shift)) for origin, shift in document["trace"]),
            episodes=_read_episodes(file.parent / EPISODES_FILE),
        )
        stored_hash = document["ladder_hash"]
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise LadderError(f"{file} is not a complete ladder ({error!r}); {_REMAKE}") from error
    _check_levels(file, ladder)
    if stored_hash != ladder.ladder_hash:
        raise LadderError(
            f"{file} or {EPISODES_FILE} beside it was edited: their content has hash {ladder.ladder_hash}, "
            f"the file says {stored_hash}; {_REMAKE}"
        )
    return ladder


_MEASURED = ("null_mean", "null_std", "null_p")  # NaN where they were not
_REMAKE = "restore the original files, or make the ladder again with `oodml make-splits ... --out` another folder"


def _document(ladder: Ladder) -> dict[str, Any]:
    return {
        "schema_version": schema.VERSIONS["ladder"],
        "kind": KIND,
        "name": ladder.name,
        "dataset": {
            "name": ladder.dataset,
            "options": dict(ladder.dataset_options),
            "hash": ladder.dataset_hash,
            "skipped": list(ladder.skipped),
        },
        "embedder": dict(ladder.embedder),
        "distance": ladder.distance,
        "statistics": ladder.statistics,
        "generator": dict(ladder.generator),
        "trace": [list(entry) for entry in ladder.trace],
        "levels": [_level_document(level) for level in ladder.levels],
        "ladder_hash": ladder.ladder_hash,
    }


def _level_document(level: Level) -> dict[str, Any]:
    values = {**asdict(level), "reference": dict(level.reference)}
    return values | {key: None for key in _MEASURED if math.isnan(values[key])}  # JSON has no NaN


def _level(entry: dict[str, Any]) -> Level:
    known = {field.name for field in fields(Level)}
    values = {key: value for key, value in entry.items() if key in known}
    values |= {key: tuple(entry[key]) for key in ("train", "test", "val")}
    values |= {key: float(entry[key]) for key in ("shift", "shift_scaled")}
    return Level(**values | {key: math.nan for key in _MEASURED if values.get(key, 0.0) is None})


def _read_json(file: Path) -> dict[str, Any]:
    """The document of a ladder file of a version that this oodml reads."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise LadderError(f"{file} is not a readable ladder (truncated?): {error}; {_REMAKE}") from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise LadderError(f"{file} is not a ladder: its kind is not {KIND!r}; give the folder of a ladder")
    version = document.get("schema_version")
    if not isinstance(version, int) or version > schema.VERSIONS["ladder"]:
        raise LadderError(
            f"{file} has schema version {version}, this oodml reads up to {schema.VERSIONS['ladder']}; upgrade oodml"
        )
    return document


def _find(path: Path | str) -> Path:
    given = Path(path)
    candidates = [given / LADDER_FILE, given]
    if len(given.parts) == 1:
        candidates.append(HOME / given / LADDER_FILE)
    for file in candidates:
        if file.is_file():
            return file
    there = sorted(file.parent.name for file in HOME.glob(f"*/{LADDER_FILE}"))
    known = f"ladders in ./{HOME}: {', '.join(there)}" if there else f"there are no ladders in ./{HOME}"
    raise LadderError(f"there is no ladder {str(path)!r}; {known}; `oodml make-splits DATASET` makes one")


def _check_levels(file: Path, ladder: Ladder) -> None:
    """Raises LadderError where the levels contradict each other; every one of these means an edited file."""
    problem = ""
    shifts = [level.shift for level in ladder.levels]
    largest = max(map(abs, shifts), default=0.0)  # unbiased distances can be negative
    for place, level in enumerate(ladder.levels):
        both = set(level.train) & set(level.test)
        if both:
            problem = f"level {place} has {min(both)!r} on both sides"
        elif not set(level.val) <= set(level.train):
            problem = f"level {place} has validation classes that do not train"
        elif level.index != place:
            problem = f"level {place} has index {level.index}"
        elif abs((shifts[-1] - shifts[0]) * level.shift_scaled - (level.shift - shifts[0])) > 1e-6 * largest:
            problem = f"shift_scaled of level {place} does not agree with the shifts"
    if len(shifts) < 2 or any(after <= before for before, after in pairwise(shifts)):
        problem = "it needs at least two levels of strictly rising shift"
    if problem:
        raise LadderError(f"{file} is not a valid ladder: {problem}; {_REMAKE}")


def _same(a: Any, b: Any) -> bool:
    """Whether two JSON values agree, floats to six digits: rounding differs between machines."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b) <= 1e-6 * max(1.0, abs(a), abs(b))
    return bool(a == b)


def _intact(folder: Path) -> bool:
    try:
        load_ladder(folder)
    except LadderError:
        return False
    return True


def _episode_table(ladder: Ladder) -> Any:
    columns: dict[str, list[Any]] = {name: [] for name in schema.EPISODES.names}
    for episode in ladder.episodes:
        for name, images in episode.support.items():
            columns["level"] += [episode.level] * len(images)
            columns["shots"] += [episode.shots] * len(images)
            columns["episode"] += [episode.episode] * len(images)
            columns["class"] += [name] * len(images)
            columns["image_id"] += images
    return schema.table(schema.EPISODES, columns)


def _read_episodes(path: Path) -> tuple[Episode, ...]:
    try:
        table = store.read_table(path, schema.EPISODES)
    except (ResultsError, StorageError) as error:
        raise LadderError(f"the ladder's episodes cannot be read: {error}; {_REMAKE}") from error
    level, shots, number, class_code, image_code = (_codes(table, name) for name in schema.EPISODES.names)
    classes, images = (np.array(_words(table, name), dtype=object) for name in ("class", "image_id"))
    keys = np.stack([level, shots, number, class_code])
    # the images of one class in one draw are neighbours; a million rows make a loop over them slow
    starts = np.flatnonzero((np.diff(keys, axis=1, prepend=-1) != 0).any(axis=0))
    drawn: dict[tuple[int, int, int], dict[str, tuple[str, ...]]] = {}
    for start, end in pairwise([*starts.tolist(), len(level)]):
        of_level, of_shots, of_number, name = keys[:, start].tolist()
        support = drawn.setdefault((of_level, of_shots, of_number), {})
        support[classes[name]] = support.get(classes[name], ()) + tuple(images[image_code[start:end]])
    return tuple(Episode(*draw, support) for draw, support in drawn.items())


def _codes(table: Any, name: str) -> NDArray[np.int64]:
    """A column as integers: its values, or for texts their places in the column's dictionary."""
    column = table.column(name).combine_chunks()
    values = column.indices if hasattr(column, "indices") else column
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.int64)


def _words(table: Any, name: str) -> list[str]:
    return [str(word) for word in table.column(name).combine_chunks().dictionary.to_pylist()]
