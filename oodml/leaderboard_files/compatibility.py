"""Do leaderboards compare at all: the same protocol, ladder, dataset and shifts?"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from oodml.errors import ResultsError
from oodml.leaderboard_files.agreement import LEVEL_FACTS

Frames = Mapping[Path, pd.DataFrame]
Ladders = dict[str, str]  # benchmark to ladder hash


class MergeWarning(UserWarning):
    """Something about merged leaderboards that a reader should know."""


def common_protocol(frames: Frames) -> int | None:
    """The protocol of all files; None, with a MergeWarning if others do, if one does not say.

    Raises:
        ResultsError: If two files say different ones.
    """
    found = {file: frame.attrs["protocol"] for file, frame in frames.items()}
    known = {file: protocol for file, protocol in found.items() if protocol is not None}
    for file, protocol in known.items():
        first = next(iter(known))
        if protocol != known[first]:
            raise ResultsError(
                f"{first} was scored by protocol {known[first]}, {file} by protocol {protocol}: their numbers do not "
                "compare; sweep one of them again with the other's version of oodml"
            )
    silent = [str(file) for file, protocol in found.items() if protocol is None]
    if silent and known:
        verb = "do" if len(silent) > 1 else "does"
        words = f"{', '.join(silent)} {verb} not say which protocol scored the runs, so neither does the merged file"
        warnings.warn(words, MergeWarning, stacklevel=3)
    return None if silent else next(iter(known.values()))


def check_ladders(frames: Frames) -> None:
    """Refuses files that share no ladder, or that mean different ones by the same name.

    Raises:
        ResultsError: Naming both files with their ladder hashes.
    """
    found = {file: _ladders(frame) for file, frame in frames.items() if len(frame)}
    seen: dict[str, tuple[Path, str]] = {}
    for file, ladders in found.items():
        for benchmark, ladder_hash in ladders.items():
            other, known_hash = seen.setdefault(benchmark, (file, ladder_hash))
            if known_hash != ladder_hash:
                raise ResultsError(
                    f"{benchmark!r} is ladder {known_hash} in {other} and ladder {ladder_hash} in {file}: other "
                    "classes, images or episodes, so their numbers do not compare"
                )
    if found and not set.intersection(*map(set, found.values())):
        first = next(iter(found))
        other = next((file for file in found if not set(found[file]) & set(found[first])), list(found)[-1])
        raise ResultsError(
            f"{first} (of {_listed(found[first])}) and {other} (of {_listed(found[other])}) are leaderboards of "
            "different ladders; merge those of one ladder"
        )
    _check_levels(frames)


def _check_levels(frames: Frames) -> None:
    """A ladder's hash does not pin shifts: the same classes may have been measured with another embedder."""
    seen: dict[tuple[str, int], tuple[Path, str]] = {}
    for file, frame in frames.items():
        rows = frame.loc[frame["level"].notna(), ["benchmark", "level", *LEVEL_FACTS]].drop_duplicates()
        for benchmark, level, name, shift, scaled in rows.itertuples(index=False, name=None):
            facts = f"{name!r} at shift {shift:.9g} ({scaled:.9g} of the ladder)"
            other, known = seen.setdefault((benchmark, level), (file, facts))
            if known != facts:
                raise ResultsError(
                    f"level {level} of {benchmark!r} is {known} in {other} and {facts} in {file}: measured "
                    "otherwise, so areas do not compare"
                )


def one_dataset(frame: pd.DataFrame) -> pd.DataFrame:
    """With one name per dataset: the ladder's hash pins the images, but people call their files differently.

    Warns (MergeWarning) of names that are given up for the first by alphabet.
    """
    first = frame.groupby("benchmark")["dataset"].transform("min")
    for benchmark, names in frame[frame["dataset"].notna()].groupby("benchmark")["dataset"]:
        known = sorted(names.unique())
        if len(known) > 1:
            words = f"the dataset of {benchmark!r} is called {' and '.join(known)}; {known[0]!r} is kept"
            warnings.warn(words, MergeWarning, stacklevel=3)
    return frame.assign(dataset=first)


def _ladders(frame: pd.DataFrame) -> Ladders:
    rows = frame[["benchmark", "ladder_hash"]].drop_duplicates()
    return dict(rows.itertuples(index=False, name=None))


def _listed(ladders: Ladders) -> str:
    return ", ".join(f"{name!r}, ladder {ladder_hash}" for name, ladder_hash in sorted(ladders.items()))
