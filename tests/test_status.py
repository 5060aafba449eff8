"""`oodml status`: what the folder of a sweep says about it, from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from sweep_files import TRAINING, planned, spec, write_adapted, write_done, write_failed
from typer.testing import CliRunner, Result

import oodml
from oodml.app import app
from oodml.durations import at_a_time
from oodml.errors import ResultsError
from oodml.parts import ADAPTED, RUNS
from oodml.records import as_options
from oodml.run_heads import read_heads
from oodml.sweep_folder import locked
from oodml.sweep_status import AdaptedCell, Cell, SweepStatus, is_active, sweep_status


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["status", *map(str, arguments)])


@pytest.fixture
def half_done(tmp_path: Path) -> Path:
    """Two methods, two levels, two seeds: three done, one failed, one timed out, three to do; two adaptations."""
    specs = [spec(method, level, seed) for seed in (0, 1) for level in (0, 1) for method in ("margin", "arcface")]
    sweep = planned(tmp_path / "toy", specs)
    write_done(sweep, spec("margin", 0, 0), 0.5)
    write_done(sweep, spec("margin", 0, 1), 0.6)
    write_done(sweep, spec("margin", 1, 0), 0.3, started_at="2030-01-01T00:00:11+00:00")
    write_failed(sweep, spec("arcface", 0, 0), "out of luck")
    write_failed(sweep, spec("arcface", 1, 0), "took longer", "timeout")
    write_done(sweep, spec("triplet", 0, 0), 0.9)  # not in the plan
    write_adapted(sweep / ADAPTED / "u1.parquet", spec("margin", 0, 0), "linear", 2, [0.5, 0.7])
    write_adapted(sweep / ADAPTED / "u2.parquet", spec("margin", 0, 1), "linear", 2, [0.8, 0.8])
    return sweep


def without_times(status: SweepStatus) -> SweepStatus:
    return replace(status, written_s=None)


def test_the_runs_of_the_plan_are_counted(half_done: Path) -> None:
    found = sweep_status(half_done)
    assert (found.planned, found.done, found.failed, found.missing) == (8, 3, 2, 3)
    assert found.cells == [
        Cell("margin", 0, 2, 2, 0, 0.55),
        Cell("arcface", 0, 2, 0, 1, None),
        Cell("margin", 1, 2, 1, 0, 0.3),
        Cell("arcface", 1, 2, 0, 1, None),
    ]
    assert found.failures == [
        ("arcface, level 0, seed 0", "failed", "out of luck"),
        ("arcface, level 1, seed 0", "timeout", "took longer"),
    ]
    assert found.adapted == [AdaptedCell("linear", 2, 2, 0, found.adapted[0].recall_at_1)]
    assert found.adapted[0].recall_at_1 == pytest.approx(0.7)
    assert found.active is False and found.unreadable == []


def test_a_packed_sweep_has_the_same_status(half_done: Path) -> None:
    before = without_times(sweep_status(half_done))
    oodml.compact(half_done)
    assert without_times(sweep_status(half_done)) == before
    run = spec("arcface", 0, 0)
    write_done(half_done, run, 0.7)  # repeated after it was packed: the file of its own goes first
    after = sweep_status(half_done)
    assert (after.done, after.failed) == (4, 1) and after.cells[1] == Cell("arcface", 0, 2, 1, 0, 0.7)


def test_the_time_that_is_left_follows_from_the_pace_of_the_finished_runs(half_done: Path) -> None:
    heads = read_heads(half_done)
    # three runs of 10 s begin at second 0, one at second 11, each with a second of doubt: 40 s of work in 22 s
    assert at_a_time(heads) == pytest.approx(40 / 22)
    found = sweep_status(half_done)
    assert found.remaining_s == pytest.approx(30 * 22 / 40) and found.timed_by == 4
    write_done(half_done, spec("margin", 1, 1), 0.4, train_s=50.0, started_at="2030-01-01T01:00:00+00:00")
    slow = sweep_status(half_done)  # arcface has none of its own: the mean of all five, 92 / 5 s
    assert slow.remaining_s == pytest.approx(2 * (92 / 5) / (92 / (22 + 53)))  # the hour's pause does not count


def test_a_sweep_that_is_all_done_needs_no_more_time(tmp_path: Path) -> None:
    planned(tmp_path, [spec("margin")])
    assert sweep_status(tmp_path).remaining_s is None
    write_done(tmp_path, spec("margin"), 0.5)
    assert sweep_status(tmp_path).remaining_s == 0.0


def test_a_run_without_recall_is_done_all_the_same(tmp_path: Path) -> None:
    from sweep_files import columns

    from oodml.results import write_run

    planned(tmp_path, [spec("margin")])
    rows = [{**columns(spec("margin"), train_s=3.0, eval_s=1.0), "metric": m, "value": 0.5} for m in ("nmi", "ami")]
    write_run(tmp_path / RUNS / f"{spec('margin').run_id}.parquet", rows)
    assert sweep_status(tmp_path).cells == [Cell("margin", 0, 1, 1, 0, None)]
    assert read_heads(tmp_path)["seconds"].tolist() == [4.0]


def test_configurations_of_a_method_are_told_apart(tmp_path: Path) -> None:
    longer = as_options({**dict(TRAINING), "steps": 20})
    runs = [spec("margin"), spec("margin", training=longer), spec("margin", selection="val"), spec("arcface")]
    planned(tmp_path, runs)
    write_done(tmp_path, runs[1], 0.5)
    cells = {cell.method: cell.done for cell in sweep_status(tmp_path).cells}
    assert cells == {
        "margin (steps=10) [last]": 0,
        "margin (steps=20) [last]": 1,
        "margin (steps=10) [val]": 0,
        "arcface [last]": 0,
    }


def test_a_broken_file_is_named_and_its_run_is_to_do(half_done: Path) -> None:
    file = half_done / RUNS / f"{spec('margin', 0, 0).run_id}.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    found = sweep_status(half_done)
    assert (found.done, found.missing) == (2, 4)
    assert [path for path, _ in found.unreadable] == [str(file)]
    assert f"{file} is not a readable Parquet file" in call(half_done).output.replace("\n", "")


def test_runs_that_have_begun_are_named_by_their_logs_and_checkpoints(half_done: Path) -> None:
    now = time.time()
    running, stopped, done = spec("margin", 1, 1), spec("arcface", 0, 1), spec("margin", 0, 0)
    signs = {f"logs/{running.run_id}.log": 90, f"checkpoints/{running.run_id}.pt": 30}
    signs |= {f"logs/{stopped.run_id}.log": 500, f"logs/{done.run_id}.log": 1}
    for name, age in signs.items():
        path = half_done / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
        os.utime(path, (now - age, now - age))
    begun = sweep_status(half_done).begun
    assert [name for name, _ in begun] == ["margin, level 1, seed 1", "arcface, level 0, seed 1"]
    assert [age for _, age in begun] == [pytest.approx(30, abs=20), pytest.approx(500, abs=20)]


def test_a_log_of_a_failed_run_is_named_with_its_error(half_done: Path) -> None:
    run_id = spec("arcface", 0, 0).run_id
    (half_done / "logs").mkdir()
    (half_done / "logs" / f"{run_id}.log").write_text("more")
    assert sweep_status(half_done).failures[0][2] == f"out of luck; see logs/{run_id}.log"


def test_a_sweep_that_runs_is_recognised_and_not_disturbed(half_done: Path) -> None:
    assert is_active(half_done) is False and not (half_done / "sweep.lock").exists()  # nothing is made
    with FileLock(half_done / "sweep.lock"):
        assert sweep_status(half_done).active is True
        assert "a sweep is running" in call(half_done).output
    assert sweep_status(half_done).active is False
    with locked(half_done):  # the look has let go
        assert is_active(half_done) is True


def test_a_sweep_that_has_only_just_begun(tmp_path: Path) -> None:
    with FileLock(tmp_path / "sweep.lock"):
        assert "none planned yet" in call(tmp_path).output
        planned(tmp_path, [spec("margin")])
        (tmp_path / RUNS).rmdir()
        found = sweep_status(tmp_path)
        assert (found.active, found.planned, found.missing, found.remaining_s) == (True, 1, 1, None)
    assert found.written_s == pytest.approx(0, abs=60)


def test_the_command_shows_numbers_failures_and_scores(half_done: Path) -> None:
    result = call(half_done)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0].startswith(f"{half_done}: no sweep is running; last file written ")
    assert lines[1] == "runs: 3 of 8 done, 2 failed, 3 to do; about 16 s when it goes on, from 4 finished runs"
    cells = [line.split() for line in lines]
    assert ["margin", ".550", ".300"] in cells and ["arcface", "0/2", "0/2"] in cells
    assert ["1", "bad", "1", "bad"] in cells
    assert "adapted: linear, 2 shots: 2 done, mean recall@1 0.700" in lines
    assert "failed: arcface, level 0, seed 0: out of luck" in lines


def test_json_holds_it_all(half_done: Path) -> None:
    result = call(half_done, half_done, "--json")
    found: list[dict[str, Any]] = json.loads(result.output)
    assert len(found) == 2
    assert (found[0]["sweep"], found[0]["missing"], found[0]["active"]) == (str(half_done), 3, False)
    assert found[0]["cells"][0] == vars(sweep_status(half_done).cells[0])
    assert found[0]["failures"][0] == ["arcface, level 0, seed 0", "failed", "out of luck"]


def test_what_is_no_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="is not a sweep folder"):
        sweep_status(tmp_path / "nowhere")
    result = call(tmp_path)
    assert result.exit_code == 2 and "is not a sweep folder" in " ".join(result.output.split())
    assert list(tmp_path.iterdir()) == []


def test_it_starts_without_torch(half_done: Path) -> None:
    code = f"import sys; from oodml.sweep_status import sweep_status; sweep_status({str(half_done)!r}); "
    code += "from oodml.app import app; sys.argv = ['oodml', 'status', sys.argv[1]]\n"
    code += "try: app()\nexcept SystemExit: pass\nsys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(half_done)], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "3 of 8 done" in done.stdout, done.stderr
