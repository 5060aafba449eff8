"""Column names, types and version of every Parquet file that oodml writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from oodml.errors import NewerFileError, ResultsError

VERSIONS = {"run": 2, "leaderboard": 2, "plan": 1, "episodes": 1, "ladder": 1, "scores": 1, "shifts": 1, "queries": 1}
"""What is written of every kind of file; all versions up to it are read."""

ADDED = {
    "run": dict.fromkeys(("class_values", "class_queries"), 2),
    "leaderboard": dict.fromkeys(
        (
            *("class_low", "class_high", "both_low", "both_high"),
            *("train_s", "peak_memory_mb", "made_at", "contributor"),
        ),
        2,
    ),
}
"""Columns that came after the first version of a kind, with the version that brought them: null in older files."""

STATUSES = ("done", "failed", "diverged", "timeout")
SELECTIONS = ("last", "val", "oracle")
FEW_SHOT = "few_shot"  # the setting of what was scored on the query images of an episode
UNADAPTED = "none"  # the adapter that changes nothing

TEXT, _I, _F, _B = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_FS, _IS = pa.list_(pa.float32()), pa.list_(pa.int32())


def schema_of(kind: str, columns: Sequence[tuple[str, Any]]) -> Any:
    """The schema of a kind of file, with kind and version in its metadata."""
    return pa.schema(list(columns), metadata={"oodml_kind": kind, "oodml_schema": str(VERSIONS[kind])})


RUN = schema_of(
    "run",
    [
        ("schema_version", _I),
        ("run_id", TEXT),
        ("benchmark", TEXT),
        ("dataset", TEXT),
        ("ladder_hash", TEXT),
        ("level", _I),
        ("shift", _F),
        ("shift_scaled", _F),
        ("method", TEXT),
        ("backbone", TEXT),
        ("embedding_dim", _I),
        ("config", TEXT),
        ("seed", _I),
        ("selection", TEXT),
        ("setting", TEXT),
        ("shots", _I),
        ("adapter", TEXT),
        ("episode", _I),
        ("metric", TEXT),
        ("value", _F),
        ("num_queries", _I),
        ("num_lone", _I),
        ("num_classes", _I),
        ("status", TEXT),
        ("error", TEXT),
        ("train_s", _F),
        ("eval_s", _F),
        ("peak_memory_mb", _F),
        ("device", TEXT),
        ("oodml_version", TEXT),
        ("torch_version", TEXT),
        ("started_at", TEXT),
        ("class_values", _FS),
        ("class_queries", _IS),
    ],
)
"""One number per row; unique by RUN_KEY. A failed run has one row with null metric and value.

`class_values` are the means of a retrieval metric over the queries of every test class, in the order of the level's
test classes (null without queries), `class_queries` the numbers of these queries; null for other metrics.
"""

STATUS = schema_of("run", [("status", TEXT), ("error", TEXT)])
"""What of a run says whether it is finished."""

RUN_KEY = ("run_id", "selection", "setting", "shots", "adapter", "episode", "metric")

PLAN = schema_of(
    "plan",
    [
        ("schema_version", _I),
        ("run_id", TEXT),
        ("benchmark", TEXT),
        ("level", _I),
        ("method", TEXT),
        ("backbone", TEXT),
        ("embedding_dim", _I),
        ("config", TEXT),
        ("seed", _I),
        ("selection", TEXT),
        ("spec", TEXT),
    ],
)
"""One row per planned run; `spec` is the RunSpec as JSON."""

EPISODES = schema_of(
    "episodes",
    [
        ("level", _I),
        ("shots", _I),
        ("episode", _I),
        ("class", pa.dictionary(pa.int32(), TEXT)),
        ("image_id", pa.dictionary(pa.int32(), TEXT)),
    ],
)

LEADERBOARD = schema_of(
    "leaderboard",
    [
        ("schema_version", _I),
        ("benchmark", TEXT),
        ("dataset", TEXT),
        ("ladder_hash", TEXT),
        ("method", TEXT),
        ("backbone", TEXT),
        ("embedding_dim", _I),
        ("config", TEXT),
        ("level", _I),
        ("level_name", TEXT),
        ("shift", _F),
        ("shift_scaled", _F),
        ("setting", TEXT),
        ("shots", _I),
        ("adapter", TEXT),
        ("selection", TEXT),
        ("metric", TEXT),
        ("mean", _F),
        ("std", _F),
        ("n", _I),
        ("ci_low", _F),
        ("ci_high", _F),
        ("interval", TEXT),
        ("n_planned", _I),
        ("n_failed", _I),
        ("delta_first", _F),
        ("delta_reference", _F),
        ("rank", _I),
        ("rank_low", _I),
        ("rank_high", _I),
        ("class_low", _F),
        ("class_high", _F),
        ("both_low", _F),
        ("both_high", _F),
        ("train_s", _F),
        ("peak_memory_mb", _F),
        ("made_at", TEXT),
        ("contributor", TEXT),
    ],
)
"""One row per cell; AGS rows have a null level and metric "ags_<metric>".

