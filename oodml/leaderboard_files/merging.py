"""Leaderboards of several people for the same ladder, joined into one."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from oodml.errors import ResultsError, UsageError
from oodml.leaderboard_files.cells import join_cells
from oodml.leaderboard_files.compatibility import MergeWarning, check_ladders, common_protocol, one_dataset
from oodml.leaderboard_files.ranks import rerank
from oodml.leaderboard_files.validation import validate_leaderboard
from oodml.results import LEADERBOARD_FILE, leaderboard_file, read_leaderboard, sort_leaderboard
from oodml.schema import VERSIONS

MOST_NAMED = 5  # problems of a file in a message
NAMELESS = ("report", "")  # folders that say nothing of who made what is in them


def merge_leaderboards(sources: Mapping[Path, str | None]) -> pd.DataFrame:
    """Joins leaderboards for the same ladder; the same files in any order give the same rows.

    A cell that several files hold with the same numbers is kept once, with everyone who has it as contributor. Rows
    without a number give way to rows with one. Ranks are computed anew among all; an area (AGS) whose levels come
    from different files stays unknown, since only runs tell the area of a seed.

    Args:
        sources: Files, or folders with `leaderboard.parquet`, to the contributor of their rows that name none; None
            takes the name of the folder, or of a file that is not called `leaderboard.parquet`.

    Returns:
        Rows for `oodml.results.write_leaderboard`, with the protocol in `attrs`: unknown if one file does not say.

    Raises:
        ResultsError: If a file is unsound, ladders or protocols differ, or files disagree about a cell.
        UsageError: If a contributor cannot be called so, or two files would be of the same one without being asked.
    """
    named = {leaderboard_file(path): name for path, name in sources.items()}
    files = sorted(named, key=str)
    if not files:
        raise UsageError("there is nothing to merge; name at least one leaderboard")
    frames = {file: _read(file) for file in files}
    contributors = _contributors(named, frames)
    protocol = common_protocol(frames)
    check_ladders(frames)
    labelled = [
        frame.assign(contributor=frame["contributor"].fillna(contributors[file]), file=str(file))
        for file, frame in frames.items()
    ]
    rows = sort_leaderboard(rerank(join_cells(one_dataset(pd.concat(labelled, ignore_index=True)))))
    rows["schema_version"] = pd.array([VERSIONS["leaderboard"]] * len(rows), dtype="Int64")
    rows.attrs = {"protocol": protocol}
    return rows


def default_contributor(file: Path) -> str:
    """Whom the rows of a file are of if nobody is named: its folder, or itself where its own name says more."""
    if file.name != LEADERBOARD_FILE:
        return file.stem.replace(",", " ")
    folders = (folder.name for folder in file.resolve().parents)
    return next((name for name in folders if name not in NAMELESS), file.stem).replace(",", " ")


def _read(file: Path) -> pd.DataFrame:
    """The rows of a sound file; what merging puts right is no hindrance."""
    problems = validate_leaderboard(file)
    broken = [problem for problem in problems if not problem.repairable]
    if broken:
        listed = "; ".join(map(str, broken[:MOST_NAMED]))
        more = f"; and {len(broken) - MOST_NAMED} more" if len(broken) > MOST_NAMED else ""
        raise ResultsError(f"{file} is not merged: {listed}{more}. See `oodml leaderboard validate {file}`")
    for problem in problems:
        if problem.row is None:
            warnings.warn(f"{file}: {problem}", MergeWarning, stacklevel=3)
    return read_leaderboard(file)


def _contributors(named: Mapping[Path, str | None], frames: Mapping[Path, pd.DataFrame]) -> dict[Path, str]:
    """The contributor of the rows of every file that name none."""
    chosen: dict[Path, str] = {}
    for file, frame in frames.items():
        name = named[file]
        open_rows = bool(frame["contributor"].isna().any())
        if name is not None and (not name.strip() or "," in name):
            raise UsageError(f"contributor {name!r} of {file} should be a name without commas")
        if name is not None and len(frame) and not open_rows:
            raise UsageError(f"every row of {file} names its contributor already; leave {name!r} out")
        chosen[file] = name.strip() if name is not None else default_contributor(file)
        twin = next((other for other in chosen if other != file and chosen[other] == chosen[file]), None)
        if open_rows and twin and named[twin] is None and name is None:
            raise UsageError(
                f"{twin} and {file} would both be contributions of {chosen[file]!r}; name them: "
                f"oodml leaderboard merge alice={twin} bob={file}"
            )
    return chosen
