"""Where tensors live."""

from __future__ import annotations

import os

from oodml.errors import UsageError


def pick_device(name: str) -> str:
    """The device that "auto" stands for here, or the named one if it is there.

    Raises:
        UsageError: If it is not.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.partition(":")[0] not in ("cpu", "cuda"):
        raise UsageError(f"device {name!r} should be auto, cpu or cuda")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError("device cuda: torch finds no GPU on this machine; use cpu")
    return name


def default_workers(device: str) -> int:
    """One worker per core on the CPU, one in all on a GPU."""
    return (os.cpu_count() or 1) if device == "cpu" else 1
