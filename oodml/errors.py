"""Errors that a user can act on.

Every message says what is wrong, names the file, class or option, and says what to do next. The command line prints
the message without a traceback and ends with exit code 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MAX_LISTED = 30  # names in a message; more would bury it


class OodmlError(Exception):
    """Base of everything that oodml raises on purpose."""


class UsageError(OodmlError):
    """An option or argument that cannot be used as given."""


class UnknownNameError(OodmlError):
    """A method, dataset, backbone, option or column that does not exist."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        if near:
            tail = f"did you mean {' or '.join(map(repr, near))}?"
        elif len(known) <= MAX_LISTED:
            tail = f"known: {', '.join(known)}"
        else:
            tail = f"none of the {len(known)} known names is close"
        super().__init__(f"unknown {kind} {name!r}; {tail}{' ' + hint if hint else ''}")


class DatasetError(OodmlError):
    """Images, labels or vectors that cannot be read or used."""


class WeightsError(OodmlError):
    """A network whose weights cannot be had or do not fit."""


class LadderError(OodmlError):
    """A ladder that cannot be made, read, or does not belong to the dataset."""


class ResultsError(OodmlError):
    """A run, leaderboard or sweep folder that cannot be read or continued."""


class NewerFileError(ResultsError):
    """A file that a newer oodml wrote: left alone, never overwritten."""


class StorageError(OodmlError):
    """A file or folder that cannot be written."""


class MissingPackageError(OodmlError):
    """A package that this feature needs is not installed."""

    def __init__(self, package: str, purpose: str, install: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}, which is not installed; run: {install}")
