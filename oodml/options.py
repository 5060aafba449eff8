"""Options as users write them: `--set margin.beta=0.6`, `--backbone-args pad_type=same`, a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from oodml.errors import UsageError
from oodml.records import Scalar


def parse_scalar(text: str) -> Scalar:
    """The value that a text stands for: none, true, false, an integer, a float, or the text itself."""
    lowered = text.strip().lower()
    if lowered in ("none", "true", "false"):
        return {"none": None, "true": True, "false": False}[lowered]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def scalar_text(value: Scalar) -> str:
    """A value as it is written on the command line, the inverse of `parse_scalar`."""
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def parse_names(text: str) -> list[str]:
    """`"a, b"` as ["a", "b"]."""
    return [part.strip() for part in text.split(",") if part.strip()]


def parse_pairs(pairs: Sequence[str], flag: str) -> dict[str, Scalar]:
    """`["pad_type=same"]` as {"pad_type": "same"}.

    Raises:
        UsageError: If a pair has no "=" or no name; `flag` is named.
    """
    values: dict[str, Scalar] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"{flag} {pair!r} should be written as NAME=VALUE")
        values[name.strip()] = parse_scalar(text)
    return values


def parse_settings(pairs: Sequence[str]) -> dict[str, dict[str, Scalar]]:
    """`["margin.beta=0.6", "train.steps=100"]` as {"margin": {"beta": 0.6}, "train": {"steps": 100}}."""
    scopes: dict[str, dict[str, Scalar]] = {}
    for name, value in parse_pairs(pairs, "--set").items():
        scope, dot, option = name.partition(".")
        if not dot or not scope or not option:
            raise UsageError(f"--set {name!r} should be written as METHOD.OPTION=VALUE or train.OPTION=VALUE")
        scopes.setdefault(scope, {})[option] = value
    return scopes


def coerce(name: str, value: Scalar, default: Scalar) -> Scalar:
    """A value in the type of an option's default; integers pass as floats, nothing else is bent.

    Raises:
        UsageError: If the type does not fit; the option and what it takes are named.
    """
    if default is None or value is None:
        return value
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(default, str) and not isinstance(value, str):
        return str(value)
    if type(value) is not type(default):
        raise UsageError(f"option {name} takes {_describe(default)} such as {default}, got {value!r}")
    return value


def _describe(value: Scalar) -> str:
    names = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}
    return names[type(value)]


def coerce_all(scope: str, values: Mapping[str, Scalar], defaults: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Every value in the type of its default; a name without default is left for the caller to refuse."""
    return {k: coerce(f"{scope}.{k}", v, defaults[k]) if k in defaults else v for k, v in values.items()}


def read_config(path: Path) -> dict[str, Any]:
    """A TOML file as a dictionary.

    Raises:
        UsageError: If it is missing or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the config file {path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"config file {path} is not valid TOML: {error}") from error
