"""Trackers: what they are given, and that a sweep does not depend on them."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from sweep_files import spec, write_adapted, write_done, write_failed
from typer.testing import CliRunner

import oodml
from oodml.adaptation import Unit
from oodml.adapter_specs import adapter_spec
from oodml.app import app
from oodml.datasets import load_dataset
from oodml.errors import MissingPackageError, UnknownNameError, UsageError
from oodml.executors.jobs import AdaptJob, Outcome, TrainJob
from oodml.few_shot import unit_path
from oodml.make_splits import ladder_from_dataset
from oodml.records import Ladder
from oodml.trackers import TRACKERS, check_trackers
from oodml.trackers.base import TrackedRun, Tracker
from oodml.trackers.tracking import Tracking

TRAIN = {"steps": 3, "batch_size": 16, "per_class": 4, "embedding_dim": 6}


class Kept(Tracker):
    """Keeps what it is given; fails where a test asks for it."""

    runs: list[TrackedRun]
    fails_at: str
    closed: int

    def __init__(self, sweep: Path) -> None:
        if self.fails_at == "start":
            raise ConnectionError("no network")

    def log(self, run: TrackedRun) -> None:
        if self.fails_at == run.name:
            raise ValueError("refused")
        type(self).runs.append(run)

    def close(self) -> None:
        type(self).closed += 1


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> type[Kept]:
    """A tracker called "kept"."""
    fresh = type("Fresh", (Kept,), {"runs": [], "fails_at": "", "closed": 0})
    monkeypatch.setitem(TRACKERS, "kept", ("tests.kept:Tracker", "json"))
    monkeypatch.setitem(sys.modules, "tests.kept", SimpleNamespace(Tracker=fresh))
    return fresh


@pytest.fixture(scope="module")
def ladder(vectors_file: Path) -> Ladder:
    spec = f"embeddings:{vectors_file}"
    return ladder_from_dataset(load_dataset(spec), spec, levels=2, episodes=2, null_draws=5)


def sweep(ladder: Ladder, out: Path, **options: Any) -> None:
    chosen = {"methods": ["frozen", "margin"], "seeds": [0], "workers": 1, **options}
    assert not oodml.run_sweep(ladder, out=out, settings={"train": TRAIN}, **chosen).failures


def test_trackers_get_the_scores_of_the_run_files(ladder: Ladder, tmp_path: Path, kept: type[Kept]) -> None:
    sweep(ladder, tmp_path, trackers=["kept"], shots=[2])
    names = [f"{method}/level_{level}/seed_0" for method in ("frozen", "margin") for level in (0, 1)]
    names += [f"{name}/{adapter}/2_shots" for name in names for adapter in ("linear", "none")]
    assert sorted(run.name for run in kept.runs) == sorted(names) and kept.closed == 1
    rows = oodml.read_runs(tmp_path)
    own = rows[(rows["method"] == "margin") & (rows["level"] == 1)]
    plain, few = own[own["setting"] == "zero_shot"], own[own["adapter"] == "linear"]
    by_name = {run.name: run for run in kept.runs}
    run = by_name["margin/level_1/seed_0"]
    assert run.scores == dict(zip(plain["metric"], plain["value"], strict=True))
    assert run.costs["train_s"] == plain["train_s"].iloc[0] > 0
    assert (run.status, run.benchmark, run.config["run_id"]) == ("done", ladder.name, plain["run_id"].iloc[0])
    assert run.config["training.steps"] == 3 and run.config["method.beta"] == 1.2 and run.config["level"] == 1
    means = few.groupby("metric")["value"].mean()
    adapted = by_name["margin/level_1/seed_0/linear/2_shots"]
    assert adapted.scores == pytest.approx(means.to_dict()) and len(few) == 2 * len(means)
    assert (adapted.config["shots"], adapted.config["adapter"]) == (2, "linear")
    sweep(ladder, tmp_path, trackers=["kept"], shots=[2])
    assert len(kept.runs) == len(names)  # what was there is not given again


def test_a_failed_run_is_tracked_as_such(tmp_path: Path, kept: type[Kept]) -> None:
    run = spec("margin")
    write_failed(tmp_path, run, "too hot", "diverged")
    with Tracking(["kept"], tmp_path) as tracking:
        tracking.stage(1)
        tracking.ended(Outcome(TrainJob(run), "diverged", "too hot", 0.0))
    (tracked,) = kept.runs
    assert (tracked.status, tracked.error, tracked.scores) == ("diverged", "too hot", {})


@pytest.mark.parametrize(
    ("fails_at", "reason", "given"),
    [("start", "ConnectionError: no network", 0), ("margin/level_0/seed_0", "ValueError: refused", 1)],
)
def test_a_tracker_that_fails_is_switched_off_and_the_sweep_goes_on(
    ladder: Ladder,
    tmp_path: Path,
    kept: type[Kept],
    capsys: pytest.CaptureFixture[str],
    fails_at: str,
    reason: str,
    given: int,
) -> None:
    kept.fails_at = fails_at
    sweep(ladder, tmp_path / "tracked", trackers=["kept"])
    said = [line for line in capsys.readouterr().err.splitlines() if "tracker" in line]
    assert said == [f"tracker kept is switched off, the sweep goes on without it: {reason}"]
    assert len(kept.runs) == given
    sweep(ladder, tmp_path / "plain")
    columns = ["run_id", "metric", "value", "status"]
    one, two = (oodml.read_runs(tmp_path / name)[columns] for name in ("tracked", "plain"))
    pd.testing.assert_frame_equal(one, two)


def test_a_tracker_that_hangs_is_left_behind(
    tmp_path: Path, kept: type[Kept], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr(kept, "log", lambda self, run: release.wait(120))
    runs = [spec("margin", seed=seed) for seed in range(3)]
    with Tracking(["kept"], tmp_path, patience_s=0.2) as tracking:
        tracking.stage(3)
        for run in runs:
            write_done(tmp_path, run, 0.5)
            tracking.ended(Outcome(TrainJob(run), "done", "", 0.0))
    release.set()
    assert "tracker kept: not through after 0.2 s" in capsys.readouterr().err


def test_an_unknown_tracker_and_a_missing_package_end_the_sweep_before_it_begins(
    ladder: Ladder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnknownNameError, match="unknown tracker 'wndb'; did you mean 'wandb'"):
        sweep(ladder, tmp_path / "out", trackers=["wndb"])
    monkeypatch.setitem(sys.modules, "wandb", None)  # as if it were not installed
    with pytest.raises(MissingPackageError, match=r"--tracker wandb needs .*pip install 'oodml\[trackers\]'"):
        sweep(ladder, tmp_path / "out", trackers=["wandb"])
    assert not (tmp_path / "out").exists()
    monkeypatch.setitem(TRACKERS, "broken", ("tests.kept:Tracker", "tests.broken"))
    monkeypatch.setattr("importlib.import_module", lambda name: 1 / 0)
    with pytest.raises(UsageError, match=r"--tracker broken: its package does not load \(division by zero\)"):
        check_trackers(["broken"])


def test_names_come_from_the_command_line_and_from_a_file(vectors_file: Path, tmp_path: Path, kept: type[Kept]) -> None:
    runner, splits = CliRunner(), tmp_path / "splits"
    made = ["make-splits", f"embeddings:{vectors_file}", "--levels", "2", "--episodes", "1", "--out", str(splits)]
    assert runner.invoke(app, made).exit_code == 0
    (tmp_path / "sweep.toml").write_text('trackers = ["kept"]\n')
    flags = ["sweep", str(splits), "--methods", "frozen", "--seeds", "1", "--workers", "1"]
    for number, more in enumerate((["--tracker", "kept,kept"], ["--config", str(tmp_path / "sweep.toml")])):
        kept.runs.clear()
        done = runner.invoke(app, [*flags, *more, "--out", str(tmp_path / str(number))])
        assert done.exit_code == 0, done.output
        assert [run.name for run in kept.runs] == ["frozen/level_0/seed_0", "frozen/level_1/seed_0"]
    wrong = runner.invoke(app, [*flags, "--tracker", "kpt", "--out", str(tmp_path / "wrong")])
    assert wrong.exit_code == 2 and "did you mean 'kept'" in wrong.output and not (tmp_path / "wrong").exists()


def track(name: str, sweep: Path) -> None:
    """One run that is done, one that failed, and one that is adapted, given to a tracker."""
    runs = [spec("margin", seed=seed) for seed in range(2)]
    write_done(sweep, runs[0], 0.5)
    write_failed(sweep, runs[1], "too hot")
    unit = Unit(runs[0], 2, adapter_spec("linear", {}))
    write_adapted(unit_path(sweep, unit), runs[0], "linear", 2, [0.25, 0.75])
    with Tracking([name], sweep) as tracking:
        tracking.stage(2)
        tracking.ended(Outcome(TrainJob(runs[0]), "done", "", 0.0))
        tracking.ended(Outcome(TrainJob(runs[1]), "failed", "too hot", 0.0))
        tracking.ended(Outcome(AdaptJob((unit,)), "done", "", 0.0))


NAMES = ["margin/level_0/seed_0", "margin/level_0/seed_1", "margin/level_0/seed_0/linear/2_shots"]


@pytest.mark.parametrize("login", [lambda prompt: False, lambda key=None: True], ids=["new", "old"])
def test_weights_and_biases_gets_a_run_per_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], login: Any
) -> None:
    started: list[dict[str, Any]] = []

    def init(**values: Any) -> Any:
        own: dict[str, Any] = {**values, "logged": [], "exit": None}
        started.append(own)
        return SimpleNamespace(log=own["logged"].append, finish=lambda exit_code: own.update(exit=exit_code))

    fake = ModuleType("wandb")
    vars(fake).update(init=init, login=login, Settings=dict, api=SimpleNamespace(api_key=None))
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    track("wandb", tmp_path / "toy")
    assert [own["name"] for own in started] == NAMES
    assert [own["exit"] for own in started] == [0, 1, 0]
    assert started[0]["logged"] == [
        {"nmi": 0.1, "recall_at_1": 0.5, "train_s": 8.0, "eval_s": 2.0, "peak_memory_mb": 100.0}
    ]
    assert started[1]["logged"] == [{}] and started[1]["config"]["error"] == "too hot"
    assert started[2]["logged"][0]["recall_at_1"] == 0.5
    assert {(own["project"], own["group"], own["dir"]) for own in started} == {
        ("oodml", "toy", str(tmp_path / "toy" / "trackers"))
    }
    monkeypatch.delenv("WANDB_MODE")  # without a key it would ask on the terminal
    track("wandb", tmp_path / "online")
    assert len(started) == 3 and "run `wandb login`, or set WANDB_MODE=offline" in capsys.readouterr().err


def test_mlflow_gets_a_run_per_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, Any]] = []

    class Client:
        def get_experiment_by_name(self, name: str) -> None:
            calls.append(("look for", name))

        def create_experiment(self, name: str) -> str:
            return f"id of {name}"

        def create_run(self, experiment: str, run_name: str, tags: dict[str, str]) -> Any:
            calls.append(("run", (experiment, run_name, tags)))
            return SimpleNamespace(info=SimpleNamespace(run_id=run_name))

        def log_batch(self, run: str, metrics: list[Any], params: list[Any]) -> None:
            calls.append(("batch", ({m[0]: m[1] for m in metrics}, dict(params))))

        def set_terminated(self, run: str, status: str) -> None:
            calls.append(("end", (run, status)))

    fake, entities = ModuleType("mlflow"), ModuleType("mlflow.entities")
    vars(fake).update(MlflowClient=Client, entities=entities)
    vars(entities).update(Metric=lambda *values: values, Param=lambda *values: values)
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    track("mlflow", tmp_path / "toy")
    assert calls[0] == ("look for", "mine")
    runs = [values for kind, values in calls if kind == "run"]
    assert [(experiment, name) for experiment, name, _ in runs] == [("id of mine", name) for name in NAMES]
    assert runs[0][2] == {"sweep": "toy", "benchmark": "toy", "status": "done"}
    assert runs[1][2]["error"] == "too hot"
    ends = [values for kind, values in calls if kind == "end"]
    assert ends == list(zip(NAMES, ["FINISHED", "FAILED", "FINISHED"], strict=True))
    metrics, params = next(values for kind, values in calls if kind == "batch")
    assert metrics["recall_at_1"] == 0.5 and params["training.lr"] == "0.01" and params["seed"] == "0"


def test_tensorboard_gets_event_files_beside_the_runs(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    track("tensorboard", tmp_path)
    folder = tmp_path / "trackers" / "tensorboard"

    def read(name: str) -> Any:
        events = EventAccumulator(str(folder / name))
        events.Reload()
        return events

    assert [event.value for event in read(NAMES[0]).Scalars("recall_at_1")] == [0.5]
    assert [event.value for event in read(NAMES[2]).Scalars("recall_at_1")] == [0.5]
    assert not (folder / NAMES[1]).exists()
    (text,) = read("").Tensors(f"{NAMES[1]}/text_summary")
    assert text.tensor_proto.string_val == [b"failed: too hot"]


def test_every_tracker_has_a_class_and_its_values_are_plain(tmp_path: Path, kept: type[Kept]) -> None:
    track("kept", tmp_path)
    assert [run.name for run in kept.runs] == NAMES
    assert json.loads(json.dumps(kept.runs[0].config)) == kept.runs[0].config
