"""The command line as a user meets it: the three commands, mistakes, interruptions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

import oodml
from oodml.app import app
from oodml.registry import names

ROOT = Path(__file__).parent.parent
COMMANDS = [
    "make-splits",
    "sweep",
    "report",
    "evaluate",
    "inspect",
    "compare-shift",
    "import-splits",
    "export-splits",
    "datasets",
    "backbones",
    "methods",
    "metrics",
]
QUICK = ["--steps", "3", "--set", "train.batch_size=16", "--workers", "1", "--embedding-dim", "6"]


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def fails(message: str, *arguments: object) -> None:
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    flat = " ".join(result.output.split())
    assert message in flat, flat


@pytest.fixture(scope="module")
def ladder(vectors_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("splits") / "points"
    result = call("make-splits", f"embeddings:{vectors_file}", "--levels", 3, "--episodes", 2, "--out", folder)
    assert result.exit_code == 0, result.output
    return folder


def test_three_commands_lead_from_vectors_to_a_report(ladder: Path, tmp_path: Path) -> None:
    assert {file.name for file in ladder.iterdir()} == {"ladder.json", "episodes.parquet", "progression.png"}
    swept = call("sweep", ladder, "--methods", "frozen,margin", "--seeds", 2, "--out", tmp_path / "sweep", *QUICK)
    assert swept.exit_code == 0, swept.output
    assert "margin" in swept.output and "9 executed now" in swept.output
    reported = call("report", tmp_path / "sweep")
    assert reported.exit_code == 0, reported.output
    page = tmp_path / "sweep" / "report" / "index.html"
    assert page.exists() and str(page) in reported.output
    board = oodml.read_leaderboard(page.parent)
    assert set(board["method"]) == {"frozen", "margin"}
    assert "ags_recall_at_1" in set(board["metric"])


def test_an_unfinished_sweep_is_reported_with_its_gaps(ladder: Path, tmp_path: Path) -> None:
    call("sweep", ladder, "--methods", "margin,triplet", "--seeds", 2, "--out", tmp_path, *QUICK)
    gone = [p for p in sorted((tmp_path / "runs").iterdir()) if "triplet" in str(oodml.read_runs(p)["method"].iloc[0])]
    gone[0].unlink()
    assert call("report", tmp_path).exit_code == 0
    board = oodml.read_leaderboard(tmp_path / "report").query("metric == 'recall_at_1' and method == 'triplet'")
    assert sorted(board["n"]) == [1, 2, 2] and set(board["n_planned"]) == {2}
    text = (tmp_path / "report" / "report.md").read_text()
    assert "1/2" in text


def test_a_report_of_some_methods_keeps_the_others_in_the_leaderboard(ladder: Path, tmp_path: Path) -> None:
    call("sweep", ladder, "--methods", "frozen,margin,triplet", "--seeds", 1, "--out", tmp_path, *QUICK)
    assert call("report", tmp_path, "--methods", "frozen,study").exit_code == 0
    text = (tmp_path / "report" / "report.md").read_text()
    assert "margin" in text and "triplet" not in text
    assert set(oodml.read_leaderboard(tmp_path / "report")["method"]) == {"frozen", "margin", "triplet"}
    fails("known: frozen, margin, triplet", "report", tmp_path, "--methods", "arcface")


def test_the_dry_run_writes_nothing(ladder: Path, tmp_path: Path) -> None:
    result = call("sweep", ladder, "--methods", "margin", "--out", tmp_path / "x", "--dry-run", *QUICK)
    assert result.exit_code == 0, result.output
    assert "9 planned, 9 to do" in result.output and "time: about" in result.output
    assert not (tmp_path / "x").exists()


def test_a_config_file_gives_the_same_runs_as_the_flags(ladder: Path, tmp_path: Path) -> None:
    config = tmp_path / "sweep.toml"
    config.write_text(
        'methods = ["margin"]\nseeds = 1\nsteps = 3\nembedding_dim = 6\nworkers = 1\n'
        "[margin]\nbeta = 1\n[train]\nbatch_size = 16\n"
    )
    by_file = call("sweep", ladder, "--config", config, "--out", tmp_path / "file")
    flags = ["--methods", "margin", "--seeds", "1", "--set", "margin.beta=1.0", *QUICK]
    by_flags = call("sweep", ladder, *flags, "--out", tmp_path / "flags")
    assert by_file.exit_code == by_flags.exit_code == 0, by_file.output + by_flags.output
    ids = [{path.name for path in (tmp_path / name / "runs").iterdir()} for name in ("file", "flags")]
    assert ids[0] == ids[1] and len(ids[0]) == 3


def test_mistakes_in_names_are_explained(ladder: Path, tmp_path: Path) -> None:
    out = ["--out", tmp_path]
    fails("unknown dataset 'glyfs'; did you mean 'glyphs'?", "make-splits", "glyfs", *out)
    fails("should be written as folder:PATH", "make-splits", "folder", *out)
    fails("unknown option of dataset 'glyphs' 'clases'", "make-splits", "glyphs", "--dataset-args", "clases=9", *out)
    fails("--initial 'sideways'", "make-splits", "glyphs", "--initial", "sideways", *out)
    fails("--shots 'two'", "make-splits", "glyphs", "--shots", "two", *out)
    fails("unknown removal rule", "make-splits", "glyphs", "--removal-rule", "x", *out)
    fails("need --embedder", "make-splits", "glyphs", "--no-pretrained", *out)
    fails("unknown backbone", "make-splits", "glyphs", "--embedder", "resnet5o.tv_in1k", *out)
    fails("unknown method 'margn'; did you mean 'margin'", "sweep", ladder, "--methods", "margn", *out)
    fails("unknown option of method 'margin' 'bta'", "sweep", ladder, "--set", "margin.bta=1", *out)
    fails("unknown training option 'stps'", "sweep", ladder, "--set", "train.stps=1", *out)
    fails("unknown preset 'qick'", "sweep", ladder, "--preset", "qick", *out)
    fails("unknown selection 'best'", "sweep", ladder, "--selection", "best", *out)
    fails("--seeds 'few'", "sweep", ladder, "--seeds", "few", *out)
    fails("has no level '12'", "sweep", ladder, "--levels", "12", *out)
    fails("holds ready-made vectors", "sweep", ladder, "--backbone", "test_resnet", *out)
    fails("device 'tpu'", "sweep", ladder, "--device", "tpu", *out)
    fails("--mean '1,2'", "sweep", ladder, "--mean", "1,2", *out)
    assert not list(tmp_path.iterdir())


def test_mistakes_in_files_are_explained(ladder: Path, tmp_path: Path) -> None:
    config = tmp_path / "sweep.toml"
    config.write_text("methds = 3")
    fails("unknown key in", "sweep", ladder, "--config", config)
    fails("is not a sweep folder", "report", tmp_path)
    fails("no-such-ladder", "sweep", "no-such-ladder")
    np.savez(tmp_path / "bad.npz", embeddings=np.full((40, 3), np.nan), labels=np.repeat(np.arange(10), 4))
    fails("row 0", "make-splits", f"embeddings:{tmp_path / 'bad.npz'}")
    few = np.random.default_rng(0).normal(size=(12, 3))
    np.savez(tmp_path / "few.npz", embeddings=few, labels=np.repeat(np.arange(4), 3))
    fails("has 4 classes; at least 8 are needed", "make-splits", f"embeddings:{tmp_path / 'few.npz'}")
    fails("there is no", "make-splits", f"embeddings:{tmp_path / 'none.npz'}")


def test_an_edited_or_newer_ladder_is_refused(ladder: Path, tmp_path: Path) -> None:
    document = json.loads((ladder / "ladder.json").read_text())
    document["schema_version"] = 99
    (tmp_path / "ladder.json").write_text(json.dumps(document))
    (tmp_path / "episodes.parquet").write_bytes((ladder / "episodes.parquet").read_bytes())
    fails("99", "sweep", tmp_path, "--out", tmp_path / "out")
    document["schema_version"] = 1
    level = document["levels"][0]
    level["train"], level["test"] = level["train"][1:], [*level["test"], level["train"][0]]
    (tmp_path / "ladder.json").write_text(json.dumps(document))
    fails("edited", "sweep", tmp_path, "--out", tmp_path / "out")


def test_a_different_ladder_is_not_overwritten_unless_forced(vectors_file: Path, ladder: Path) -> None:
    spec = f"embeddings:{vectors_file}"
    same = call("make-splits", spec, "--levels", 3, "--episodes", 2, "--out", ladder)
    assert same.exit_code == 0, same.output
    fails("--out", "make-splits", spec, "--levels", 3, "--episodes", 2, "--seed", 5, "--out", ladder)


def test_runs_that_failed_show_in_the_exit_code(ladder: Path, tmp_path: Path) -> None:
    result = call("sweep", ladder, "--methods", "margin", "--set", "margin.beta=3e38", "--out", tmp_path, *QUICK)
    assert result.exit_code == 1
    assert "diverged" in result.output and "--retry-failed" in result.output


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "oodml", *map(str, arguments)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        start_new_session=True,
        # tests in the background of a shell inherit that Ctrl-C is ignored; a user's terminal does not
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_for_runs(out: Path, count: int, process: subprocess.Popen[str]) -> None:
    wait_for(lambda: len(list((out / "runs").glob("*.parquet"))) >= count, process)


def rows(out: Path) -> pd.DataFrame:
    columns = ["run_id", "metric", "method", "level", "seed", "value", "status"]
    return oodml.read_runs(out)[columns].sort_values(["run_id", "metric"]).reset_index(drop=True)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_sweep_ends_with_the_same_rows_as_an_undisturbed_one(
    ladder: Path, tmp_path: Path, workers: int
) -> None:
    arguments = ["--methods", "margin,triplet", "--seeds", 8, "--steps", 40, "--set", "train.batch_size=16"]
    arguments += ["--workers", workers, "--checkpoint-every", 0.1]
    calm = call("sweep", ladder, *arguments, "--out", tmp_path / "calm")
    assert calm.exit_code == 0, calm.output
    for count in (1, 11):
        process = start("sweep", ladder, *arguments, "--out", tmp_path / "killed")
        wait_for_runs(tmp_path / "killed", count, process)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)  # its workers hold the pipe: they have to end too
    assert len(rows(tmp_path / "killed")) < len(rows(tmp_path / "calm"))
    resumed = call("sweep", ladder, *arguments, "--out", tmp_path / "killed")
    assert resumed.exit_code == 0, resumed.output
    assert "48 planned" in resumed.output and "0 were there already" not in resumed.output
    pd.testing.assert_frame_equal(rows(tmp_path / "killed"), rows(tmp_path / "calm"))


@pytest.mark.parametrize("finished", [0, 2], ids=["while the workers start", "in the middle"])
def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(ladder: Path, tmp_path: Path, finished: int) -> None:
    arguments = ["--methods", "margin", "--seeds", 30, "--steps", 40, "--workers", 2, "--out", tmp_path]
    process = start("sweep", ladder, *arguments)
    wait_for((tmp_path / "plan.parquet").exists, process)
    time.sleep(0 if finished else 0.8)
    wait_for_runs(tmp_path, finished, process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 130, output
    assert "Traceback" not in output and "the same command goes on" in output
    before = len(list((tmp_path / "runs").iterdir()))
    arguments[arguments.index("--seeds") + 1] = 1
    assert call("sweep", ladder, *arguments).exit_code == 0
    assert before >= finished


@pytest.mark.parametrize("command", [["cli.py"], ["-m", "oodml"]])
def test_the_program_is_the_same_however_it_is_started(command: list[str]) -> None:
    text = subprocess.run([sys.executable, *command, "--help"], capture_output=True, text=True, cwd=ROOT, check=True)
    rows = [line.strip(" │").split(" ")[0] for line in text.stdout.splitlines()]
    assert [row for row in rows if row in COMMANDS] == COMMANDS


def test_help_does_not_load_the_heavy_packages() -> None:
    code = (
        "import sys; sys.argv = ['oodml', '--help']\n"
        "from oodml.app import app\n"
        "try: app()\n"
        "except SystemExit: pass\n"
        "bad = {'torch', 'timm', 'pandas', 'scipy', 'matplotlib', 'pyarrow', 'numpy'} & set(sys.modules)\n"
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


def test_names_are_listed() -> None:
    listed = call("datasets")
    assert listed.exit_code == 0 and "glyphs" in listed.output and "folder:PATH" in listed.output
    shown = call("methods").output
    assert all(name in shown for name in names("method"))
    found = call("backbones", "resnet50.tv")
    assert found.exit_code == 0 and "resnet50.tv_in1k" in found.output
    fails("unknown backbone", "backbones", "nothing-like-this")


def test_an_output_folder_that_cannot_be_written_is_named(ladder: Path, vectors_file: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for command in (["sweep", ladder, *QUICK], ["make-splits", f"embeddings:{vectors_file}"]):
        fails(str(tmp_path / "file"), *command, "--out", tmp_path / "file" / "inside")
    if os.geteuid() != 0:  # root may write anywhere
        locked = tmp_path / "locked"
        locked.mkdir(mode=0o500)
        fails("permission denied", "sweep", ladder, *QUICK, "--out", locked)
