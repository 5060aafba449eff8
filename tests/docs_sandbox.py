"""Where the blocks of a page are run: a folder with small files of the names that the pages use, and Python names."""

from __future__ import annotations

import pickle
import runpy
import shlex
import shutil
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from docs_blocks import ROOT, Block
from official_splits import cars_splits, place_cars
from PIL import Image
from typer.testing import CliRunner

import oodml
from oodml.app import app

EXAMPLE = ROOT / "examples" / "oodml-example-method"
SMALL = ["--workers", "1", "--set", "train.batch_size=16"]  # what every sweep of a page gets


class Sandbox:
    """Runs blocks one after the other in a folder; files and Python names stay for the next block."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        patch.chdir(folder)
        patch.syspath_prepend(str(EXAMPLE))
        self.patch = patch
        self.names = python_names()
        write_samples(folder)

    def run(self, block: Block) -> None:
        """Runs a block; a command that ends with another code than 0 is a failure."""
        if block.kind == "file":
            path = Path(block.argument)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            exec(compile(block.edited(), block.name, "exec"), self.names)
        elif block.language == "sql":
            import duckdb

            found = duckdb.sql(block.edited())
            assert found is not None and found.fetchall(), f"{block.name} finds no rows"
        else:
            for words in block.commands(edited=True):
                self._command(block, words)

    def _command(self, block: Block, words: list[str]) -> None:
        program, *arguments = words
        if program == "oodml":
            extra = SMALL if arguments[0] == "sweep" else []
            result = CliRunner().invoke(app, [*arguments, *extra])
            assert result.exit_code == 0, f"{block.name}: {shlex.join(words)}\n{result.output}\n{result.exception!r}"
        elif program == "python" and arguments[0].endswith(".py"):
            self.patch.setattr(sys, "argv", arguments)
            runpy.run_path(arguments[0], run_name="__main__")
        elif program == "pytest":
            options = ["-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--import-mode=importlib"]
            assert pytest.main([*options, *arguments]) == 0, block.name
        else:
            raise AssertionError(f"{block.name}: {program} cannot be run here; mark the block as checked")


def write_samples(folder: Path) -> None:
    """photos.zip, files of vectors, published splits with their images, committed ladders and a leaderboard."""
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        for number in range(12):
            colour = rng.integers(40, 215, size=3)
            for image in range(12):
                pixels = (colour + rng.normal(0, 25, size=(16, 16, 3))).clip(0, 255).astype(np.uint8)
                data = BytesIO()
                Image.fromarray(pixels).save(data, "PNG")
                archive.writestr(f"class{number:02d}/{image}.png", data.getvalue())
    for name in ("features", "new", "old", "queries", "gallery"):
        vectors, labels = sample_vectors(rng)
        np.savez(folder / f"{name}.npz", embeddings=vectors, labels=labels)
    (folder / "cars196.pkl").write_bytes(pickle.dumps(cars_splits()))
    place_cars(folder / "data")
    for ladder in ("glyphs", "glyphs-matched"):
        shutil.copytree(ROOT / "splits" / ladder, folder / "splits" / ladder)
    for board in ("glyphs", "grocery"):
        target = folder / "results" / board
        target.mkdir(parents=True)
        shutil.copy(ROOT / "results" / board / "leaderboard.parquet", target)


def sample_vectors(rng: np.random.Generator) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    labels = np.repeat(np.arange(24), 12)
    centres = np.linspace(0, 4, 24)[:, None] * rng.normal(size=(1, 8)) + rng.normal(size=(24, 8))
    return (centres[labels] + rng.normal(size=(len(labels), 8))).astype(np.float32), labels


def python_names() -> dict[str, Any]:
    """What Python blocks may use without making it."""
    rng = np.random.default_rng(1)
    x, labels = sample_vectors(rng)
    y = x + rng.normal(size=x.shape).astype(np.float32)
    means = np.stack([x[labels == label].mean(0) for label in range(24)]).astype(np.float64)
    return {
        "oodml": oodml,
        "x": x,
        "y": y,
        "embeddings": x,
        "labels": labels,
        "class_means": means,
        "class_names": [f"class {label}" for label in range(24)],
        "chunks_of_train_images": [x[:50], x[50:100]],
        "more_train_images": [x[100:150]],
        "chunks_of_test_images": [x[150:]],
    }
