"""Small leaderboards for tests, built from runs by the code that sweeps use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from oodml import schema
from oodml.leaderboard import build_leaderboard
from oodml.records import Level
from oodml.results import to_frame, write_leaderboard

HOSTILE = r"<b>&_#$%{x}\~^|*`"
SHIFTS = ((2.0, 0.0), (4.0, 0.25), (10.0, 1.0))
Scores = Mapping[str, Sequence[Sequence[float]]]  # method to levels x seeds
ALICE: Scores = {
    "margin": [[0.8, 0.7, 0.9], [0.6, 0.7, 0.8], [0.4, 0.5, 0.3]],
    "frozen": [[0.5] * 3, [0.4] * 3, [0.3] * 3],
}
BOB: Scores = {
    "triplet": [[0.7, 0.75, 0.65], [0.5, 0.55, 0.45], [0.2, 0.3, 0.25]],
    "frozen": [[0.5] * 3, [0.4] * 3, [0.3] * 3],
}


def make_levels(shifts: Sequence[tuple[float, float]] = SHIFTS) -> list[Level]:
    """Levels of a toy ladder; the first is the default division."""
    sides = (("a", "b"), ("c", "d"), ())
    return [
        Level(i, "default" if i == 0 else f"level_{i}", shift, scaled, 1.0, 0.1, {}, *sides)
        for i, (shift, scaled) in enumerate(shifts)
    ]


def make_board(
    scores: Scores,
    *,
    metrics: Sequence[str] = ("recall_at_1",),
    started: str = "2024-05-01T12:00:00",
    shifts: Sequence[tuple[float, float]] = SHIFTS,
    **other: Any,
) -> pd.DataFrame:
    """The leaderboard of finished runs, one per method, level and seed; `other` sets columns of the runs."""
    rows = []
    for method, table in scores.items():
        for level, values in enumerate(table):
            for seed, value in enumerate(values):
                run = {"benchmark": "toy", "dataset": "toys", "ladder_hash": "aaaa", "backbone": "net", "level": level}
                run |= {"embedding_dim": 8, "config": "{}", "selection": "last", "setting": "zero_shot"}
                run |= {"run_id": f"{method}-{level}-{seed}", "method": method, "seed": seed, "status": "done"}
                run |= {"started_at": started, "train_s": 1.0, **other}
                rows += [{**run, "metric": metric, "value": value} for metric in metrics]
    columns = {name: [row.get(name) for row in rows] for name in schema.RUN.names}
    return build_leaderboard(to_frame(schema.table(schema.RUN, columns)), None, make_levels(shifts))


def write_board(folder: Path, frame: pd.DataFrame) -> Path:
    """A leaderboard in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    write_leaderboard(folder, frame)
    return folder / "leaderboard.parquet"


def write_raw(path: Path, frame: pd.DataFrame, **metadata: str) -> Path:
    """Rows as they are, in their order and without any check; metadata may be replaced."""
    columns = {name: frame[name] for name in schema.LEADERBOARD.names}
    return write_table(path, schema.table(schema.LEADERBOARD, columns), **metadata)


def write_table(path: Path, table: Any, **metadata: str) -> Path:
    """A pyarrow table with the metadata of a leaderboard of protocol 1."""
    known = {key.decode(): value.decode() for key, value in schema.LEADERBOARD.metadata.items()}
    pq.write_table(table.replace_schema_metadata({**known, "oodml_protocol": "1", **metadata}), path)
    return path


def with_column(table: Any, name: str, values: Sequence[Any], kind: Any) -> Any:
    """The table with a column replaced or added."""
    column = pa.array(values, type=kind)
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, column)
    return table.append_column(name, column)
