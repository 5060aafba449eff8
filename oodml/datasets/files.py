"""Image files below a folder or inside a zip archive, listed and read the same way."""

from __future__ import annotations

import os
import threading
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from oodml.errors import DatasetError

ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
CLUTTER = frozenset({"__MACOSX", "@eaDir"})  # left by macOS archives and network drives


@dataclass(frozen=True)
class ImageFile:
    """One image file.

    Attributes:
        path: Path below the folder or archive, "/" between parts, in Unicode normal form C.
        size: Bytes of the file.
        key: The path as the folder or archive itself spells it.
    """

    path: str
    size: int
    key: str


class Folder:
    """The images below a folder; links are followed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def files(self) -> list[ImageFile]:
        """All image files, sorted by path."""
        try:
            return _sorted(str(self.path), self._walk())
        except OSError as error:
            raise DatasetError(f"cannot list {self.path}: {error}") from error

    def _walk(self) -> Iterator[tuple[str, int]]:
        # A link that points upwards would be walked for ever: never enter a folder inside itself.
        pending: list[tuple[str, tuple[Path, ...]]] = [("", (self.path.resolve(),))]
        while pending:
            prefix, above = pending.pop()
            with os.scandir(self.path / prefix) as entries:
                for entry in entries:
                    name = f"{prefix}{entry.name}"
                    if entry.is_dir():
                        real = Path(entry.path).resolve()
                        if _wanted_part(entry.name) and real not in above:
                            pending.append((f"{name}/", (*above, real)))
                    elif _wanted(name):
                        yield name, entry.stat().st_size

    def read(self, key: str) -> Path:
        """The path of a file, for a decoder to open."""
        return self.path / key


class Archive:
    """The images inside a zip archive, read in place; safe to read from several threads and after a fork."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._owner = -1

    def files(self) -> list[ImageFile]:
        """All image files, sorted by path.

        Raises:
            DatasetError: If the archive is damaged or names a file twice.
        """
        self._open()
        found = ((info.filename, info.file_size) for info in self._zip.infolist() if not info.is_dir())
        return _sorted(str(self.path), ((name, size) for name, size in found if _wanted(name)))

    def read(self, key: str) -> bytes:
        """The content of a file.

        Raises:
            DatasetError: If its bytes are damaged or encrypted.
        """
        if self._owner != os.getpid():
            self._open()
        try:
            with self._lock:
                return self._zip.read(key)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
            RuntimeError,
            NotImplementedError,
        ) as error:
            raise DatasetError(
                f"cannot read {key!r} in {self.path.name} ({error}); replace it, or leave unreadable images "
                "out with --skip-bad-images"
            ) from error

    def _open(self) -> None:
        # A handle shared with a parent process would share its position in the file.
        try:
            self._zip = zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, OSError) as error:
            raise DatasetError(f"{self.path} is not a readable zip archive (cut short?): {error}") from error
        self._lock = threading.Lock()
        self._owner = os.getpid()


def open_files(path: Path) -> Folder | Archive:
    """The images of a folder or a zip archive.

    Raises:
        DatasetError: If there is neither.
    """
    if path.is_dir():
        return Folder(path)
    if path.is_file() and path.suffix.lower() == ".zip":
        return Archive(path)
    if path.is_file():
        raise DatasetError(f"{path} is a file; give a folder of class folders or a .zip of one")
    raise DatasetError(f"there is no folder or zip archive {path}; check the path")


def _wanted_part(name: str) -> bool:
    return not name.startswith(".") and name not in CLUTTER


def _wanted(name: str) -> bool:
    return name.lower().endswith(ENDINGS) and all(map(_wanted_part, name.replace("\\", "/").split("/")))


def _sorted(source: str, found: Iterable[tuple[str, int]]) -> list[ImageFile]:
    files, folders = dict[str, ImageFile](), dict[str, str]()
    for key, size in found:
        path = unicodedata.normalize("NFC", key.replace("\\", "/"))
        folder = key.rpartition("/")[0]
        if folders.setdefault(path.rpartition("/")[0], folder) != folder:
            raise DatasetError(
                f"{source} has two folders that are one in Unicode, {path.rpartition('/')[0]!r}; rename one of them"
            )
        if path in files:
            raise DatasetError(f"{source} holds the file {path!r} twice; rename or remove one of them")
        files[path] = ImageFile(path, size, key)
    return [files[path] for path in sorted(files)]
