"""`oodml leaderboard` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from board_case import ALICE, BOB, HOSTILE, make_board, write_board, write_raw
from typer.testing import CliRunner, Result

from oodml.app import app
from oodml.results import read_leaderboard


def call(*arguments: object, width: int = 80) -> Result:
    return CliRunner().invoke(app, ["leaderboard", *map(str, arguments)], env={"COLUMNS": str(width)})


def flat(result: Result) -> str:
    return " ".join(result.output.split())


def fails(message: str, *arguments: object) -> None:
    result = call(*arguments)
    assert result.exit_code == 2 and "Traceback" not in result.output, result.output
    assert message in flat(result), result.output


@pytest.fixture
def alice(tmp_path: Path) -> Path:
    return write_board(tmp_path / "alice", make_board(ALICE, metrics=("recall_at_1", "map_at_r"))).parent


def test_help_shows_examples() -> None:
    assert all(name in call("--help").output for name in ("show", "merge", "validate", "export"))
    for name in ("show", "merge", "validate", "export"):
        assert f"oodml leaderboard {name} " in flat(call(name, "--help"))


def test_show_prints_methods_by_level(alice: Path) -> None:
    result = call("show", alice)
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert any(line.startswith("method 2.00 4.00 10.0 AGS") for line in lines)
    assert "margin .800• .700• .400• .600•" in lines and "frozen .500 .400 .300= .375" in lines
    assert "toy: Recall@1" in lines[0] and lines[-1].startswith("16 rows, toy (ladder aaaa)")
    assert lines.index("margin .800• .700• .400• .600•") < lines.index("frozen .500 .400 .300= .375")


def test_show_one_level_in_detail(alice: Path) -> None:
    words = flat(call("show", alice, "--level", "2", "--metric", "map_at_r"))
    assert "MAP@R" in words and "1 (1–2) margin .400• ± .248 3 −.400" in words
    assert "AGS, all levels" in flat(call("show", alice, "--level", "ags", "--top", "1"))
    assert "frozen" not in call("show", alice, "--level", "ags", "--top", "1").output


def test_show_fits_eighty_columns_whatever_the_names_and_levels(tmp_path: Path) -> None:
    shifts = [(2.0 + i, i / 11) for i in range(12)]
    scores = {HOSTILE + "y" * 60: [[0.5]] * 12, "threshold_consistent_margin": [[0.25]] * 12}
    path = write_board(tmp_path / "wide", make_board(scores, shifts=shifts))
    result = call("show", path)
    assert result.exit_code == 0, result.output
    tables = result.output[: result.output.index("rows, toy")]
    assert max(map(len, tables.splitlines())) <= 80
    assert tables.count(".250") == 13  # twelve levels and the area, in two tables
    assert HOSTILE[:8] in tables


def test_show_as_json(alice: Path) -> None:
    rows = json.loads(call("show", alice, "--metric", "map_at_r", "--methods", "margin", "--json").output)
    assert [row["level"] for row in rows] == [None, 0, 1, 2]
    assert rows[1]["mean"] == pytest.approx(0.8, abs=1e-12) and rows[0]["metric"] == "ags_map_at_r"


def test_validate_says_ok_or_ends_with_two(tmp_path: Path, alice: Path) -> None:
    result = call("validate", alice)
    assert result.exit_code == 0 and f"ok {alice}: 16 rows" in flat(result)
    bad = write_raw(tmp_path / "bad.parquet", make_board(BOB).assign(mean=2.0))
    result = call("validate", alice, bad, tmp_path / "none.parquet")
    assert result.exit_code == 2 and "Traceback" not in result.output
    assert f"ok {alice}" in flat(result) and "row 0 (frozen, all levels, ags_recall_at_1, toy): mean is 2" in flat(
        result
    )
    assert "there is no file" in flat(result)
    many = write_raw(tmp_path / "many.parquet", make_board({f"m{i}": [[2.0]] * 3 for i in range(20)}))
    assert "and 30 more; --all lists them" in flat(call("validate", many))
    assert flat(call("validate", many, "--all")).count("outside 0 to 1") == 80
    fails("nowhere", "validate", alice, "--ladder", tmp_path / "nowhere")


def test_merge_names_contributors_and_keeps_files(tmp_path: Path, alice: Path) -> None:
    bob = write_board(tmp_path / "x=y", make_board(BOB))
    out = tmp_path / "all.parquet"
    result = call("merge", alice, f"Bob Smith={bob}", "--out", out)
    assert result.exit_code == 0, result.output
    assert "by Bob Smith, alice" in flat(result) and str(out) in flat(result)
    frame = read_leaderboard(out)
    assert set(frame["contributor"]) == {"Bob Smith", "alice", "Bob Smith, alice"}
    assert call("merge", bob, "--out", out).exit_code == 0  # a path with "=" that exists is a path
    assert set(read_leaderboard(out)["contributor"]) == {"x=y"}
    assert call("validate", out).exit_code == 0


def test_merge_replaces_nothing_but_leaderboards(tmp_path: Path, alice: Path) -> None:
    other = tmp_path / "notes.parquet"
    other.write_text("mine")
    fails("is not a readable Parquet file", "merge", alice, "--out", other)
    assert other.read_text() == "mine"
    fails("should be a folder that exists, or a file that ends in .parquet", "merge", alice, "--out", tmp_path / "new")
    fails(
        "ladder aaaa in",
        "merge",
        alice,
        write_board(tmp_path / "b", make_board(BOB, ladder_hash="b")),
        "--out",
        "x.parquet",
    )


def test_export_writes_or_prints(tmp_path: Path, alice: Path) -> None:
    for name, start in (("a.csv", "schema_version,"), ("a.md", "**toy: Recall@1"), ("a.tex", "% needs")):
        assert call("export", alice, "--out", tmp_path / name).exit_code == 0
        assert (tmp_path / name).read_text().startswith(start)
    printed = call("export", alice, "--to", "markdown", "--metric", "map_at_r", "--top", "1").output
    assert printed.startswith("**toy: MAP@R") and "frozen" not in printed
    fails("say --to csv", "export", alice)
    fails("unknown metric of the leaderboard", "export", alice, "--to", "latex", "--metric", "nmi")
