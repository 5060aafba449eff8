"""Figures in the page's markup: ids of their own, colours of the page, nothing that reaches beyond them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from report_frames import make_section

from oodml.report.export import Picture, PicturePoint
from oodml.report.inline import figure_colours, inline_svg
from oodml.report.page import plot_data
from oodml.report.pictures import draw
from oodml.report.style import DARK, LIGHT
from oodml.report.view import views

HOSTILE = "</script><b>&$x_1$"


@pytest.fixture(scope="module", name="picture")
def _picture(tmp_path_factory: pytest.TempPathFactory) -> Picture:
    (view,) = views(make_section(count=3, methods=("contrastive", "margin", HOSTILE)))
    return draw(tmp_path_factory.mktemp("figures"), "toy", view, "recall_at_1", view.methods)[0]


def test_ids_and_references_get_the_prefix_and_match(picture: Picture) -> None:
    svg = inline_svg(picture, "first")
    ids = re.findall(r'\bid="([^"]+)"', svg)
    assert ids and all(name.startswith("first-") for name in ids) and len(set(ids)) == len(ids)
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    assert used and used <= set(ids)
    assert not set(ids) & set(re.findall(r'\bid="([^"]+)"', inline_svg(picture, "second")))


def test_every_method_has_groups_that_a_script_finds(picture: Picture) -> None:
    svg = inline_svg(picture, "p")
    assert set(re.findall(r'data-series="(\d+)"', svg)) == {"0", "1", "2"}


def test_colours_of_a_theme_become_variables_and_nothing_else_changes(picture: Picture) -> None:
    svg = inline_svg(picture, "p")
    left = set(re.findall(r"#[0-9a-f]{6}\b", svg))
    assert not left & {LIGHT.ink, LIGHT.muted, LIGHT.line, LIGHT.page, *LIGHT.colours}
    named = {name: (light, dark) for name, light, dark in figure_colours()}
    assert set(re.findall(r"var\((--[\w-]+)\)", svg)) <= set(named)
    assert named["--fig-ink"] == (LIGHT.ink, DARK.ink) and named["--fig-0"] == (LIGHT.colours[0], DARK.colours[0])


def test_rules_and_text_stay_inside(picture: Picture) -> None:
    svg = inline_svg(picture, "p")
    assert "<style" not in svg and "<script" not in svg and "<b>" not in svg
    assert svg.startswith("<svg ") and svg.rstrip().endswith("</svg>")
    assert f'width="{picture.width}"' in svg and 'role="img"' in svg


def test_data_of_a_plot_are_json_that_cannot_close_its_element(picture: Picture) -> None:
    text = str(plot_data(picture))
    assert "<" not in text
    data = json.loads(text)
    assert set(data["methods"].values()) == {"contrastive", "margin", HOSTILE}
    assert len(data["points"]) == 9


def test_a_point_says_value_interval_seeds_and_level() -> None:
    point = PicturePoint("margin", 4, 2, 5.9, 0.8541, 0.84, 0.868, 3, 10.04, 20.0)
    picture = Picture("s", "t", "a", "c", b"", 1, 1, (point,))
    data = json.loads(str(plot_data(picture)))
    assert data["methods"] == {"4": "margin"}
    assert data["points"] == [[4, 10.0, 20.0, "0.854 \u00b1 0.014, n=3; level 2, shift 5.90"]]


def test_styles_of_the_page_name_every_colour() -> None:
    sheet = Path("oodml/report/style.css.j2")
    text = (Path(__file__).parents[2] / sheet).read_text(encoding="utf-8")
    assert text.count("for name, light, dark in figure_colours") == 2  # light and dark
