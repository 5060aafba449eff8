"""Folders of a node for the files of one job, which do not outlive their process for long."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from oodml import store

_LOCK = ".lock"


def scratch_root() -> Path:
    """Where the folders of this user are, on the disk for temporary files."""
    return Path(tempfile.gettempdir()) / f"oodml-ray-{os.getuid()}"


@contextmanager
def scratch_folder(root: Path) -> Iterator[Path]:
    """A new folder, which goes with the block, or with the next block on this node if its process is killed.

    Raises:
        StorageError: If it cannot be made.
    """
    store.make_folder(root)
    sweep_up(root)
    folder = root / uuid4().hex
    with FileLock(folder.with_suffix(_LOCK)):  # the lock goes when its process does, also after SIGKILL
        store.make_folder(folder)
        try:
            yield folder
        finally:
            _remove(folder)


def sweep_up(root: Path) -> None:
    """Removes the folders of processes that are gone."""
    for path in root.glob(f"*{_LOCK}"):
        with suppress(Timeout), FileLock(path, timeout=0):
            _remove(path.with_suffix(""))


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.with_suffix(_LOCK).unlink(missing_ok=True)
