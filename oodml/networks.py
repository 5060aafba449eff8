"""Networks as the user names them, and what of that decides their numbers; free of torch, for plans."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from oodml import registry
from oodml.errors import UsageError, WeightsError
from oodml.records import Options, Scalar


@dataclass(frozen=True)
class NetworkConfig:
    """A network as the user names it.

    Attributes:
        name: Full timm name such as "resnet50.tv_in1k", or a registered backbone such as "pixels".
        pretrained: Whether to start from published weights.
        weights: Local safetensors or pth file to load instead.
        args: Keywords of the model's constructor, e.g. (("pad_type", "same"),).
        mean: Channel means of the normalisation, in [0, 1], three or one for all; None takes the model's own.
        std: Channel standard deviations; None takes the model's own.
    """

    name: str
    pretrained: bool = True
    weights: Path | None = None
    args: Options = ()
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


def channel_values(values: tuple[float, ...], option: str) -> tuple[float, float, float]:
    """One value per colour channel from one or three given ones.

    Args:
        values: Means or standard deviations in [0, 1].
        option: "mean" or "std"; a standard deviation must be above 0.

    Raises:
        UsageError: If there are neither one nor three values, or one is out of range.
    """
    full = values * 3 if len(values) == 1 else values
    lowest = math.nextafter(0, 1) if option == "std" else 0.0
    if len(full) != 3 or not all(lowest <= value <= 1 for value in full):
        interval = "(0, 1]" if option == "std" else "[0, 1]"
        raise UsageError(f"--{option} takes one or three numbers in {interval}, got {values}")
    return float(full[0]), float(full[1]), float(full[2])


def file_digest(path: Path) -> str:
    """First 16 hex digits of the SHA-256 of a file; read once per process while the file stays the same.

    Raises:
        WeightsError: If the file is missing or unreadable.
    """
    try:
        status = path.stat()
        return _digest(path.resolve(), status.st_size, status.st_mtime_ns)
    except OSError as error:
        reason = error.strerror or error
        raise WeightsError(f"cannot read the weights file {path}: {reason}; check --weights") from error


@cache
def _digest(path: Path, size: int, modified_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _weights_identity(config: NetworkConfig) -> str:
    if config.name in registry.TABLES["backbone"]:
        return "none"  # our own registered ones have no weights
    if config.weights is not None:
        return f"sha256:{file_digest(config.weights)}"
    return f"pretrained:{config.name.partition('.')[2] or 'default'}" if config.pretrained else "none"


def identity(config: NetworkConfig) -> dict[str, Scalar]:
    """Everything of a network that decides its numbers: content of weights instead of paths, no defaults.

    Returns:
        `name` (with its tag), `weights` ("none", "pretrained:<tag>" or "sha256:<16 hex digits of the file>"),
        `args` (JSON), and `mean` and `std` (JSON) only where the user overrides the model's own.

    Raises:
        WeightsError: If the weights file cannot be read.
        UsageError: If mean or std are not usable.

    Example:
        >>> identity(NetworkConfig("resnet50.tv_in1k"))
        {'name': 'resnet50.tv_in1k', 'weights': 'pretrained:tv_in1k', 'args': '{}'}
    """
    found: dict[str, Scalar] = {
        "name": config.name,
        "weights": _weights_identity(config),
        "args": json.dumps(dict(config.args), sort_keys=True),
    }
    for option, values in (("mean", config.mean), ("std", config.std)):
        if values is not None:
            found[option] = json.dumps(channel_values(values, option))
    return found
