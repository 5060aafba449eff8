"""A leaderboard as text for other programs: CSV, Markdown, LaTeX."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from oodml.errors import UnknownNameError, UsageError
from oodml.leaderboard_files.latex import latex
from oodml.leaderboard_files.markdown import markdown
from oodml.leaderboard_files.standing import standings

SUFFIXES = {".csv": "csv", ".md": "markdown", ".markdown": "markdown", ".tex": "latex"}
FORMATS = ("csv", "markdown", "latex")


def choose_format(name: str | None, out: Path | None) -> str:
    """The format that is asked for, or the one that a file's name stands for.

    Raises:
        UnknownNameError: If there is no such format.
        UsageError: If neither says.
    """
    if name is not None:
        if name not in FORMATS:
            raise UnknownNameError("--to", name, FORMATS)
        return name
    if out is None or out.suffix.lower() not in SUFFIXES:
        end = f"--out {out} ends in none of {', '.join(SUFFIXES)}; " if out else ""
        raise UsageError(f"{end}say --to csv, --to markdown or --to latex")
    return SUFFIXES[out.suffix.lower()]


def export(
    frame: pd.DataFrame,
    to: str,
    *,
    metric: str | None = None,
    sort: str | None = None,
    top: int | None = None,
    intervals: bool = False,
) -> tuple[str, list[str]]:
    """The text, and the settings that it leaves out.

    Args:
        frame: Rows of a leaderboard.
        to: "csv" (all columns of all rows), "markdown" or "latex" (methods x levels of one metric and setting).
        metric: Metric of the tables, None for recall@1; CSV does not look at it.
        sort: Column that tables are sorted by, see `Standing.sorted_by`.
        top: So many methods of each table.
        intervals: Whether tables show intervals.
    """
    if to == "csv":
        return str(frame.to_csv(index=False, lineterminator="\n")), []
    found, hidden = standings(frame, metric)
    shown = [standing.sorted_by(sort).top(top) for standing in found]
    return (markdown if to == "markdown" else latex)(shown, intervals=intervals), hidden
