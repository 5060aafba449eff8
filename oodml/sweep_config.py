"""From flags and a TOML file to SweepOptions: flags win over the file, the file over the preset."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from oodml import registry
from oodml.errors import UnknownNameError, UsageError
from oodml.few_shot import parse_shots
from oodml.options import parse_names, parse_settings, read_config
from oodml.plan import DEFAULT_METHODS, parse_levels, parse_seeds
from oodml.prepared_sweep import SweepOptions
from oodml.records import Ladder, Scalar

TRAIN_FLAGS = ("embedding_dim", "image_size", "steps")
KEYS = (
    *(
        "methods",
        "seeds",
        "levels",
        "preset",
        "backbone",
        "pretrained",
        "weights",
        "backbone_args",
        "mean",
        "std",
    ),
    *(
        "selection",
        "metrics",
        "device",
        "workers",
        "threads",
        "timeout",
        "share",
        "checkpoint_every",
        "keep_models",
        "shots",
        "adapters",
        "views",
        "small_classes",
        "retry_failed",
        "executor",
        "ray_address",
        "gpus_per_run",
        "memory_per_run",
        "trackers",
        *TRAIN_FLAGS,
    ),
)

_UNITS = {"": 1, "B": 1, **{f"{letter}B": 1000**power for power, letter in enumerate("KMGT", 1)}}
_UNITS |= {f"{letter}IB": 1024**power for power, letter in enumerate("KMGT", 1)}
"""Bytes of a unit of memory, in capital letters."""


def sweep_options(ladder: Ladder, flags: Mapping[str, Any], set_pairs: list[str], config: Path | None) -> SweepOptions:
    """Merges command line and config file.

    Args:
        ladder: For the names of its levels.
        flags: Values by key of KEYS; None means not given.
        set_pairs: `--set` arguments such as "margin.beta=0.6".
        config: TOML file: the same keys at the top, a table per method, and a table `train`.

    Raises:
        UnknownNameError: If the file has an unknown key.
        UsageError: If a value cannot be used.
    """
    merged, settings = _read(config) if config else ({}, {})
    merged |= {key: value for key, value in flags.items() if value is not None}
    for scope, values in parse_settings(set_pairs).items():
        settings[scope] = {**settings.get(scope, {}), **values}
    train = {key: merged.pop(key) for key in TRAIN_FLAGS if key in merged}
    if train:
        settings["train"] = {**settings.get("train", {}), **train}
    methods = _as_list(merged.pop("methods", list(DEFAULT_METHODS)), "method")
    merged["metrics"] = tuple(_as_list(merged.pop("metrics", ["default"]), "metric"))
    if "shots" in merged:
        merged["shots"] = parse_shots(_as_text(merged["shots"]))
    if "adapters" in merged:
        merged["adapters"] = tuple(_as_list(merged["adapters"], "adapter"))
    if "views" in merged:
        merged["views"] = _as_text(merged["views"])
    if "trackers" in merged:
        merged["trackers"] = tracker_names(merged["trackers"])
    if "memory_per_run" in merged:
        merged["memory_per_run"] = parse_memory(merged["memory_per_run"])
    levels = merged.pop("levels", None)
    weights = merged.pop("weights", None)
    return SweepOptions(
        methods=methods,
        seeds=parse_seeds(_as_text(merged.pop("seeds", 3))),
        levels=None if levels is None else parse_levels(_as_text(levels), ladder),
        weights=None if weights is None else Path(weights),
        settings=settings,
        **merged,
    )


def tracker_names(value: str | Sequence[str]) -> tuple[str, ...]:
    """`"wandb,mlflow"`, or a list of such texts, as names, each once."""
    texts = [value] if isinstance(value, str) else value
    return tuple(dict.fromkeys(name for text in texts for name in parse_names(text)))


def parse_memory(value: int | str) -> int:
    """`"8GiB"`, `"500 MB"` or a number of bytes, as bytes.

    Raises:
        UsageError: If it is no amount of memory above 0.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Z]*)", str(value).strip().upper())
    size = int(float(found[1]) * _UNITS[found[2]]) if found and found[2] in _UNITS else 0
    if size < 1:
        raise UsageError(f"--memory-per-run {value!r} should be an amount such as 8GiB, 500MB, or a number of bytes")
    return size


def _read(path: Path) -> tuple[dict[str, Any], dict[str, dict[str, Scalar]]]:
    top: dict[str, Any] = {}
    scopes: dict[str, dict[str, Scalar]] = {}
    known = {*KEYS, "train", *registry.names("method")}
    for key, value in read_config(path).items():
        if key not in known:
            raise UnknownNameError(f"key in {path}", key, known)
        if key in KEYS:
            top[key] = value
        elif isinstance(value, dict):
            scopes[key] = value
        else:
            raise UsageError(f"{path}: {key} should be a table, written as [{key}]")
    return top, scopes


def _as_list(value: object, kind: str) -> list[str]:
    names = parse_names(value) if isinstance(value, str) else [str(item) for item in _sequence(value)]
    if not names:
        raise UsageError(f"--{kind}s names no {kind}; `oodml {kind}s` lists them")
    return names


def _as_text(value: object) -> str:
    if isinstance(value, list):
        return ",".join(str(item) for item in value) + ("," if len(value) == 1 else "")
    return str(value)


def _sequence(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
