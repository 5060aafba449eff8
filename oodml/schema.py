"""Column names, types and version of every Parquet file that oodml writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from oodml.errors import NewerFileError, ResultsError

SCHEMA_VERSION = 1
STATUSES = ("done", "failed", "diverged", "timeout")
SELECTIONS = ("last", "val", "oracle")
FEW_SHOT = "few_shot"  # the setting of what was scored on the query images of an episode
UNADAPTED = "none"  # the adapter that changes nothing

_T, _I, _F, _B = pa.string(), pa.int64(), pa.float64(), pa.bool_()


def schema_of(kind: str, columns: Sequence[tuple[str, Any]]) -> Any:
    """The schema of a kind of file, with kind and version in its metadata."""
    return pa.schema(list(columns), metadata={"oodml_kind": kind, "oodml_schema": str(SCHEMA_VERSION)})


RUN = schema_of(
    "run",
    [
        ("schema_version", _I),
        ("run_id", _T),
        ("benchmark", _T),
        ("dataset", _T),
        ("ladder_hash", _T),
        ("level", _I),
        ("shift", _F),
        ("shift_scaled", _F),
        ("method", _T),
        ("backbone", _T),
        ("embedding_dim", _I),
        ("config", _T),
        ("seed", _I),
        ("selection", _T),
        ("setting", _T),
        ("shots", _I),
        ("adapter", _T),
        ("episode", _I),
        ("metric", _T),
        ("value", _F),
        ("num_queries", _I),
        ("num_lone", _I),
        ("num_classes", _I),
        ("status", _T),
        ("error", _T),
        ("train_s", _F),
        ("eval_s", _F),
        ("peak_memory_mb", _F),
        ("device", _T),
        ("oodml_version", _T),
        ("torch_version", _T),
        ("started_at", _T),
    ],
)
"""One number per row; unique by RUN_KEY. A failed run has one row with null metric and value."""

RUN_KEY = ("run_id", "selection", "setting", "shots", "adapter", "episode", "metric")

PLAN = schema_of(
    "plan",
    [
        ("schema_version", _I),
        ("run_id", _T),
        ("benchmark", _T),
        ("level", _I),
        ("method", _T),
        ("backbone", _T),
        ("embedding_dim", _I),
        ("config", _T),
        ("seed", _I),
        ("selection", _T),
        ("spec", _T),
    ],
)
"""One row per planned run; `spec` is the RunSpec as JSON."""

EPISODES = schema_of(
    "episodes",
    [
        ("level", _I),
        ("shots", _I),
        ("episode", _I),
        ("class", pa.dictionary(pa.int32(), _T)),
        ("image_id", pa.dictionary(pa.int32(), _T)),
    ],
)

LEADERBOARD = schema_of(
    "leaderboard",
    [
        ("schema_version", _I),
        ("benchmark", _T),
        ("dataset", _T),
        ("ladder_hash", _T),
        ("method", _T),
        ("backbone", _T),
        ("embedding_dim", _I),
        ("config", _T),
        ("level", _I),
        ("level_name", _T),
        ("shift", _F),
        ("shift_scaled", _F),
        ("setting", _T),
        ("shots", _I),
        ("adapter", _T),
        ("selection", _T),
        ("metric", _T),
        ("mean", _F),
        ("std", _F),
        ("n", _I),
        ("ci_low", _F),
        ("ci_high", _F),
        ("interval", _T),
        ("n_planned", _I),
        ("n_failed", _I),
        ("delta_first", _F),
        ("delta_reference", _F),
        ("rank", _I),
        ("rank_low", _I),
        ("rank_high", _I),
    ],
)
"""One row per cell; AGS rows have a null level and metric "ags_<metric>"."""

SCORES = schema_of(
    "scores",
    [
        ("dataset", _T),
        ("metric", _T),
        ("value", _F),
        ("low", _F),
        ("high", _F),
        ("higher_is_better", _B),
        ("num_queries", _I),
        ("num_lone", _I),
        ("num_classes", _I),
        ("distance", _T),
        ("gallery", _T),
        ("approximate", _B),
        ("sampled_error", _F),
        ("oodml_version", _T),
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
    if version > SCHEMA_VERSION:
        raise NewerFileError(
            f"{path} has schema version {version}, this oodml reads up to {SCHEMA_VERSION}; upgrade oodml"
        )
    missing = [name for name in expected.names if name not in found.names]
    if missing:
        raise ResultsError(f"{path} lacks the columns {', '.join(missing)}; was it edited?")
