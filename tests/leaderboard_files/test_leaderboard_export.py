"""Tables for papers and pages: best and ties, gaps, special characters, the order of rows."""

from __future__ import annotations

import csv
import html
import io
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from board_case import ALICE, HOSTILE, make_board, write_board

from oodml.errors import ResultsError, UnknownNameError, UsageError
from oodml.leaderboard_files import exporting
from oodml.leaderboard_files.latex import escape
from oodml.leaderboard_files.selecting import Filters, select_rows
from oodml.leaderboard_files.standing import standings
from oodml.results import read_leaderboard

LATEX_COMMANDS = {
    *("begin", "end", "centering", "caption", "textbf", "toprule", "midrule", "bottomrule", "usepackage"),
    *("textbackslash", "textasciicircum", "textasciitilde", "textless", "textgreater", "textbar", "textasciigrave"),
    *("pm", "dagger", "rho", "downarrow", "Delta", "ldots"),
}
RANGES = {"best": (1, 1, 2), "close": (2, 1, 3), "far": (3, 3, 3)}


@pytest.fixture
def board() -> pd.DataFrame:
    """Three methods of which two tie at every level; the last lacks a seed at level 2 and so has no area."""
    scores = {"best": [[0.9], [0.8], [0.7]], "close": [[0.89], [0.79], [0.69]], "far": [[0.3], [0.2], [0.1]]}
    frame = make_board(scores)
    for method, ranks in RANGES.items():
        for name, rank in zip(("rank", "rank_low", "rank_high"), ranks, strict=True):
            frame.loc[frame["method"] == method, name] = rank
    gap = (frame["method"] == "far") & (frame["level"].isna() | frame["level"].eq(2))
    frame.loc[gap, ["mean", "rank", "rank_low", "rank_high"]] = None
    frame.loc[gap, ["n", "n_planned"]] = [0, 1]
    frame.loc[(frame["method"] == "far") & frame["level"].eq(1), "n_planned"] = 2
    return frame


def test_markdown_by_hand(board: pd.DataFrame) -> None:
    text, hidden = exporting.export(board, "markdown")
    assert hidden == []
    lines = text.splitlines()
    assert lines[0] == "**toy: Recall@1, no labelled test images, weights of the last step**"
    assert lines[2:7] == [
        r"| method | 0\* (shift 2.00) | 1 (shift 4.00) | 2 (shift 10.0) | AGS |",
        "|---|---:|---:|---:|---:|",
        "| best | **0.900** | **0.800** | **0.700** | **0.775** |",
        "| close | 0.890† | 0.790† | 0.690† | 0.765† |",
        "| far | 0.300 | 0.200 (1/2) | – | – |",
    ]
    assert "Bold: the best mean of its column. †: Welch's t-test" in lines[8] and "In brackets" in lines[8]


def test_latex_by_hand(board: pd.DataFrame) -> None:
    text, _ = exporting.export(board, "latex")
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")].splitlines()[1:-1]
    assert [line.strip() for line in body] == [
        r"best & \textbf{0.900} & \textbf{0.800} & \textbf{0.700} & \textbf{0.775} \\",
        r"close & 0.890$^{\dagger}$ & 0.790$^{\dagger}$ & 0.690$^{\dagger}$ & 0.765$^{\dagger}$ \\",
        r"far & 0.300 & 0.200 (1/2) & -- & -- \\",
    ]
    assert r"correction at 5 \% does not tell it from the best" in text


def test_ties_are_not_marked_where_everything_ties(board: pd.DataFrame) -> None:
    board.loc[board["rank"].notna(), "rank_low"] = 1
    text, _ = exporting.export(board, "markdown")
    assert "†" not in text and "tells no value from the best of its column" in text


def test_intervals_are_of_the_rows() -> None:
    text, _ = exporting.export(make_board(ALICE), "markdown", intervals=True)
    assert "| margin | **0.800** ± 0.248 |" in text and "±: 95 % Student's t over seeds." in text
    text, _ = exporting.export(make_board(ALICE), "latex", intervals=True)
    assert r"margin & \textbf{0.800} $\pm$ 0.248 &" in text


