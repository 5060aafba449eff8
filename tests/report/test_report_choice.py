"""Which figures a report has, and where they come from."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from figure_texts import svg_texts
from matplotlib.figure import Figure
from report_frames import METHODS, make_section

from oodml.errors import UnknownNameError
from oodml.report.bars import paint_bars
from oodml.report.figure_names import FIGURES, chosen_figures
from oodml.report.inline import inline_svg
from oodml.report.pictures import PAINTERS, draw
from oodml.report.style import LIGHT, drawing, looks
from oodml.report.view import View, views

STEMS = ["r_curve", "r_ags", "r_vs_mean", "r_vs_reference", "r_critical", "r_heat", "r_pareto"]


@pytest.fixture(name="view")
def _view() -> View:
    return views(make_section(count=3, methods=METHODS[:3]))[0]


@pytest.fixture(name="_quick")
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pictures: drawing takes most of the time."""
    monkeypatch.setattr("oodml.report.export.render", lambda figure, kind: kind.encode())


@pytest.mark.usefixtures("_quick")
def test_all_figures_come_in_the_order_of_their_names(view: View, tmp_path: Path) -> None:
    made = draw(tmp_path, "x", view, "recall_at_1", METHODS, seconds=dict.fromkeys(METHODS, 5.0))
    expected = [f"x_recall_at_1{stem[1:]}" for stem in STEMS]
    assert [picture.stem for picture in made] == [*expected, "x_ladder"]
    assert set(PAINTERS) == set(FIGURES) and len(made) == len(FIGURES)
    assert all(picture.caption and picture.alt and picture.title for picture in made)


@pytest.mark.usefixtures("_quick")
def test_a_choice_is_drawn_alone_and_in_the_same_order(view: View, tmp_path: Path) -> None:
    made = draw(tmp_path, "x", view, "recall_at_1", METHODS, figures=["ladder", "ags", "ags"])
    assert [picture.stem for picture in made] == ["x_recall_at_1_ags", "x_ladder"]
    assert sorted({path.stem for path in tmp_path.iterdir()}) == ["x_ladder", "x_recall_at_1_ags"]


def test_an_unknown_figure_is_named_before_anything_is_drawn(view: View, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown figure 'curve'; did you mean 'curves'"):
        draw(tmp_path, "x", view, "recall_at_1", METHODS, figures=["ags", "curve"])
    assert not list(tmp_path.iterdir())
    assert chosen_figures(None) == tuple(FIGURES)


def test_names_of_figures_cost_no_matplotlib() -> None:
    code = "import sys, oodml.report.figure_names, oodml.report.pictures\n"
    code += "assert not {'matplotlib', 'pandas', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.usefixtures("_quick")
def test_a_figure_with_nothing_to_show_is_left_out(tmp_path: Path) -> None:
    nothing = {(m, i): 0 for m in METHODS for i in range(3)}
    (view,) = views(make_section(count=3, reference=False, done=nothing))
    made = draw(tmp_path, "x", view, "recall_at_1", METHODS, seconds=dict.fromkeys(METHODS, 5.0))
    assert [picture.stem for picture in made] == ["x_recall_at_1_curve", "x_recall_at_1_ags", "x_ladder"]


def test_the_ladder_shows_levels_and_null_in_the_colours_of_the_page(view: View, tmp_path: Path) -> None:
    (picture,) = draw(tmp_path, "x", view, "recall_at_1", METHODS, figures=["ladder"])
    texts = svg_texts(picture.svg)
    assert {"shift", "swapping", "Levels"} <= set(texts) and any(text.startswith("random sides") for text in texts)
    shown = inline_svg(picture, "p")
    assert LIGHT.ink.encode() in picture.svg and LIGHT.ink not in shown and "var(--fig-ink)" in shown
    assert "random relabelling" in picture.caption
    unknown = replace(view, levels=tuple(replace(level, null_mean=float("nan")) for level in view.levels))
    (bare,) = draw(tmp_path, "x", unknown, "recall_at_1", METHODS, figures=["ladder"])
    assert "relabelling" not in bare.caption


def test_bars_of_many_methods_are_all_named_and_grey_beyond_the_best(tmp_path: Path) -> None:
    many = (*(f"method_{i:02d}" for i in range(51)), "frozen")
    (view,) = views(make_section(methods=many, count=2))
    (picture,) = draw(tmp_path, "x", view, "recall_at_1", many, figures=["ags"])
    assert set(many) <= set(svg_texts(picture.svg))
    bars = re.findall(rb'id="m\d+-bar">.*?fill: (#\w+)', picture.svg, flags=re.DOTALL)
    assert len(bars) == 52
    assert bars.count(LIGHT.other.encode()) == 43
    assert picture.height < 900


def test_bars_of_negative_scores_reach_to_the_left(view: View) -> None:
    below = replace(view, ags={key: replace(cell, mean=-0.5, low=-0.6, high=-0.4) for key, cell in view.ags.items()})
    with drawing():
        figure: Figure = paint_bars(below, "recall_at_1", looks(METHODS, LIGHT), LIGHT)
    low, high = figure.axes[0].get_xlim()
    assert low < -0.6 and high == 0.0
    assert [patch.get_width() for patch in figure.axes[0].patches] == [-0.5] * 3  # type: ignore[attr-defined]


def test_a_colour_that_returns_is_hollow(view: View) -> None:
    later = (*(f"other_{i}" for i in range(8)), "arcface")
    with drawing():
        figure = paint_bars(view, "recall_at_1", looks(later, LIGHT), LIGHT)
    (bar,) = [patch for patch in figure.axes[0].patches if patch.get_gid() == "m0-bar"]
    assert bar.get_linewidth() > 0 and bar.get_facecolor()[:3] == (1.0, 1.0, 1.0)
