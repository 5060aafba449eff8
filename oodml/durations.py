"""How long runs take, from those that are finished. Free of torch."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Iterator
from functools import cache
from typing import Any

import pandas as pd

from oodml.schema import FEW_SHOT

RECENT = 50  # runs that say how many work at a time
Kind = tuple[Hashable, ...]


def kind_of(method: str, backbone: str, config: str) -> Kind:
    """What runs have in common that take about as long: method, network and training, not the method's numbers.

    Args:
        method: Name of the method.
        backbone: Name of the backbone.
        config: `RunSpec.config_json`.
    """
    return method, backbone, _about_training(config)


@cache
def _about_training(config: str) -> str:
    parts = json.loads(config)
    return json.dumps([parts.get("backbone"), parts.get("training")], sort_keys=True)


def trained(heads: pd.DataFrame) -> pd.DataFrame:
    """Finished runs with known seconds, without adaptations.

    Args:
        heads: From `read_heads`.
    """
    plain = ~heads["setting"].eq(FEW_SHOT).fillna(False)
    return heads[plain & (heads["status"] == "done") & heads["seconds"].notna()]


def seconds_by_kind(heads: pd.DataFrame, device: str | None = None) -> dict[Kind, tuple[float, int]]:
    """Mean seconds of the finished runs of every kind, and their number.

    Args:
        heads: From `read_heads`.
        device: Only runs of such a device, "cpu" or "cuda"; None takes all.
    """
    done = trained(heads)
    if device is not None:
        done = done[done["device"].str.split(":").str[0] == device.partition(":")[0]]
    kinds = pd.Series(list(map(kind_of, done["method"], done["backbone"], done["config"])), done.index, dtype=object)
    return {kind: (float(own.mean()), len(own)) for kind, own in done["seconds"].groupby(kinds)}


def adapted_seconds(heads: pd.DataFrame) -> dict[Kind, tuple[float, int]]:
    """Mean seconds of a run's finished adaptations by method, adapter and shots, and their number."""
    done = heads[heads["setting"].eq(FEW_SHOT).fillna(False) & (heads["status"] == "done")]
    done = done[done["seconds"].notna()]
    groups: Any = done.groupby(["method", "adapter", "shots"])["seconds"]
    return {(method, adapter, int(k)): (float(own.mean()), len(own)) for (method, adapter, k), own in groups}


def at_a_time(heads: pd.DataFrame) -> float:
    """How many runs the latest finished ones had beside them, themselves counted: their seconds per second gone by.

    Pauses of the sweep do not count. Below 1 where runs are so short that starting them takes longer.
    """
    done = trained(heads)
    starts = pd.to_datetime(done["started_at"], utc=True, errors="coerce").rename("start")
    recent = pd.concat([starts, done["seconds"]], axis=1).dropna().sort_values("start").tail(RECENT)
    if not len(recent):
        return 1.0
    begins = (recent["start"] - recent["start"].iloc[0]).dt.total_seconds().to_numpy()
    ends = begins + recent["seconds"].to_numpy() + 1.0  # starts are known to the second
    busy = sum(end - begin for begin, end in _union(zip(begins, ends, strict=True)))
    return float(recent["seconds"].sum() / busy) or 1.0


def _union(spans: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Spans sorted by their begin, those that overlap joined."""
    current: tuple[float, float] | None = None
    for begin, end in spans:
        if current and begin <= current[1]:
            current = current[0], max(current[1], end)
        else:
            if current:
                yield current
            current = begin, end
    if current:
        yield current
