"""Writes the tables of the Parquet files from their schemas: `python docs/make_schemas.py`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from oodml import schema
from oodml.parts import PART

HERE = Path(__file__).parent
FILE = HERE / "schemas.md"
sys.path.insert(0, str(HERE))  # where the script is imported, by a test, and not run

import column_meanings as words  # noqa: E402

INTRODUCTION = """\
# Schemas

This page is made from `oodml/schema.py`. [Reading results](reading-results.md) has examples for pandas, polars and
DuckDB. The metadata of every Parquet file name its kind (`oodml_kind`) and the version of its schema (`oodml_schema`).
oodml reads every version up to the one that it writes, and refuses newer ones; columns that a version added are null in
older files. Missing values are null, never NaN. Times are in seconds.
"""
TYPES = {
    "string": "text",
    "int64": "integer",
    "double": "float",
    "bool": "true or false",
    "list<item: float>": "list of floats",
    "list<item: int32>": "list of integers",
    "dictionary<values=string, indices=int32, ordered=0>": "text",
}


class File(NamedTuple):
    """One kind of file: where it lies, what a row is, its schema and what the columns mean."""

    kind: str
    path: str
    rows: str
    schema: Any
    meanings: Mapping[str, str]


FILES = (
    File(
        "run",
        "results/SWEEP/runs/*.parquet, adapted/*.parquet, parts/*.parquet",
        "One row per number. A run is finished when its file exists. Unique by "
        + ", ".join(f"`{name}`" for name in schema.RUN_KEY)
        + ".",
        PART,
        words.RUN,
    ),
    File(
        "leaderboard",
        "report/leaderboard.parquet",
        "One row per ladder, method, level, setting and metric, made from the runs. The same runs give the same bytes.",
        schema.LEADERBOARD,
        words.LEADERBOARD,
    ),
    File("plan", "results/SWEEP/plan.parquet", "One row per planned run.", schema.PLAN, words.PLAN),
    File(
        "episodes",
        "splits/LADDER/episodes.parquet",
        "One row per labelled image of a few-shot episode.",
        schema.EPISODES,
        words.EPISODES,
    ),
    File("scores", "oodml evaluate --parquet", "One row per metric of a set of vectors.", schema.SCORES, words.SCORES),
)


QUERIES = """\
## queries

`oodml evaluate --per-query`: one row per query, version {version}. Columns `row` (integer), `id` and `class` (text),
`first_hit` (integer: rank of the nearest row of the class; null for lone rows, and where an approximate search found
none), and a float column for every retrieval metric, null where the row does not count: its mean is the score.
"""


def page() -> str:
    """All tables, the same for the same schemas."""
    queries = QUERIES.strip().format(version=schema.VERSIONS["queries"])
    return "\n\n".join([INTRODUCTION.strip(), *map(_section, FILES), queries]) + "\n"


def _section(file: File) -> str:
    without = [name for name in file.schema.names if name not in file.meanings]
    if without:
        raise SystemExit(f"docs/column_meanings.py says nothing about {', '.join(without)} of {file.kind} files")
    version, added = schema.VERSIONS[file.kind], schema.ADDED.get(file.kind, {})
    rows = ["| column | type | since | meaning |", "|---|---|---|---|"]
    for field in file.schema:
        meaning = file.meanings[field.name]
        rows.append(f"| `{field.name}` | {TYPES[str(field.type)]} | {added.get(field.name, 1)} | {meaning} |")
    places = ", ".join(f"`{place}`" for place in file.path.split(", "))
    return f"## {file.kind}\n\n{places}, version {version}. {file.rows}\n\n" + "\n".join(rows)


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")
    print(f"written: {FILE}")
