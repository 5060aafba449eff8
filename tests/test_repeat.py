"""The command that repeats runs plans exactly these runs, whatever options they were made with."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from oodml.app import app
from oodml.records import RunSpec
from oodml.repeat import repeat_command
from oodml.splits import load_ladder

SPLITS = Path(__file__).parents[1] / "splits"
CASES = {
    "plain": [],
    "options": ["--set", "margin.beta=0.6", "--set", "train.lr=0.01", "--embedding-dim", "32"],
    "one seed": ["--seeds", "4,"],
    "paper": ["--preset", "paper", "--no-pretrained", "--set", "train.epochs=7"],
    "network": ["--backbone", "resnet18.a1_in1k", "--no-pretrained", "--mean", "0.5", "--std", "0.25"],
    "keywords": ["--backbone", "resnet10t.c3_in1k", "--no-pretrained", "--backbone-args", "stem_width=16"],
    "pixels": ["--backbone", "pixels", "--image-size", "24"],
    "selection": ["--selection", "val", "--set", "train.flip=true", "--steps", "9"],
}


def planned(words: list[str], out: Path, monkeypatch: pytest.MonkeyPatch) -> list[RunSpec]:
    """The runs that a command would do; it stops before the first."""
    found: list[RunSpec] = []
    monkeypatch.setattr("oodml.commands.sweep._show_plan", lambda prepared: found.extend(prepared.specs))
    result = CliRunner().invoke(app, [*words, "--out", str(out), "--dry-run"])
    assert result.exit_code == 0, result.output
    return found


@pytest.mark.parametrize("name", CASES)
def test_the_command_plans_the_same_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ladder = str(SPLITS / "glyphs")
    seeds = [] if "--seeds" in CASES[name] else ["--seeds", "2"]
    first = planned(
        ["sweep", ladder, "--methods", "margin", "--levels", "0,2", *seeds, *CASES[name]], tmp_path, monkeypatch
    )
    command = repeat_command(ladder, load_ladder(ladder).dataset, first)
    words = shlex.split(command)
    assert words[:3] == ["oodml", "sweep", ladder]
    again = planned(words[1:], tmp_path, monkeypatch)
    assert {spec.run_id for spec in again} == {spec.run_id for spec in first}


def test_what_the_preset_says_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ladder = str(SPLITS / "glyphs")
    specs = planned(["sweep", ladder, "--methods", "margin", "--levels", "1", "--seeds", "3"], tmp_path, monkeypatch)
    command = repeat_command("glyphs", "glyphs", specs)
    fixed = "--image-size 32 --set train.flip=false"
    assert command == f"oodml sweep glyphs --methods margin --levels 1 --seeds 0,1,2 {fixed}"