def check_latex(text: str) -> None:
    """Balanced braces, formulas and environments, known commands only, as many cells as columns in every row."""
    text = re.sub(r"(?m)^%.*$", "", text)
    plain = re.sub(r"\\[{}_&#$%\\]", "", text)
    depth = 0
    for character in plain:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    assert plain.count("$") % 2 == 0
    assert (
        re.findall(r"\\begin\{(\w+)\}", text)
        == list(reversed(re.findall(r"\\end\{(\w+)\}", text)))[: text.count("begin{")]
    )
    assert set(re.findall(r"\\([A-Za-z]+)", text)) <= LATEX_COMMANDS
    outside = re.sub(r"\$[^$]*\$", "", plain)
    assert not set("#%^_~") & set(outside)
    [columns] = re.findall(r"\\begin\{tabular\}\{(l+r*)\}", text)
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert rows
    for row in rows:
        assert len(re.findall(r"(?<!\\)&", row)) + 1 == len(columns), row


def test_special_characters_come_through_latex(board: pd.DataFrame) -> None:
    check_latex(exporting.export(board, "latex")[0])
    frame = make_board({HOSTILE: ALICE["margin"], "[x] \u200b*\nnew": ALICE["frozen"]}, metrics=("rho_1",))
    text, _ = exporting.export(frame, "latex", intervals=True)
    check_latex(text)
    assert r"\textless{}b\textgreater{}\&\_\#\$\%\{x\}\textbackslash{}\textasciitilde{}\textasciicircum{}" in text
    assert "{}[x] * new &" in text  # a bracket after \\ would be its option
    assert r"spectral decay $\rho$(1) $\downarrow$" in text


def test_escaped_latex_is_never_a_command() -> None:
    assert escape("\\input{x}") == r"\textbackslash{}input\{x\}"
    assert escape("a\tb\n c\x07") == "a b c"


def test_special_characters_come_through_markdown() -> None:
    frame = make_board({HOSTILE: ALICE["margin"], "a\nb": ALICE["frozen"]})
    text, _ = exporting.export(frame, "markdown")
    assert "<" not in text and ">" not in text
    rows = [line for line in text.splitlines() if line.startswith("| ") and "shift" not in line]
    assert len(rows) == 2 and all(len(re.findall(r"(?<!\\)\|", row)) == 6 for row in rows)
    shown = re.split(r"(?<!\\)\|", next(row for row in rows if "b&gt;" in row))[1].strip()
    assert html.unescape(re.sub(r"\\([^A-Za-z0-9\s&])", r"\1", shown)) == HOSTILE
    assert "| a b |" in text


def test_csv_holds_everything(tmp_path: Path) -> None:
    frame = make_board({HOSTILE: ALICE["margin"], "frozen": ALICE["frozen"]}, metrics=("recall_at_1", "map_at_r"))
    path = write_board(tmp_path, frame)
    text, _ = exporting.export(read_leaderboard(path), "csv")
    rows, board = list(csv.DictReader(io.StringIO(text))), read_leaderboard(path)
    assert list(rows[0]) == list(board.columns)
    assert [float(row["mean"]) for row in rows] == board["mean"].tolist()
    assert [row["method"] for row in rows] == board["method"].tolist()
    assert [row["level"] for row in rows] == ["" if level is pd.NA else str(level) for level in board["level"]]


def test_formats_are_chosen_by_name_or_suffix() -> None:
    assert exporting.choose_format(None, Path("a.TEX")) == "latex"
    assert exporting.choose_format("csv", Path("a.tex")) == "csv"
    with pytest.raises(UsageError, match=r"a\.txt ends in none of \.csv"):
        exporting.choose_format(None, Path("a.txt"))
    with pytest.raises(UsageError, match="say --to csv"):
        exporting.choose_format(None, None)
    with pytest.raises(UnknownNameError, match="did you mean 'latex'"):
        exporting.choose_format("latec", None)


