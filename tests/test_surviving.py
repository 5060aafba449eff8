"""Sweeps go on after runs without memory, runs that hang, checkpoints that cannot be used, and clocks that lie."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from method_case import killed
from test_checkpoints import run as train_run
from torch import Tensor

import oodml
from oodml import registry
from oodml.checkpoints import Checkpoint
from oodml.datasets import load_dataset
from oodml.make_splits import ladder_from_dataset
from oodml.methods.base import Batch
from oodml.methods.cards import CARDS, MethodInfo
from oodml.methods.triplet import Triplet
from oodml.records import Ladder
from oodml.sweep import SweepResult

STEPS = 6


class Wilful(Triplet):
    """A method that does something else at its fourth step, and counts the steps."""

    deed: Callable[[], None] = staticmethod(lambda: None)
    steps = 0

    def loss(self, outputs: Any, batch: Batch) -> Tensor:
        type(self).steps += 1
        if batch.step == 3:
            type(self).deed()
        return super().loss(outputs, batch)


@pytest.fixture
def wilful(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Wilful]]:
    own = type("Own", (Wilful,), {})
    monkeypatch.setattr(
        "oodml.methods.triplet.wilful", lambda context, options: own(context, {"margin": 0.2}), raising=False
    )
    monkeypatch.setitem(
        CARDS, "wilful", MethodInfo("wilful", "oodml.methods.triplet:wilful", "Fails.", "-", "triplets")
    )
    registry.targets.cache_clear()
    yield own
    registry.targets.cache_clear()


@pytest.fixture(scope="module")
def ladder(vectors_file: Path) -> Ladder:
    spec = f"embeddings:{vectors_file}"
    return ladder_from_dataset(load_dataset(spec), spec, levels=2, episodes=1, null_draws=5)


def sweep(ladder: Ladder, out: Path, **options: Any) -> SweepResult:
    train = {"steps": STEPS, "batch_size": 16, "per_class": 4, "embedding_dim": 6}
    given = {"methods": ["wilful"], "seeds": [0], "workers": 1, "settings": {"train": train}, **options}
    return oodml.run_sweep(ladder, out=out, **given)


def scores(out: Path) -> pd.DataFrame:
    frame = oodml.read_runs(out).sort_values(["run_id", "metric"])
    return frame[["run_id", "metric", "value", "status"]].reset_index(drop=True)


def raiser(error: BaseException) -> staticmethod[[], None]:
    def deed() -> None:
        raise error

    return staticmethod(deed)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "out of memory (MemoryError); use a smaller train.batch_size (--set), or fewer --workers"),
        (
            torch.OutOfMemoryError("Tried to allocate 2 GiB.\nMore"),
            "out of memory (OutOfMemoryError: Tried to allocate",
        ),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory"),
            "out of memory (RuntimeError: DefaultCPUAllocator",
        ),
    ],
)
def test_a_run_without_memory_says_what_to_do_and_the_next_ones_go_on(
    ladder: Ladder, tmp_path: Path, wilful: type[Wilful], error: Exception, reason: str
) -> None:
    wilful.deed = raiser(error)
    result = sweep(ladder, tmp_path, methods=["wilful", "margin"])
    assert result.outcomes == {"failed": 2, "done": 2}
    failed = oodml.read_runs(tmp_path).query("status == 'failed'")
    assert len(failed) == 2 and all(text.startswith(reason) for text in failed["error"])
    for (_, text), run_id in zip(result.failures, failed["run_id"].sort_values(), strict=True):
        assert text.startswith(reason) and "; see logs/" in text
        log = (tmp_path / "logs" / f"{run_id}.log").read_text()
        assert "Traceback" in log and "in deed" in log and "\n" not in text
    assert len(list((tmp_path / "logs").iterdir())) == 2
    wilful.deed = staticmethod(lambda: None)
    assert sweep(ladder, tmp_path, methods=["wilful", "margin"], retry_failed=True).outcomes == {"done": 2}


def test_a_run_that_takes_too_long_is_not_tried_again(ladder: Ladder, tmp_path: Path) -> None:
    long = {"train": {"steps": 10**7, "batch_size": 16, "per_class": 4, "embedding_dim": 6}}
    first = sweep(ladder, tmp_path, methods=["margin"], levels=[0], settings=long, timeout=1.0)
    assert first.outcomes == {"timeout": 1}
    [(name, error)] = first.failures
    assert name.endswith(": timeout") and error.startswith("took longer than --timeout 1 s; see logs/")
    log = (tmp_path / error.partition("; see ")[2]).read_text()
    assert "oodml/training.py" in log, "it shows where the run was"
    assert not sweep(ladder, tmp_path, methods=["margin"], levels=[0], settings=long, timeout=1.0).outcomes


def test_what_killed_sweeps_left_half_written_is_removed_later(ladder: Ladder, tmp_path: Path) -> None:
    sweep(ladder, tmp_path, methods=["margin"])
    kept = tmp_path / "runs" / ".young.parquet.1.oodml-tmp"
    old = [tmp_path / folder / ".old.2.oodml-tmp" for folder in ("runs", "checkpoints")]
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    for path in (kept, *old):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    for path in (*old, tmp_path / "plan.parquet"):
        os.utime(path, (0, 0))
    sweep(ladder, tmp_path, methods=["margin"])
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {*before, kept}


def interrupted(ladder: Ladder, out: Path, wilful: type[Wilful]) -> Path:
    """A sweep that stops before the fourth step of its second run; returns the checkpoint that it leaves."""
    calls: list[int] = []

    def second_time() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    wilful.deed = staticmethod(second_time)
    with pytest.raises(KeyboardInterrupt):
        sweep(ladder, out, checkpoint_every=1e-9)
    wilful.deed, wilful.steps = staticmethod(lambda: None), 0
    [left] = (out / "checkpoints").iterdir()
    return left


@pytest.mark.parametrize("years", [-30, 30])
def test_resuming_does_not_ask_the_clock(ladder: Ladder, tmp_path: Path, wilful: type[Wilful], years: int) -> None:
    sweep(ladder, tmp_path / "calm")
    interrupted(ladder, tmp_path / "moved", wilful)
    moment = time.time() + years * 365 * 86_400
    for path in (tmp_path / "moved").rglob("*"):
        os.utime(path, (moment, moment))
    result = sweep(ladder, tmp_path / "moved", checkpoint_every=1e-9)
    assert (result.already, result.outcomes) == (1, {"done": 1})
    assert wilful.steps == STEPS - 3, "the second run goes on from its checkpoint"
    pd.testing.assert_frame_equal(scores(tmp_path / "moved"), scores(tmp_path / "calm"), check_exact=True)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def foreign(path: Path) -> None:
    torch.save([1, 2, 3], path)


def other_parts(path: Path) -> None:
    states = torch.load(path, weights_only=True)
    torch.save({"version": states["version"], "network": states["network"]}, path)


def other_shapes(path: Path) -> None:
    """What comes first is right but another run's; what comes later does not fit."""
    states = torch.load(path, weights_only=True)
    states["network"] = {
        key: value + 1 if isinstance(value, Tensor) and value.is_floating_point() else value
        for key, value in states["network"].items()
    }
    states["clock"] = {"step": 5}
    torch.save(states, path)


