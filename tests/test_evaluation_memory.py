"""Little memory changes no value, and nothing of the size of all pairs is ever held."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from oodml.evaluation import evaluate_embeddings
from oodml.metrics import metric_names
from oodml.ranking import rowwise

N, D, CLASSES = 1500, 8, 40
SQUARE = 4 * N * N  # bytes of all similarities
NAMES = [*metric_names("default", CLASSES), "fnmr_at_fmr_1e-2"]
Result = dict[str, float]


class Largest(TorchDispatchMode):
    """Bytes of the largest storage among the results of all operations of torch."""

    size = 0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for tensor in found if isinstance(found, (tuple, list)) else [found]:
            if isinstance(tensor, torch.Tensor):
                self.size = max(self.size, tensor.untyped_storage().nbytes())
        return found


def held(run: Callable[[], Result]) -> tuple[Result, int, int]:
    """The result, the largest tensor, and the peak of what NumPy and Python held, in bytes."""
    tracemalloc.start()
    try:
        with Largest() as largest:
            found = run()
        return found, largest.size, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def case(kind: str) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, N)
    rows = (rng.normal(size=(CLASSES, D))[labels] + rng.normal(size=(N, D))).astype(np.float32)
    if kind == "bits":
        rows = np.sign(rows)
    if kind == "one large class":
        labels[: N // 3] = 0
    return rows, labels


@pytest.fixture(autouse=True, scope="module")
def imported() -> None:
    """What is imported at first use is held for good, and is none of the engine's."""
    rows, labels = case("plain")
    with Largest():  # and not while memory is traced, which takes long
        evaluate_embeddings(rows[:200], labels[:200], metrics=NAMES)


@pytest.mark.parametrize("kind", ["plain", "bits", "one large class"])
def test_little_memory_changes_no_value_and_holds_no_square(kind: str) -> None:
    rows, labels = case(kind)
    plenty = evaluate_embeddings(rows, labels, metrics=NAMES)
    found, tensor, arrays = held(lambda: evaluate_embeddings(rows, labels, metrics=NAMES, memory_gib=0.001))
    # other tiles round other last digits: of rows whose similarities differ by these the order may change
    assert found == pytest.approx(plenty, abs=1e-7, nan_ok=True)
    assert tensor < SQUARE / 4
    assert arrays < SQUARE / 3


@pytest.mark.parametrize("distance", ["cosine", "euclidean", lambda x, y: x @ y.t()])
def test_a_gallery_takes_no_more(distance: Any) -> None:
    rows, labels = case("plain")
    options: dict[str, Any] = {"gallery": rows[::-1], "gallery_labels": labels[::-1], "distance": distance}
    names = ["recall_at_1", "map"]
    plenty = evaluate_embeddings(rows, labels, metrics=names, **options)
    found, tensor, arrays = held(lambda: evaluate_embeddings(rows, labels, metrics=names, memory_gib=0.001, **options))
    assert found == pytest.approx(plenty, abs=1e-6)  # near ties, as above
    assert tensor < SQUARE / 4
    assert arrays < SQUARE / 3


def test_the_spy_sees_a_square() -> None:
    rows = torch.ones(N, 2)
    _, tensor, arrays = held(lambda: {"sum": float((rows @ rows.t()).sum()) + float(np.ones((N, N)).sum())})
    assert tensor == SQUARE
    assert arrays > SQUARE


def test_rows_mapped_from_a_file_are_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rowwise, "WIDTH", 256)
    rng = np.random.default_rng(1)
    wide = rng.normal(size=(2 * N, 400)).astype(np.float32)
    np.save(tmp_path / "rows.npy", wide)
    labels = rng.integers(0, CLASSES, 2 * N)
    names = ["recall_at_1", "map_at_r", "intra"]
    expected = evaluate_embeddings(wide, labels, metrics=names)
    size = wide.nbytes
    del wide
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    found, tensor, _ = held(lambda: evaluate_embeddings(mapped, labels, metrics=names, memory_gib=0.002))
    assert found == pytest.approx(expected, abs=1e-7)
    assert tensor < size / 2
