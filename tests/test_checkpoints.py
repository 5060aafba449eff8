"""A killed run goes on where it was put away, with identical numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from method_case import OPTIONS, ROWS, OnStep, build, data, killed, scorer, undisturbed
from numpy.typing import NDArray

from oodml import registry
from oodml.checkpoints import Checkpoint
from oodml.model import embed
from oodml.training import train

STEPS, KILLED_AT = 14, 8
TRAINED = [name for name in registry.names("method") if registry.load("method", name).trains]


def run(
    name: str, checkpoint: Checkpoint | None = None, hook: OnStep = undisturbed, best: int | None = None
) -> tuple[NDArray[np.float32], list[int]]:
    """Embeddings after a run, and the steps that it took; `best` is the evaluation whose weights are kept."""
    network, source = build(name)
    steps: list[int] = []

    def on_step(step: int) -> None:
        steps.append(step)
        hook(step)

    def select() -> float:
        return float(step_of_best == len(steps) + 1)

    step_of_best = 0 if best is None else best
    train(
        network,
        source,
        ROWS,
        data()[1],
        replace(OPTIONS, steps=STEPS, evaluations=STEPS),
        "resumed",
        select=select if best is not None else None,
        score=scorer(network, source),
        checkpoint=checkpoint,
        on_step=on_step,
    )
    return embed(network, source, ROWS), steps


def put_away(name: str, path: Path, best: int | None = None) -> Checkpoint:
    return killed(lambda checkpoint, hook: run(name, checkpoint, hook, best), path, KILLED_AT)


@pytest.mark.parametrize("name", TRAINED)
def test_every_method_resumes_bit_for_bit(name: str, tmp_path: Path) -> None:
    whole, _ = run(name)
    resumed, steps = run(name, put_away(name, tmp_path / "run.pt"))
    assert steps == list(range(KILLED_AT + 1, STEPS + 1))
    assert np.array_equal(whole, resumed)


def test_the_best_weights_so_far_are_put_away_too(tmp_path: Path) -> None:
    early, _ = run("margin", best=5)
    resumed, steps = run("margin", put_away("margin", tmp_path / "run.pt", best=5), best=100)
    assert steps[0] > 5 and np.array_equal(early, resumed)
    assert not np.array_equal(early, run("margin")[0])


def test_a_file_that_is_cut_short_starts_the_run_again(tmp_path: Path) -> None:
    whole, _ = run("margin")
    checkpoint = put_away("margin", tmp_path / "run.pt")
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:-100])
    again, steps = run("margin", checkpoint)
    assert np.array_equal(whole, again) and steps[0] == 1


def test_a_file_of_another_version_starts_the_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = put_away("margin", tmp_path / "run.pt")
    monkeypatch.setattr("oodml.checkpoints.__version__", "another")
    assert run("margin", checkpoint)[1][0] == 1


def test_files_are_written_no_more_often_than_asked(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "run.pt", every_s=3600)
    run("margin", checkpoint)
    assert not checkpoint.path.exists()
    checkpoint.remove()  # nothing to remove is no error