`ci_*` are over seeds (see `interval`), `class_*` over test classes, `both_*` over seeds and classes. `train_s` and
`peak_memory_mb` are means over runs, `made_at` is when the latest of them started; `contributor` says who made the rows
of a merged leaderboard.
"""

COSTS = ("train_s", "peak_memory_mb", "made_at")
"""Columns of a leaderboard in which two sweeps of the same plan may differ."""

SCORES = schema_of(
    "scores",
    [
        ("dataset", TEXT),
        ("metric", TEXT),
        ("value", _F),
        ("low", _F),
        ("high", _F),
        ("higher_is_better", _B),
        ("num_queries", _I),
        ("num_lone", _I),
        ("num_classes", _I),
        ("distance", TEXT),
        ("gallery", TEXT),
        ("approximate", _B),
        ("sampled_error", _F),
        ("oodml_version", TEXT),
    ],
)
"""One row per metric of a set of embeddings."""


def table(schema: Any, columns: dict[str, Any]) -> Any:
    """A pyarrow table of the schema from columns (missing ones become null); an unknown column is an error."""
    unknown = set(columns) - set(schema.names)
    if unknown:
        raise ValueError(f"columns not in the schema: {sorted(unknown)}")
    rows = len(next(iter(columns.values())))
    data = [pa.array(columns.get(f.name, [None] * rows), type=f.type, from_pandas=True) for f in schema]
    return pa.Table.from_arrays(data, schema=schema)


def encoded(schema: Any, columns: Sequence[str]) -> Any:
    """The schema with some columns of text as dictionaries."""
    for name in columns:
        position = schema.get_field_index(name)
        schema = schema.set(position, pa.field(name, pa.dictionary(pa.int32(), TEXT)))
    return schema


def check(found: Any, expected: Any, path: str) -> None:
    """Raises ResultsError unless a file's schema is one that this version reads.

    Args:
        found: Schema read from the file.
        expected: RUN, PLAN, EPISODES or LEADERBOARD.
        path: Named in the message.
    """
    meta = found.metadata or {}
    kind, wanted = meta.get(b"oodml_kind", b"").decode(), expected.metadata[b"oodml_kind"].decode()
    version = int(meta.get(b"oodml_schema", b"0"))
    if kind != wanted:
        raise ResultsError(f"{path} is not an oodml {wanted} file (it says {kind or 'nothing'!r})")
    if version > VERSIONS[kind]:
        raise NewerFileError(
            f"{path} has schema version {version}, this oodml reads up to {VERSIONS[kind]}; upgrade oodml"
        )
    names = set(found.names)
    later = {name for name, since in ADDED.get(kind, {}).items() if since > version}
    missing = [name for name in expected.names if name not in names | later]
    if missing:
        raise ResultsError(f"{path} lacks the columns {', '.join(missing)}; was it edited?")
