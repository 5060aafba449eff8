"""Logs of jobs: what gets into them, when there is none, and that the terminal stays as it is."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from oodml.errors import StorageError
from oodml.executors.jobs import Outcome
from oodml.executors.worker import run_logged
from oodml.run_logs import log_file, logged, note, remove_if_quiet, see_log


@dataclass(frozen=True)
class Talk:
    """A job that says what it is told to say."""

    name: str = "talk"
    status: str = "done"
    text: str = ""

    @property
    def label(self) -> str:
        return "some talk"

    def run(self, bench: Any, sweep: Path) -> Outcome:
        print(self.text, end="")
        if self.status == "raises":
            raise ValueError("no more words")
        return Outcome(self, self.status, "" if self.status == "done" else "lost its voice", 0.0)

    def record_loss(self, bench: Any, sweep: Path, status: str, error: str) -> None: ...


def do(job: Talk, sweep: Path) -> Outcome:
    return run_logged(job, None, sweep, own_process=False)  # type: ignore[arg-type]


def said(file: Path) -> list[str]:
    """The log without times."""
    return [f"== {line.split(' ', 2)[2]}" if line.startswith("== ") else line for line in file.read_text().splitlines()]


def test_a_job_that_ends_well_leaves_a_log_only_if_it_said_something(tmp_path: Path) -> None:
    assert do(Talk(), tmp_path).error == "" and not list((tmp_path / "logs").iterdir())
    assert do(Talk(text="hear, hear\n"), tmp_path).error == ""
    assert said(log_file(tmp_path, "talk")) == ["== some talk begins", "hear, hear"]


def test_the_error_of_a_failed_job_names_its_log_which_grows_with_every_attempt(tmp_path: Path) -> None:
    assert do(Talk(status="failed"), tmp_path).error == "lost its voice; see logs/talk.log"
    do(Talk(text="better\n"), tmp_path)
    assert said(tmp_path / "logs" / "talk.log") == ["== some talk begins"] * 2 + ["better"]
    with pytest.raises(ValueError, match="no more words"):
        do(Talk(status="raises"), tmp_path)
    assert said(tmp_path / "logs" / "talk.log")[-1] == "ValueError: no more words"
    assert see_log(tmp_path, "other", "reason") == "reason"


def test_lines_of_the_sweep_alone_keep_no_log(tmp_path: Path) -> None:
    file = log_file(tmp_path, "talk")
    note(file, "the worker process was killed")
    assert do(Talk(), tmp_path).status == "done" and not file.exists()
    remove_if_quiet(file)  # nothing to remove is no error


def test_streams_warnings_and_messages_reach_the_log_and_not_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warnings.showwarning", lambda message, *_: sys.stderr.write(f"warned: {message}\n"))
    handlers, streams = list(logging.getLogger().handlers), (sys.stdout, sys.stderr)
    for attempt in range(2):
        with logged(tmp_path / "run.log", f"attempt {attempt}", descriptors=False):
            print("an umlaut \u00fc, half a \udcff")
            sys.stderr.write("no end of line")
            assert (tmp_path / "run.log").read_text().endswith("no end of line"), "nothing waits in a buffer"
            print()
            warnings.warn("too few", RuntimeWarning, stacklevel=1)
            logging.getLogger("some.library").warning("careful")
    once = ["an umlaut \u00fc, half a \\udcff", "no end of line", "warned: too few", "WARNING some.library: careful"]
    assert said(tmp_path / "run.log") == ["== attempt 0 begins", *once, "== attempt 1 begins", *once]
    assert capsys.readouterr() == ("", "")
    assert (logging.getLogger().handlers, (sys.stdout, sys.stderr)) == (handlers, streams)


def test_a_display_goes_on_drawing_on_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    console = Console(stderr=True, force_terminal=True)
    with logged(tmp_path / "run.log", "a run", descriptors=False):
        console.print("three of ten")
        sys.stderr.write("careful\n")
    assert "three of ten" in terminal.getvalue() and "careful" not in terminal.getvalue()
    assert said(tmp_path / "run.log") == ["== a run begins", "careful"]


def test_a_process_of_its_own_logs_what_c_code_and_programs_print(tmp_path: Path) -> None:
    code = (
        "import ctypes, os, subprocess, sys; from pathlib import Path; from oodml.run_logs import logged\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.printf(b'before\\n')\n"
        f"with logged(Path({str(tmp_path / 'run.log')!r}), 'a run', descriptors=True):\n"
        "    libc.printf(b'from C\\n')\n"
        "    os.write(2, b'from a descriptor\\n')\n"
        "    subprocess.run([sys.executable, '-c', 'print(\"from a program\")'])\n"
        "    print('from Python')\n"
        "libc.printf(b'after\\n')\n"
        "print('at the end', file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == ["after", "before"] and done.stderr == "at the end\n"
    expected = ["== a run begins", "from C", "from Python", "from a descriptor", "from a program"]
    assert sorted(said(tmp_path / "run.log")) == sorted(expected)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_disk_that_takes_no_more_of_a_log_does_not_fail_the_job(tmp_path: Path) -> None:
    (tmp_path / "run.log").symlink_to("/dev/full")
    heard = []
    with logged(tmp_path / "run.log", "a run", descriptors=False):
        print("unheard")
        heard.append("the end")
    assert heard == ["the end"]


def test_a_folder_that_takes_no_log_is_named(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file stands here")
    with pytest.raises(StorageError, match=r"talk\.log.*a file stands where a folder is needed"):
        do(Talk(), tmp_path)
