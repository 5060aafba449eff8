"""Several threads: the same numbers, the same errors, and nothing left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from oodml.errors import DatasetError
from oodml.evaluation import evaluate_embeddings
from oodml.ranking import rowwise, search
from oodml.ranking.workers import Buffers, run_side_by_side

METRICS = ["recall_at_1", "map", "map_at_r", "uniformity", "opis", "fnmr_at_fmr_1e-2"]


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def data(n: int = 150) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 12, n)
    return rng.normal(size=(n, 9)) + labels[:, None] % 4, labels


@pytest.mark.parametrize("way", ["tiles", "copies", "gallery"])
def test_values_do_not_depend_on_the_number_of_threads(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MAX_TILE", {"cpu": 13})
    monkeypatch.setattr(rowwise, "WIDTH", 17)
    monkeypatch.setattr(rowwise, "LEAST_WIDTH", 1)
    rows, labels = data()
    if way == "copies":
        rows[7] = rows[70]
    options: dict[str, Any] = {"gallery": rows[:99], "gallery_labels": labels[:99]} if way == "gallery" else {}
    found = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        found.append(evaluate_embeddings(rows, labels, metrics=METRICS, **options))
        assert torch.get_num_threads() == threads
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("oodml-tiles")]
    assert found[0] == found[1] == found[2]


def test_items_run_side_by_side_with_one_core_each() -> None:
    torch.set_num_threads(3)
    together = threading.Barrier(3, timeout=30)  # broken unless three run at once
    cores = []

    def work(item: int) -> None:
        together.wait()
        cores.append(torch.get_num_threads())

    assert list(run_side_by_side(work, range(6), "cpu")) == [None] * 6
    assert cores == [1] * 6


def test_one_thread_works_where_it_is() -> None:
    torch.set_num_threads(1)
    seen: list[str] = []
    list(run_side_by_side(lambda _: seen.append(threading.current_thread().name), range(3), "cpu"))
    assert seen == [threading.current_thread().name] * 3


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_in_a_thread_is_raised_and_the_rest_is_left(threads: int) -> None:
    torch.set_num_threads(threads)
    done = []

    def work(item: int) -> None:
        if item == 2:
            raise DatasetError("item 2")
        time.sleep(0.01)
        done.append(item)

    with pytest.raises(DatasetError, match="item 2"):
        list(run_side_by_side(work, range(500), "cpu"))
    assert len(done) < 100
    assert torch.get_num_threads() == threads


def test_buffers_are_each_threads_own() -> None:
    buffers = Buffers(12, "cpu")
    assert buffers.get("a", 3, 4).shape == (3, 4) and buffers.get("a", 2, 5).shape == (2, 5)
    assert buffers.get("a", 12).data_ptr() == buffers.get("a", 2, 3).data_ptr() != buffers.get("b", 12).data_ptr()
    elsewhere: list[int] = []
    thread = threading.Thread(target=lambda: elsewhere.append(buffers.get("a", 12).data_ptr()))
    thread.start()
    thread.join()
    assert elsewhere != [buffers.get("a", 12).data_ptr()]
