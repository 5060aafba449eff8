"""Small files of embeddings, and `oodml evaluate` run on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from oodml.app import app

CLASSES = np.append(np.repeat(np.arange(12), 5), [12, 13])  # two lone rows
NAMES = [f"class {number:02d}" for number in range(14)]
LABELS = np.array(NAMES)[CLASSES]
IDS = [f"img{row:02d}" for row in range(len(CLASSES))]


def call(*arguments: object) -> Result:
    threads = torch.get_num_threads()
    try:
        return CliRunner().invoke(app, [str(part) for part in ("evaluate", *arguments)], env={"COLUMNS": "80"})
    finally:
        torch.set_num_threads(threads)


def succeeds(*arguments: object) -> str:
    """What a call printed on standard output."""
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def fails(message: str, *arguments: object) -> None:
    """A call that ends with a message, no traceback and no result."""
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output and not result.stdout
    flat = " ".join(result.output.split())
    assert message in flat, flat


def scored(*arguments: object) -> dict[str, Any]:
    """The JSON of a call."""
    found: dict[str, Any] = json.loads(succeeds(*arguments, "--json", "-"))
    return found


def points(noise: float, seed: int = 0) -> NDArray[np.float32]:
    """Vectors of LABELS around the same centres; without noise every class is a point."""
    centres = np.random.default_rng(3).normal(size=(14, 12))
    moved = centres[CLASSES] + noise * np.random.default_rng(seed).normal(size=(len(CLASSES), 12))
    single: NDArray[np.float32] = moved.astype(np.float32)
    return single


def write(path: Path, vectors: NDArray[Any], rows: NDArray[Any] | None = None, **arrays: Any) -> Path:
    """Vectors with LABELS and IDS, in the order of some rows; arrays replace these, None leaves one out."""
    order = np.arange(len(vectors)) if rows is None else rows
    known: dict[str, Any] = {"labels": CLASSES[order], "class_names": np.array(NAMES), "ids": np.array(IDS)[order]}
    known |= {"embeddings": vectors[order]} | arrays
    np.savez(path, allow_pickle=False, **{name: array for name, array in known.items() if array is not None})
    return path


def first_file(folder: Path) -> Path:
    """A file of the images."""
    return write(folder / "a.npz", points(0.9))


def second_file(folder: Path) -> Path:
    """The same images, embedded with less noise and stored in another order."""
    order = np.random.default_rng(1).permutation(len(CLASSES))
    return write(folder / "b.npz", points(0.6, seed=1), order)
