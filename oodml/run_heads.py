"""One row per run file of a sweep: how it ended, what it took, and its recall@1. Free of torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from oodml import schema, store
from oodml.errors import ResultsError
from oodml.parts import ADAPTED, PACKED, RUNS, packed_name, part_files, run_files

METRIC = "recall_at_1"
_COLUMNS = (
    *("run_id", "method", "level", "seed", "backbone", "selection", "config", "setting", "shots", "adapter"),
    *("device", "status", "error", "started_at", "metric", "value", "train_s", "eval_s"),
)
_ROWS = schema.schema_of("run", [(name, schema.RUN.field(name).type) for name in _COLUMNS])
_PART_ROWS = schema.schema_of("run", [*((field.name, field.type) for field in _ROWS), (PACKED, schema.TEXT)])


def read_heads(sweep: Path) -> pd.DataFrame:
    """Reads what there is of every run, trained and adapted, also of a sweep that is still running.

    Returns:
        One row per run file, in no certain order: the columns of `oodml.schema.RUN` that say what it is and how it
        ended; `value`, its recall@1 (the mean over episodes, NaN without one); `seconds` that it took (NaN if not
        known). `attrs["unreadable"]` lists (path, reason) of the files that were left out.
    """
    tables: list[Any] = []
    unreadable: list[tuple[str, str]] = []
    gone = _read(run_files(sweep), tables, unreadable)
    files = part_files(sweep)  # listed after the single files were read: what vanished meanwhile is in a part
    if _read(files, tables, unreadable) or (gone and not files):
        return read_heads(sweep)  # a part was replaced by another one
    frame = _heads(tables)
    frame.attrs["unreadable"] = unreadable
    return frame


def _read(files: Iterable[Path], tables: list[Any], unreadable: list[tuple[str, str]]) -> bool:
    """Appends the tables of files with their names; whether one of them is not there any more."""
    import pyarrow as pa

    gone = False
    for file in files:
        try:
            if file.parent.name in (RUNS, ADAPTED):
                rows = store.read_table(file, _ROWS)
                tables.append(rows.append_column(PACKED, pa.repeat(packed_name(file), len(rows))))
            else:
                tables.append(store.read_table(file, _PART_ROWS))
        except ResultsError as error:
            gone |= not file.exists()
            if file.exists():
                unreadable.append((str(file), str(error)))
    return gone


def _heads(tables: list[Any]) -> pd.DataFrame:
    """Rows of the same file stand together; a name that a later table holds again counts once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = pa.concat_tables([_PART_ROWS.empty_table(), *tables])
    codes = pc.dictionary_encode(rows.column(PACKED).combine_chunks()).indices.to_numpy()
    first = np.ones(len(rows), dtype=bool)
    first[1:] = codes[1:] != codes[:-1]
    block = np.cumsum(first)  # a file's rows in one table
    asked = pc.fill_null(pc.equal(rows.column("metric"), METRIC), False).to_numpy()
    keep = first | asked
    frame: pd.DataFrame = rows.filter(pa.array(keep)).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    frame["block"] = block[keep]
    scored = frame["metric"] == METRIC
    has_score = scored.groupby(frame["block"]).transform("any")
    frame = frame[scored | ~has_score]
    frame = frame.assign(seconds=frame["train_s"] + frame["eval_s"], value=frame["value"].where(scored))
    sums = frame.groupby("block").agg(value=("value", "mean"), seconds=("seconds", lambda s: s.sum(skipna=False)))
    heads = frame.drop_duplicates("block").set_index("block").drop(columns=["metric", "train_s", "eval_s"])
    return heads.assign(**sums).drop_duplicates(PACKED).reset_index(drop=True)
