"""What a new user types, for real: the demo, an installed package, real image sets. Minutes long."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import oodml

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"
MOBILENET = [
    *("mobilenetv2_100", "--weights", str(SHARED / "weights" / "mobilenetv2_100.imagenet.safetensors")),
    *("--backbone-args", "pad_type=same", "--mean", "0.5", "--std", "0.5", "--image-size", "96"),
]
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the folder `shared` beside the checkout")


def run(*command: object, cwd: Path = ROOT, **env: str) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, cwd=cwd, env={**os.environ, **env}, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_demo_shows_every_trained_method_losing_recall_as_the_shift_rises() -> None:
    run("rm", "-rf", "build/demo")
    text = run("make", "demo")
    assert "build/demo/report/index.html" in text
    board = oodml.read_leaderboard(ROOT / "build" / "demo" / "report")
    cells = board[(board["metric"] == "recall_at_1") & (board["method"] != "frozen")]
    assert (cells["n"] == cells["n_planned"]).all() and cells["n"].min() >= 2
    means = cells.pivot_table(index="method", columns="level", values="mean")
    assert len(means) >= 3
    assert (means[0] - means[means.columns.max()] >= 0.08).all(), means


def test_an_installed_package_works_without_the_checkout(tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", ROOT)
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    # the dependencies are those of this environment; the package itself is the installed copy
    (Path(site) / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    where = run(python, "-c", "import oodml; print(oodml.__file__)", cwd=tmp_path)
    assert where.startswith(site)
    program = tmp_path / "venv" / "bin" / "oodml"
    assert "make-splits" in run(program, "--help", cwd=tmp_path)
    run(program, "make-splits", "glyphs", "--levels", "2", "--episodes", "0", "--out", "ladder", cwd=tmp_path)
    sweep = ["--methods", "margin", "--seeds", "1", "--steps", "2", "--out", "sweep"]
    run(program, "sweep", "ladder", *sweep, cwd=tmp_path)
    run(program, "report", "sweep", cwd=tmp_path)
    assert (tmp_path / "sweep" / "report" / "index.html").stat().st_size > 10_000


@needs_shared
def test_three_commands_on_photographs_with_a_pretrained_network(tmp_path: Path) -> None:
    splits = ["--levels", "2", "--episodes", "1", "--superclasses", SHARED / "data" / "grocery96_classes.csv"]
    program = [sys.executable, "-m", "oodml"]
    archive = f"folder:{SHARED / 'data' / 'grocery96.zip'}"
    run(*program, "make-splits", archive, "--embedder", *MOBILENET, *splits, "--out", tmp_path / "ladder")
    ladder = oodml.load_ladder(tmp_path / "ladder")
    assert ladder.embedder["weights"].startswith("sha256:")
    assert max(level.reference["recall_at_1"] for level in ladder.levels) > 0.75
    sweep = ["--methods", "frozen,multisimilarity", "--seeds", "1", "--steps", "4", "--backbone", *MOBILENET]
    run(*program, "sweep", tmp_path / "ladder", *sweep, "--out", tmp_path / "sweep")
    runs = oodml.read_runs(tmp_path / "sweep").query("metric == 'recall_at_1'")
    frozen = runs[runs["method"] == "frozen"].set_index("level")["value"]
    for level in ladder.levels:  # the same network, the same images, the same metric: the same number
        assert frozen[level.index] == pytest.approx(level.reference["recall_at_1"], abs=2e-3)


@needs_shared
def test_three_commands_on_omniglot_from_scratch(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "oodml"]
    archive = f"folder:{SHARED / 'data' / 'omniglot.zip'}"
    run(*program, "make-splits", archive, "--levels", "2", "--episodes", "1", "--out", tmp_path / "ladder")
    sweep = ["--methods", "contrastive", "--seeds", "1", "--steps", "4", "--image-size", "32"]
    run(*program, "sweep", tmp_path / "ladder", *sweep, "--out", tmp_path / "sweep")
    run(*program, "report", tmp_path / "sweep")
    assert "contrastive" in (tmp_path / "sweep" / "report" / "report.md").read_text()
