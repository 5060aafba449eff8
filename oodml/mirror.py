"""A sweep folder kept the same at another place: a shared folder or an object store, by its fsspec URL."""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from oodml import store
from oodml.errors import LadderError, ResultsError, StorageError, UsageError
from oodml.kept_models import MODELS
from oodml.parts import ADAPTED, PARTS, RUNS
from oodml.plan import join_plans
from oodml.results import PLAN_FILE
from oodml.watching import Watcher, Watchers

if TYPE_CHECKING:
    from types import TracebackType

    from oodml.executors.jobs import Outcome

FOLDERS = ("ladder", MODELS, PARTS, RUNS, ADAPTED)  # parts before the files that they replace
OWNER = "sweep.owner"
LADDER_FILE = "ladder/ladder.json"
Stamp = tuple[int, int]


class Mirror(Watcher):
    """Begins with what is at the URL, and puts every finished file there as soon as it is.

    A file is written under its name only when it is complete (object stores do so by themselves). What the sweep
    packs or removes is removed there afterwards, so that a run is never missing from both forms. A place that does
    not answer does not stop the sweep: what could not be put there is tried again with the next file, and at the end.

    Args:
        sweep: The sweep folder on this machine.
        url: Where it is mirrored, such as "s3://bucket/sweep" or a directory.

    Raises:
        UsageError: If the protocol is unknown or its package is missing.
    """

    def __init__(self, sweep: Path, url: str) -> None:
        import fsspec

        self.sweep, self.url = sweep, url
        try:
            self.files, self.root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise UsageError(f"--share {url}: {error}") from error
        self.there: dict[str, Stamp] = {}  # files that are at the URL, as they were when put there
        self.token = uuid.uuid4().hex
        self.trouble = ""

    def __enter__(self) -> Mirror:
        """Claims the place and fetches what this machine lacks.

        Raises:
            ResultsError: If another sweep writes to it.
            StorageError: If it cannot be reached.
        """
        try:
            self._claim()
        except OSError as error:
            raise StorageError(f"cannot reach {self.url}: {error}; check address and credentials") from error
        try:
            self._fetch()
            self._put_new()
        except LadderError:
            self._release()
            raise
        except OSError as error:
            self._release()
            raise StorageError(f"cannot copy from or to {self.url}: {error}") from error
        return self

    def ended(self, outcome: Outcome) -> None:
        """Puts the files of a finished job there."""
        self.update()

    def update(self) -> None:
        """Makes the other place the same as the folder; a failure is kept in `trouble`."""
        try:
            self._put_new()
            self.trouble = ""
        except OSError as error:
            self.trouble = str(error)

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self.update()
        self._release()
        if self.trouble and kind is None:
            raise StorageError(
                f"not everything is at {self.url}: {self.trouble}; {self.sweep} has it, the same command puts it there"
            )

    def _path(self, name: str) -> str:
        return str(PurePosixPath(self.root) / name)

    def _claim(self) -> None:
        """Leaves a note of who writes here; a note of another one that may be alive is respected."""
        self.files.makedirs(self.root, exist_ok=True)
        path = self._path(OWNER)
        if self.files.exists(path):
            note = json.loads(self.files.cat_file(path))
            if not (note["host"] == socket.gethostname() and not _alive(note["process"])):
                raise ResultsError(
                    f"another sweep is writing to {self.url} (process {note['process']} on {note['host']}); wait for "
                    f"it to end, or remove {path} if it is gone"
                )
        own = {"host": socket.gethostname(), "process": os.getpid(), "token": self.token}
        self.files.pipe_file(path, json.dumps(own).encode())
        if json.loads(self.files.cat_file(path))["token"] != self.token:
            raise ResultsError(f"another sweep began to write to {self.url} at the same moment; start this one again")

    def _release(self) -> None:
        with suppress(OSError):
            self.files.rm_file(self._path(OWNER))

    def _fetch(self) -> None:
        """Copies what is there and not here, and joins the plans.

        Raises:
            LadderError: If it holds results of another ladder than this folder.
        """
        self.files.invalidate_cache()
        ladder = self.sweep / LADDER_FILE
        if ladder.exists() and self.files.exists(self._path(LADDER_FILE)):
            other = json.loads(self.files.cat_file(self._path(LADDER_FILE)))
            if other != json.loads(ladder.read_text(encoding="utf-8")):
                raise LadderError(
                    f"{self.url} holds results of another ladder than {self.sweep}; share to another place"
                )
        for folder in FOLDERS:
            for name in self._names(folder):
                target = self.sweep / name
                known = target.exists()
                if not known:
                    with store.atomic(target) as temporary:
                        self.files.get_file(self._path(name), str(temporary))
                if not known or folder == PARTS:  # a part is named after its content, others may be renewed here
                    self.there[name] = _stamp(target)
        if self.files.exists(self._path(PLAN_FILE)):
            with TemporaryDirectory(dir=self.sweep) as name:
                other = Path(name) / PLAN_FILE
                self.files.get_file(self._path(PLAN_FILE), str(other))
                join_plans(self.sweep / PLAN_FILE, other)

    def _names(self, folder: str) -> list[str]:
        path = self._path(folder)
        if not self.files.exists(path):
            return []
        found: list[Any] = self.files.ls(path, detail=False)
        return sorted(f"{folder}/{PurePosixPath(p).name}" for p in found if not PurePosixPath(p).name.startswith("."))

    def _put_new(self) -> None:
        here = self._here()
        for name, stamp in here.items():
            if self.there.get(name) != stamp:
                self._put(name)
                self.there[name] = stamp
        for name in [name for name in self.there if name not in here]:
            with suppress(FileNotFoundError):
                self.files.rm_file(self._path(name))
            del self.there[name]

    def _put(self, name: str) -> None:
        target = self._path(name)
        self.files.makedirs(str(PurePosixPath(target).parent), exist_ok=True)
        temporary = self._path(f"{PurePosixPath(name).parent}/.{PurePosixPath(name).name}{store.TEMPORARY_SUFFIX}")
        self.files.put_file(str(self.sweep / name), temporary)
        self.files.mv(temporary, target)

    def _here(self) -> dict[str, Stamp]:
        """Complete files of the sweep folder, those of a folder of parts before what they replace."""
        found = {}
        for folder in FOLDERS:
            if (self.sweep / folder).is_dir():
                for path in sorted((self.sweep / folder).iterdir()):
                    if not path.name.startswith("."):
                        with suppress(FileNotFoundError):
                            found[f"{folder}/{path.name}"] = _stamp(path)
        if (self.sweep / PLAN_FILE).exists():
            found[PLAN_FILE] = _stamp(self.sweep / PLAN_FILE)
        return found


@contextmanager
def shared(sweep: Path, url: str | None, watcher: Watcher) -> Iterator[Watcher]:
    """A watcher that also mirrors the sweep folder at a URL, if there is one."""
    if not url:
        yield watcher
        return
    with Mirror(sweep, url) as mirror:
        yield Watchers((watcher, mirror))


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
