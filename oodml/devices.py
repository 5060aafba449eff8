"""Where tensors live."""

from __future__ import annotations

import os

from oodml.errors import UsageError


def pick_device(name: str, elsewhere: bool = False) -> str:
    """The device that "auto" stands for here, or the named one if it is there.

    Args:
        name: "auto", "cpu", "cuda", or one GPU such as "cuda:1".
        elsewhere: Whether the work is done on other machines, so that this one need not have a GPU.

    Raises:
        UsageError: If it is not.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda") and not name.startswith("cuda:"):
        raise UsageError(f"device {name!r} should be auto, cpu or cuda")
    if elsewhere:
        return name
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError("device cuda: torch finds no GPU on this machine; use cpu")
    number = name.partition(":")[2]
    if number and not (number.isdecimal() and int(number) < torch.cuda.device_count()):
        raise UsageError(f"device {name}: there is no such GPU, torch finds {torch.cuda.device_count()} (from cuda:0)")
    return name


def slot_devices(device: str, workers: int | None, threads: int = 1) -> list[str]:
    """The device of every process that works at a time.

    Args:
        device: "cpu", "cuda" for all GPUs in turn, or one of them, such as "cuda:1".
        workers: Number of processes; None takes one per GPU, or as many as cores serve with `threads` each.
        threads: CPU threads of a process.
    """
    if device != "cuda":
        return [device] * (workers or (max(1, (os.cpu_count() or 1) // threads) if device == "cpu" else 1))
    import torch

    gpus = max(1, torch.cuda.device_count())
    return [f"cuda:{number % gpus}" if gpus > 1 else device for number in range(workers or gpus)]