def test_order_of_rows(board: pd.DataFrame) -> None:
    [found], _ = standings(board)

    def order(key: str | None) -> list[str]:
        return [label for label, _ in found.sorted_by(key).rows]

    assert order(None) == order("ags") == order("0") == order("0*") == ["best", "close", "far"]
    board.loc[(board["method"] == "far") & board["level"].eq(0), "mean"] = 0.95
    [found], _ = standings(board)
    assert order("0") == ["far", "best", "close"]
    assert order("2") == ["best", "close", "far"]  # without a value last
    assert order("method") == sorted(RANGES)
    with pytest.raises(UnknownNameError, match="--sort"):
        order("7")
    [lower], _ = standings(make_board({"a": [[2.0]] * 3, "b": [[1.0]] * 3}, metrics=("rho_1",)))
    assert [label for label, _ in lower.sorted_by(None).rows] == ["b", "a"]


def test_filters_keep_rows() -> None:
    frame = make_board(ALICE, metrics=("recall_at_1", "map_at_r"))
    assert len(select_rows(frame, Filters())) == len(frame) == 2 * 2 * 4
    assert len(select_rows(frame, Filters(metrics=["map_at_r"]))) == 2 * 4  # with its area
    assert set(select_rows(frame, Filters(levels=["ags"]))["metric"]) == {"ags_recall_at_1", "ags_map_at_r"}
    assert set(select_rows(frame, Filters(levels=["default", "2"]))["level"]) == {0, 2}
    assert set(select_rows(frame, Filters(methods=["study"]))["method"]) == {"margin"}
    assert set(select_rows(frame, Filters(methods=["frozen"]))["method"]) == {"frozen"}
    for filters, message in (
        (Filters(metrics=["map"]), "metric of the leaderboard 'map'"),
        (Filters(levels=["9"]), "level of the leaderboard '9'"),
        (Filters(methods=["arcface"]), "method of the leaderboard 'arcface'"),
        (Filters(selections=["oracle"]), "selection of the leaderboard 'oracle'"),
        (Filters(shots=2), "number of shots of the leaderboard '2'"),
    ):
        with pytest.raises(UnknownNameError, match=message):
            select_rows(frame, filters)
    odd = pd.concat([frame[frame["level"].eq(0)], frame[frame["method"] == "frozen"]])
    with pytest.raises(ResultsError, match="no row of the leaderboard passes all filters"):
        select_rows(odd, Filters(methods=["margin"], levels=["2"]))


def test_damaged_rows_are_shown_or_explained(board: pd.DataFrame) -> None:
    board.loc[1, ["n", "n_planned"]] = pd.NA
    assert "| close |" in exporting.export(board, "markdown")[0]
    for config in ("{", "[1]"):
        with pytest.raises(ResultsError, match=r"column config.*oodml leaderboard validate"):
            exporting.export(board.assign(config=[config, *board["config"][1:]]), "latex")


def test_settings_are_tables_of_their_own() -> None:
    few: dict[str, Any] = {"setting": "few_shot", "shots": 5, "adapter": "ridge", "episode": 0}
    both = pd.concat([make_board(ALICE, **few), make_board(ALICE), make_board(ALICE, selection="oracle")])
    [found], hidden = standings(both)
    assert found.setting == "no labelled test images, weights of the last step"
    assert hidden == [
        "toy: 5 labelled images per class, adapted by ridge, weights of the last step",
        "toy: no labelled test images, weights picked on the test classes (oracle)",
    ]
    [found], hidden = standings(both[both["setting"] == "few_shot"])
    assert found.setting.startswith("5 labelled images") and hidden == []
    two = pd.concat([make_board(ALICE), make_board(ALICE, benchmark="zoo", ladder_hash="bbbb")])
    assert [standing.benchmark for standing in standings(two)[0]] == ["toy", "zoo"]
