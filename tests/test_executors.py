"""Executors: what happens to jobs that die, hang, or stand beside such."""

from __future__ import annotations

import faulthandler
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from oodml.devices import pick_device, slot_devices
from oodml.errors import StorageError, UsageError
from oodml.executors import run_jobs
from oodml.executors.jobs import Job, Outcome
from oodml.executors.places import Places
from oodml.watching import Watcher


@dataclass(frozen=True)
class Bench:
    """As much of a bench as an executor looks at."""

    device: str = "cpu"


@dataclass(frozen=True)
class Task:
    """A job that notes every attempt in a file, and then ends in its own way."""

    name: str  # of its log too
    how: str = "done"

    @property
    def label(self) -> str:
        return self.name

    def run(self, bench: Any, sweep: Path) -> Outcome:
        print(f"{self.name} says something")
        with (sweep / self.name).open("a") as file:
            file.write("tried\n")
        if self.how == "killed" or (self.how == "killed once" and len(attempts(sweep, self.name)) == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "exits":
            os._exit(3)
        if self.how == "crashes":
            faulthandler._sigsegv()  # type: ignore[attr-defined]
        if self.how == "is deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if self.how in ("hangs", "is deaf"):
            time.sleep(60)
        if self.how == "full disk":
            raise StorageError("no space left")
        return Outcome(self, "done", "", 0.0)

    def record_loss(self, bench: Any, sweep: Path, status: str, error: str) -> None:
        with (sweep / self.name).open("a") as file:
            file.write(f"{status}: {error}\n")


def attempts(sweep: Path, name: str) -> list[str]:
    return (sweep / name).read_text().splitlines()


class Heard(Watcher):
    def __init__(self) -> None:
        self.events: list[str] = []

    def stage(self, jobs: int) -> None:
        self.events.append(f"{jobs} jobs")

    def started(self, job: Job) -> None:
        self.events.append(f"start {job.label}")

    def ended(self, outcome: Outcome) -> None:
        self.events.append(f"{outcome.status} {outcome.job.label}")


def run(jobs: list[Task], sweep: Path, watcher: Watcher | None = None, **places: Any) -> dict[str, Outcome]:
    found = list(run_jobs(Bench(), jobs, sweep, Places(**places), watcher or Watcher()))  # type: ignore[arg-type]
    assert len({outcome.job for outcome in found}) == len(found)
    return {outcome.job.label: outcome for outcome in found}


def test_a_job_whose_process_dies_twice_is_recorded_and_the_others_are_done_once(tmp_path: Path) -> None:
    jobs = [Task("a"), Task("b", "killed"), Task("c", "exits"), Task("d", "killed once"), *(Task(n) for n in "efgh")]
    found = run(jobs, tmp_path, workers=2)
    assert {name for name, outcome in found.items() if outcome.status == "done"} == set("adefgh")
    assert found["b"].error.startswith("the worker process was killed by SIGKILL, 2 times")
    assert found["c"].error.startswith("the worker process ended with exit code 3, 2 times")
    reason, log = found["b"].error.split("; see ")
    assert attempts(tmp_path, "b") == ["tried", "tried", f"failed: {reason}"] and log == "logs/b.log"
    assert attempts(tmp_path, "d") == ["tried", "tried"]
    assert all(attempts(tmp_path, name) == ["tried"] for name in "aefgh")


@pytest.mark.parametrize("how", ["hangs", "is deaf"])
def test_a_job_that_hangs_is_given_up_and_its_slot_goes_on(tmp_path: Path, how: str) -> None:
    reason = "took longer than --timeout 1 s"
    found = run([Task("a", how), Task("b"), Task("c")], tmp_path, workers=1, timeout=1.0)
    assert (found["a"].status, found["a"].error) == ("timeout", f"{reason}; see logs/a.log")
    assert attempts(tmp_path, "a") == ["tried", f"timeout: {reason}"]
    assert found["b"].status == found["c"].status == "done"
    log = (tmp_path / "logs" / "a.log").read_text()
    assert log.splitlines()[-1].endswith(reason)
    assert ("in run" in log) == (how == "hangs"), "the log shows where it hung, if it listened at all"


def test_a_killed_job_leaves_what_it_printed_with_a_line_for_each_attempt(tmp_path: Path) -> None:
    run([Task("a", "killed"), Task("b")], tmp_path, workers=2)
    lines = [line.split(" ", 2) for line in (tmp_path / "logs" / "a.log").read_text().splitlines()]
    killed = "the worker process was killed by SIGKILL"
    assert [line[-1] for line in lines if line[0] == "=="] == [
        "a begins",
        killed,
        "a begins",
        f"{killed}, 2 times (out of memory?); try fewer --workers",
    ]
    assert [" ".join(line) for line in lines if line[0] != "=="] == ["a says something"] * 2


def test_a_crash_in_c_leaves_where_it_was(tmp_path: Path) -> None:
    found = run([Task("a", "crashes"), Task("b")], tmp_path, workers=2)
    assert "was killed by SIGSEGV" in found["a"].error
    log = (tmp_path / "logs" / "a.log").read_text()
    assert log.count("Segmentation fault") == 2 and log.count("test_executors.py") >= 2


def test_processes_that_die_without_a_job_or_before_it_are_replaced(tmp_path: Path) -> None:
    jobs = [Task(name) for name in "abcd"]
    events = run_jobs(Bench(), jobs, tmp_path, Places(workers=1, timeout=60))  # type: ignore[arg-type]
    names = []
    for outcome in events:  # between two jobs the process has nothing to do
        assert outcome.status == "done"
        names.append(outcome.job.label)
        if len(names) < 3:
            for child in children(os.getpid()):
                os.kill(child, signal.SIGKILL)
                time.sleep(1.0 if len(names) == 1 else 0)  # noticed before the next job, or not
    assert sorted(names) == list("abcd")


def children(process: int) -> list[int]:
    """The worker processes of a process."""
    found = Path(f"/proc/{process}/task").glob("*/children")
    ids = [int(text) for path in found for text in path.read_text().split()]
    return [child for child in ids if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_ends_everything_at_once(tmp_path: Path, workers: int) -> None:
    started = time.perf_counter()
    with pytest.raises(StorageError, match="no space left"):
        run([Task("a", "full disk"), Task("b", "hangs" if workers > 1 else "done")], tmp_path, workers=workers)
    assert time.perf_counter() - started < 45  # the hanging one would take 60


@pytest.mark.parametrize("workers", [1, 2])
def test_a_watcher_hears_every_start_and_end(tmp_path: Path, workers: int) -> None:
    heard = Heard()
    run([Task(name) for name in "abc"], tmp_path, heard, workers=workers)
    assert heard.events[0] == "3 jobs"
    for name in "abc":
        assert heard.events.index(f"start {name}") < heard.events.index(f"done {name}")
    assert len(heard.events) == 7


def test_a_caller_that_stops_ends_the_processes(tmp_path: Path) -> None:
    events = run_jobs(Bench(), [Task("a"), Task("b", "hangs")], tmp_path, Places(workers=2))  # type: ignore[arg-type]
    assert next(events).job.label == "a"
    started = time.perf_counter()
    events.close()  # type: ignore[attr-defined]
    assert time.perf_counter() - started < 30


def test_slots_share_the_cores_and_the_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert slot_devices("cpu", None) == ["cpu"] * 8
    assert slot_devices("cpu", None, threads=3) == ["cpu"] * 2
    assert slot_devices("cpu", None, threads=16) == ["cpu"]
    assert slot_devices("cpu", 3, threads=4) == ["cpu"] * 3
    assert slot_devices("cuda:1", None) == ["cuda:1"]
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert slot_devices("cuda", None) == ["cuda:0", "cuda:1"]
    assert slot_devices("cuda", 3) == ["cuda:0", "cuda:1", "cuda:0"]


@pytest.mark.parametrize(
    ("name", "match"), [("cuda:2", "no such GPU, torch finds 2"), ("cudax", "should be"), ("tpu", "cpu or cuda")]
)
def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, match: str) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert pick_device("cuda:1") == "cuda:1"
    with pytest.raises(UsageError, match=match):
        pick_device(name)
