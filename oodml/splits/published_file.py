"""Files of published splits: the official pickles, and the JSON that `export-splits` writes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from oodml.errors import LadderError
from oodml.splits.published_entries import Entry, check_entries
from oodml.splits.safe_pickle import load_pickle

MAX_BYTES = 256 * 2**20  # the official files have a few megabytes


@dataclass(frozen=True)
class PublishedSplits:
    """A file of splits with a known structure.

    Attributes:
        path: The file.
        digest: First 16 hex digits of its SHA-256.
        entries: Its splits, in the order of the file.
    """

    path: Path
    digest: str
    entries: tuple[Entry, ...]


def read_published(path: Path | str) -> PublishedSplits:
    """Reads the splits of a file: JSON if its name ends in .json, else a pickle.

    Raises:
        LadderError: If it is missing, damaged, far too large, of an unknown structure, or a pickle that asks for
            more than plain data.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise LadderError(f"{path} has {size // 2**20} MB, which no file of splits has; check the path")
        data = path.read_bytes()
    except OSError as error:
        raise LadderError(f"cannot read the splits {path}: {error.strerror or error}; check the path") from error
    content = _parse_json(data, path) if path.suffix.lower() == ".json" else load_pickle(data, path)
    return PublishedSplits(path, hashlib.sha256(data).hexdigest()[:16], tuple(check_entries(content, str(path))))


def _parse_json(data: bytes, path: Path) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise LadderError(f"{path} is not readable JSON (cut short?): {error}; export or get it again") from error
