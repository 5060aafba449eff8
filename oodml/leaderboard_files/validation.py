"""Is a file a sound leaderboard? Every problem with the row that has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from oodml import schema, store
from oodml.errors import ResultsError
from oodml.leaderboard_files.agreement import ladder_problems, whole_problems
from oodml.leaderboard_files.checks import row_problems
from oodml.leaderboard_files.ranks import rank_problems
from oodml.leaderboard_files.words import REPAIR, Problem, cell_name
from oodml.records import Ladder
from oodml.results import PROTOCOL_KEY, leaderboard_file, protocol_in, read_leaderboard


def validate_leaderboard(path: str | Path, ladder: Ladder | None = None) -> list[Problem]:
    """Everything that is wrong with a leaderboard file, that of the file first, then by row.

    Checked are: that it is a Parquet file of this kind and of a version that is read, columns and their types, nulls
    and ranges of every value, intervals, ranks, levels, one row per cell, one ladder and dataset per benchmark, and
    the order of rows, which makes the same rows the same bytes.

    Args:
        path: The file, or the folder that holds `leaderboard.parquet`.
        ladder: Also check hash, levels and shifts against this ladder.

    Returns:
        The problems, none for a sound file. A file that cannot be read has one.
    """
    try:
        path = leaderboard_file(path)
        frame = read_leaderboard(path)
        of_file = list(_file_problems(path, frame))
    except ResultsError as error:
        return [Problem(str(error))]
    rows = row_problems(frame)
    if all(problem.repairable for problem in rows):  # ranks say nothing where their means, spreads or counts do not
        rows += rank_problems(frame)
    rows += whole_problems(frame)
    rows += ladder_problems(frame, ladder) if ladder else []
    return of_file + sorted(rows, key=lambda problem: -1 if problem.row is None else problem.row)


def _file_problems(path: Path, frame: pd.DataFrame) -> Iterator[Problem]:
    """Columns and types as they lie in the file, and what a frame no longer shows: which numbers are NaN."""
    found = pq.read_schema(path)
    version = int(found.metadata[b"oodml_schema"])
    expected = {field.name: field.type for field in schema.LEADERBOARD}
    unknown = [name for name in found.names if name not in expected]
    if unknown:
        yield Problem(f"unknown columns {', '.join(map(repr, unknown))}; {REPAIR} by leaving them out", repairable=True)
    for field in found:
        if field.name in expected and field.type != expected[field.name]:
            yield Problem(f"column {field.name} has the type {field.type}, it should be {expected[field.name]}")
    protocol = found.metadata.get(PROTOCOL_KEY)
    if protocol is not None and protocol_in(found.metadata) is None:
        yield Problem(f"the metadata name protocol {protocol.decode(errors='replace')!r}, which is no number")
    table = store.read_table(path, schema.LEADERBOARD)
    other = np.flatnonzero(pc.not_equal(table.column("schema_version"), version).fill_null(True).to_numpy())
    for number in other.tolist():
        value = table.column("schema_version")[number]
        words = f"({cell_name(frame.iloc[number])}): schema_version is {value}, the file says {version}"
        yield Problem(words, number, repairable=True)
    yield from _not_finite(table, frame)


def _not_finite(table: Any, frame: pd.DataFrame) -> Iterator[Problem]:
    for field in table.schema:
        if pa.types.is_floating(field.type):
            column = table.column(field.name)
            for number in np.flatnonzero(pc.invert(pc.is_finite(column).fill_null(True)).to_numpy()).tolist():
                words = f"{field.name} is {column[number]}; what is not known is null"
                yield Problem(f"({cell_name(frame.iloc[number])}): {words}", number)


def describe_leaderboard(frame: pd.DataFrame) -> str:
    """A sound leaderboard in a line: rows, benchmarks with their ladders, version, protocol, contributors."""
    ladders = frame[["benchmark", "ladder_hash"]].drop_duplicates().itertuples(index=False, name=None)
    parts = [f"{len(frame)} rows", *(f"{name} (ladder {ladder})" for name, ladder in ladders)]
    versions = sorted(set(frame["schema_version"].dropna()))
    parts += [f"schema {'/'.join(map(str, versions))}"] if versions else []
    protocol = frame.attrs.get("protocol")
    parts.append(f"protocol {'unknown' if protocol is None else protocol}")
    people = contributors(frame)
    return ", ".join(parts) + (f", by {', '.join(people)}" if people else "")


def contributors(frame: pd.DataFrame) -> list[str]:
    """Everyone whom a leaderboard names, sorted; a row of several people counts for each."""
    return sorted({name for text in frame["contributor"].dropna().unique() for name in text.split(", ")})
