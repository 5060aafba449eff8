"""What a sweep shows while it runs: the table of a terminal, the lines of a file, and the sums behind them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from sweep_files import planned, spec, write_adapted, write_done, write_failed

import oodml
from oodml import console
from oodml.adaptation import Unit
from oodml.adapter_specs import adapter_spec
from oodml.executors.jobs import AdaptJob, Outcome, TrainJob
from oodml.few_shot import unit_path
from oodml.progress import Progress
from oodml.standings import Standings
from oodml.sweep_display import SweepDisplay
from oodml.watching import Watcher, Watchers


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Console:
    """A terminal of 80 columns and 30 rows."""
    made = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=80, height=30)
    monkeypatch.setattr(console, "err", made)
    return made


def drawn(display: SweepDisplay, width: int = 80) -> list[str]:
    """The lines of the table at this moment."""
    page = Console(file=io.StringIO(), width=width, color_system=None)
    page.print(display.table())
    assert isinstance(page.file, io.StringIO)
    return [line.rstrip() for line in page.file.getvalue().splitlines()]


def counts(display: SweepDisplay) -> list[str]:
    """The numbers below done, running, failed, to do, so far and left."""
    lines = drawn(display)
    head = next(number for number, line in enumerate(lines) if line.split()[:2] == ["done", "running"])
    return lines[head + 2].split()


def end(display: SweepDisplay, job: Any, status: str = "done", error: str = "") -> None:
    display.ended(Outcome(job, status, error, 86.31))


def test_elsewhere_than_on_a_terminal_there_are_plain_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with SweepDisplay(tmp_path) as display:
        display.stage(2)
        for seed, status, error in ((0, "done", ""), (1, "diverged", "too hot")):
            job = TrainJob(spec("margin", seed=seed))
            display.started(job)
            end(display, job, status, error)
    assert capsys.readouterr().err.splitlines() == [
        "[1/2] margin level 0 seed 0: done in 86.3 s",
        "[2/2] margin level 0 seed 1: diverged in 86.3 s: too hot",
    ]


@pytest.mark.usefixtures("screen")
def test_the_counts_and_the_time_that_is_left(tmp_path: Path) -> None:
    clock = Clock()
    display = SweepDisplay(tmp_path, clock=clock)
    jobs = [TrainJob(spec("margin", seed=seed)) for seed in range(10)]
    display.stage(len(jobs))
    display.started(jobs[0])
    display.started(jobs[1])
    clock.now += 40
    assert counts(display) == ["0", "2", "0", "8", "40", "s"]  # nothing says yet how long a run takes
    end(display, jobs[0])
    display.started(jobs[2])
    clock.now += 20
    end(display, jobs[1], "failed", "why")
    display.started(jobs[3])
    # of 40 and 60 s the mean is 50: six that wait, one with 30 s left, one with 50 s, two at a time
    assert counts(display) == ["1", "2", "1", "6", "60", "s", "3", "min"]
    assert display.progress.remaining() == (6 * 50 + 30 + 50) / 2


@pytest.mark.usefixtures("screen")
def test_the_table_fits_many_jobs_and_levels_into_80_columns_and_30_rows(tmp_path: Path) -> None:
    clock = Clock()
    display = SweepDisplay(tmp_path, clock=clock)
    display.stage(40)
    for level in range(9):
        run = spec("a_method_with_a_name_that_is_really_rather_long_" * 2, level)
        write_done(tmp_path, run, 0.5 + level / 100)
        display.started(TrainJob(run))
        end(display, TrainJob(run))
    for seed in range(20):
        display.started(TrainJob(spec("another_method_with_a_name_that_is_really_rather_long_" * 2, seed=seed)))
        clock.now += 1
    for width in (80, 120):
        lines = drawn(display, width)
        assert max(map(len, lines)) <= width and len(lines) <= 30
        assert "and 12 more" in lines and sum("another" in line for line in lines) == 8
        shown = [line.rsplit(maxsplit=2)[1:] for line in lines if "another" in line]
        assert shown == [[str(20 - number), "s"] for number in range(8)]  # those that run longest
        assert any(line.split()[:2] == ["8", ".580"] for line in lines)


@pytest.mark.usefixtures("screen")
def test_the_best_of_every_level_is_the_highest_mean_over_seeds(tmp_path: Path) -> None:
    display = SweepDisplay(tmp_path)
    display.stage(9)
    values = {("margin", 0): (0.5, 0.7), ("arcface", 0): (0.9, 0.1), ("margin", 1): (0.25,), ("arcface", 1): (0.3,)}
    for (method, level), recalls in values.items():
        for seed, recall in enumerate(recalls):
            run = spec(method, level, seed)
            write_done(tmp_path, run, recall)
            end(display, TrainJob(run))
            (tmp_path / "runs" / f"{run.run_id}.parquet").unlink()  # no file is read a second time
    failed = spec("triplet")
    write_failed(tmp_path, failed, "why")
    end(display, TrainJob(failed), "failed", "why")
    lines = [line.split() for line in drawn(display)]
    assert ["0", ".600", "(2)", "margin"] in lines and ["1", ".300", "(1)", "arcface"] in lines
    assert not any("triplet" in line for line in lines)


@pytest.mark.usefixtures("screen")
def test_runs_of_an_earlier_start_count_and_those_of_other_plans_do_not(tmp_path: Path) -> None:
    old, other, new = spec("margin", seed=0), spec("arcface"), spec("margin", seed=1)
    write_done(tmp_path, old, 0.4)
    write_done(tmp_path, other, 0.9)
    display = SweepDisplay(tmp_path, {old.run_id, new.run_id})
    display.stage(1)
    write_done(tmp_path, new, 0.6)
    end(display, TrainJob(new))
    assert ["0", ".500", "(2)", "margin"] in [line.split() for line in drawn(display)]


@pytest.mark.usefixtures("screen")
def test_a_run_that_was_packed_before_its_end_was_told_counts_too(tmp_path: Path) -> None:
    display = SweepDisplay(tmp_path)
    display.stage(1)
    run = spec("margin")
    write_done(tmp_path, run, 0.4)
    oodml.compact(tmp_path)
    end(display, TrainJob(run))
    assert ["0", ".400", "(1)", "margin"] in [line.split() for line in drawn(display)]


@pytest.mark.usefixtures("screen")
def test_adaptations_have_a_column_per_number_of_shots(tmp_path: Path) -> None:
    display = SweepDisplay(tmp_path)
    display.stage(1)
    run = spec("margin")
    units = [Unit(run, shots, adapter_spec(name, {})) for shots in (2, 10) for name in ("none", "linear")]
    for unit, recalls in zip(units, ([0.5, 0.6], [0.4, 0.9], [0.7, 0.7], [0.1, 0.2]), strict=True):
        write_adapted(unit_path(tmp_path, unit), run, unit.adapter.label, unit.shots, recalls)
    job = AdaptJob(tuple(units))
    display.started(job)
    assert drawn(display)[0].startswith("adaptations ")
    end(display, job)
    lines = drawn(display)
    assert any(line.split() == ["level", "2", "shots", "10", "shots"] for line in lines)
    assert lines[-1].split() == ["0", ".650", "(1)", "margin", "+", "linear", ".700", "(1)", "margin", "unadapted"]


def test_failures_stay_on_screen_and_the_end_shows_the_counts_only(tmp_path: Path, screen: Console) -> None:
    planned(tmp_path, [spec("margin")])
    with pytest.raises(KeyboardInterrupt), SweepDisplay(tmp_path) as display:
        display.stage(3)
        for seed in range(2):
            display.started(TrainJob(spec("margin", seed=seed)))
        end(display, TrainJob(spec("margin", seed=0)), "failed", "no [luck]")
        assert any("margin level 0 seed 1" in line for line in drawn(display))
        raise KeyboardInterrupt
    assert isinstance(screen.file, io.StringIO)
    text = screen.file.getvalue()
    assert "margin level 0 seed 0: failed in 86.3 s: no [luck]" in text
    lines = drawn(display)
    assert counts(display)[:4] == ["0", "0", "1", "2"]  # what was running is to do again
    assert not any("seed 1" in line or "best" in line for line in lines)
    assert text.endswith("\x1b[?25h")  # the cursor is back


@pytest.mark.usefixtures("screen")
def test_the_decoding_of_images_has_a_bar_of_its_own_until_the_runs_begin(tmp_path: Path) -> None:
    display = SweepDisplay(tmp_path)
    display.packing(30, 120)
    (line,) = drawn(display)
    assert line.startswith("decoding images ") and line.endswith(" 30/120")
    display.stage(1)
    assert drawn(display)[0].startswith("runs ") and not any("decoding" in line for line in drawn(display))


def test_a_job_that_begins_anew_after_a_crash_is_one_job() -> None:
    clock = Clock()
    progress = Progress(2, clock)
    progress.start("a")
    clock.now += 100
    progress.start("a")
    clock.now += 10
    assert (len(progress.running), progress.waiting) == (1, 1)
    progress.end("a", "done")
    assert progress.remaining() == 10.0 and progress.over == 1


def test_of_equal_means_the_first_name_leads() -> None:
    standings = Standings()
    for method in ("b", "a", "c"):
        standings.note({"run_id": method, "method": method, "level": 0, "setting": "zero_shot"}, 0.5)
    assert standings.best("", 0) == ("a", 0.5, 1)
    assert standings.best("", 1) is None and standings.best("2 shots", 0) is None


class Noted(Watcher):
    def __init__(self, name: str, events: list[str]) -> None:
        self.name, self.events = name, events

    def packing(self, done: int, total: int) -> None:
        self.events.append(f"{self.name} packing {done}/{total}")

    def stage(self, jobs: int) -> None:
        self.events.append(f"{self.name} stage {jobs}")

    def started(self, job: Any) -> None:
        self.events.append(f"{self.name} started {job.label}")

    def ended(self, outcome: Outcome) -> None:
        self.events.append(f"{self.name} ended {outcome.status}")


def test_several_watchers_hear_everything_in_their_order() -> None:
    events: list[str] = []
    both, job = Watchers([Noted("a", events), Noted("b", events)]), TrainJob(spec("margin"))
    both.packing(1, 2)
    both.stage(3)
    both.started(job)
    both.ended(Outcome(job, "done", "", 0.0))
    heard = ["packing 1/2", "stage 3", "started margin level 0 seed 0", "ended done"]
    assert events == [f"{name} {event}" for event in heard for name in "ab"]