@pytest.mark.parametrize("spoil", [cut_short, foreign, other_parts, other_shapes])
def test_a_checkpoint_that_cannot_be_used_starts_the_run_anew_and_the_log_says_so(
    ladder: Ladder, tmp_path: Path, wilful: type[Wilful], spoil: Callable[[Path], None]
) -> None:
    sweep(ladder, tmp_path / "calm")
    left = interrupted(ladder, tmp_path / "spoilt", wilful)
    spoil(left)
    assert sweep(ladder, tmp_path / "spoilt", checkpoint_every=1e-9).outcomes == {"done": 1}
    assert wilful.steps == STEPS
    log = (tmp_path / "spoilt" / "logs" / f"{left.stem}.log").read_text()
    assert f"checkpoint {left} cannot be used, the run starts anew: " in log
    pd.testing.assert_frame_equal(scores(tmp_path / "spoilt"), scores(tmp_path / "calm"), check_exact=True)


def test_what_was_loaded_of_an_unusable_checkpoint_is_forgotten_by_methods_with_state(tmp_path: Path) -> None:
    whole, _ = train_run("mic")
    checkpoint = killed(lambda found, hook: train_run("mic", found, hook), tmp_path / "run.pt", 8)
    other_shapes(checkpoint.path)
    again, steps = train_run("mic", Checkpoint(checkpoint.path))
    assert steps[0] == 1 and np.array_equal(whole, again)
