"""The page in a real headless browser: phone and wide screen, light and dark."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from few_shot_case import few_shot_rows, few_shot_section
from report_frames import METHODS, make_section

from oodml.report import Failure, write_report

pytestmark = pytest.mark.slow
LONG = "a_method_with_a_very_long_name_and_no_blank (resnet50.tv_in1k, beta=0.6)"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
SHAPES = [(390, 844), (1440, 900)]


@pytest.fixture(scope="module", name="browser")
def _browser() -> Iterator[Any]:
    names = ("chromium", "chromium-browser", "google-chrome")
    binary = next((path for path in map(shutil.which, names) if path), None)
    if binary is None:
        pytest.skip("no chromium or chrome is installed")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module", name="address")
def _address(tmp_path_factory: pytest.TempPathFactory) -> str:
    failures = [Failure("triplet", 4, 0, "failed", "x" * 300 + " <img src=https://example.org/x.png onerror=alert(1)>")]
    one = make_section(methods=(*METHODS, LONG), done={("triplet", 4): 2}, failures=failures, behind=True)
    two = make_section(benchmark="other", methods=METHODS[:2], count=2)
    rows = few_shot_rows((*METHODS[:4], LONG), adapters={"linear": 1.0, "ncm": 0.5}, shots=(5,))
    return write_report([one, two, few_shot_section(rows)], tmp_path_factory.mktemp("page")).as_uri()


@pytest.fixture(name="opened", params=[(s, c) for s in SHAPES for c in ("light", "dark")], ids=str)
def _opened(request: pytest.FixtureRequest, browser: Any, address: str) -> Iterator[tuple[Any, str]]:
    """The page, loaded; nothing may be logged or fetched on the way."""
    (width, height), scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    trouble: list[str] = []
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    yield page, scheme
    assert trouble == []
    assert [url for url in asked if not url.startswith("data:")] == [address]
    context.close()


def luminance(page: Any, selector: str, style: str) -> float:
    """Mean of the colour's channels, 0 to 255."""
    code = "([s, p]) => getComputedStyle(document.querySelector(s))[p].match(/\\d+/g).slice(0, 3).map(Number)"
    channels = page.evaluate(code, [selector, style])
    return float(sum(channels) / 3)


def test_nothing_is_wider_than_the_screen(opened: tuple[Any, str]) -> None:
    page, _ = opened
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_every_picture_is_drawn_in_the_colours_of_the_scheme(opened: tuple[Any, str]) -> None:
    page, scheme = opened
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    widths = page.evaluate("[...document.querySelectorAll('.plot svg')].map(s => s.getBoundingClientRect().width)")
    assert len(widths) > 30 and min(widths) > 250
    ink = luminance(page, ".plot svg text", "fill")
    assert (ink > 128) == (scheme == "dark")
    assert page.evaluate("getComputedStyle(document.querySelector('.plot svg path')).fill") == page.evaluate(
        "getComputedStyle(document.querySelector('figure')).backgroundColor"
    )


def test_text_stands_out_from_a_background_of_the_scheme(opened: tuple[Any, str]) -> None:
    page, scheme = opened
    ink, paper = luminance(page, "body", "color"), luminance(page, "body", "backgroundColor")
    assert abs(ink - paper) > 150
    assert (paper < 60) == (scheme == "dark")


def test_tables_scroll_inside_with_the_method_in_view(opened: tuple[Any, str]) -> None:
    page, _ = opened
    assert page.locator("table").count() >= 14
    place = page.evaluate(
        """() => {
            const box = document.querySelector('.scroll');
            const head = box.querySelector('tbody th');
            const before = head.getBoundingClientRect().left;
            box.scrollLeft = 200;
            return [before, head.getBoundingClientRect().left, box.scrollLeft, box.scrollWidth > box.clientWidth];
        }"""
    )
    assert place[0] == pytest.approx(place[1], abs=1)
    if page.viewport_size["width"] < 500:
        assert place[2] == 200 and place[3]


def test_figures_are_legible(opened: tuple[Any, str]) -> None:
    page, _ = opened
    scale = "s => s.getBoundingClientRect().width / s.viewBox.baseVal.width"
    scales = page.evaluate(f"[...document.querySelectorAll('.plot svg')].map({scale})")
    visible = [found for found in scales if found > 0]
    assert visible and min(visible) * 12 >= 8  # type of 9 pt is 12 CSS pixels at its natural size


BOARD = "#glyphs-board"


def column(page: Any, number: int) -> list[str]:
    """Texts of a column of the leaderboard, row by row, without hidden rows."""
    rows = page.locator(f"{BOARD} tbody tr:not([hidden])")
    return [row.locator("th, td").nth(number).inner_text() for row in rows.all()]


def test_the_leaderboard_is_sorted_by_a_press_on_a_heading(opened: tuple[Any, str]) -> None:
    page, _ = opened
    before = column(page, 0)
    button = page.locator(f"{BOARD} thead button").nth(0)
    button.focus()
    page.keyboard.press("Enter")
    assert column(page, 0) == sorted(before, key=str.lower, reverse=True)
    assert page.locator(f"{BOARD} th[aria-sort]").get_attribute("aria-sort") == "descending"
    page.keyboard.press("Enter")
    assert column(page, 0) == sorted(before, key=str.lower)
    page.locator(f"{BOARD} thead button").nth(3).click()
    values = [float(text.split()[0]) for text in column(page, 3)]
    assert values == sorted(values, reverse=True) and len(values) == len(METHODS) + 1
    page.locator(f"{BOARD} thead button").nth(9).click()  # AGS: triplet has none
    assert column(page, 0)[-1] == "triplet"
    page.locator(f"{BOARD} thead button").nth(9).click()
    assert column(page, 0)[-1] == "triplet"


def test_the_leaderboard_is_filtered_by_name_and_group(opened: tuple[Any, str]) -> None:
    page, _ = opened
    page.locator(".tools input").first.fill("ar")
    assert set(column(page, 0)) == {"arcface", "margin", "multisimilarity"}
    assert page.locator(".tools output").first.inner_text() == f"3 of {len(METHODS) + 1} methods"
    page.locator(".tools select").first.select_option("study")
    assert set(column(page, 0)) == {"margin"}
    page.locator(".tools input").first.fill("")
    assert set(column(page, 0)) == set(METHODS[1::2]) | {LONG} - set(METHODS[::2])


def test_points_answer_and_methods_hide(opened: tuple[Any, str]) -> None:
    page, _ = opened
    plot = page.locator(".plot:has(script)").first
    plot.scroll_into_view_if_needed()
    data = json.loads(plot.locator("script").text_content() or "")
    series, x, y, words = next(point for point in data["points"] if data["methods"][str(point[0])] == "margin")
    box = plot.locator("svg").bounding_box()
    scale = box["width"] / page.evaluate("document.querySelector('.plot:has(script) svg').viewBox.baseVal.width")
    page.mouse.move(box["x"] + x * scale, box["y"] + y * scale)
    tip = plot.locator(".tip")
    assert tip.is_visible() and "n=3" in words and words.split(";")[0] in tip.inner_text()
    page.locator("summary", has_text="Choose the methods").first.click()
    chip = page.locator(".chips button", has_text="margin").first
    chip.click()
    assert chip.get_attribute("aria-pressed") == "false"
    gone = plot.locator(f"[data-series='{series}']")
    assert gone.count() and not any(part.is_visible() for part in gone.all())
    page.locator(".chips button", has_text="show all").first.click()
    assert chip.get_attribute("aria-pressed") == "true" and gone.first.is_visible()


def test_a_number_leads_to_its_runs_and_the_command(opened: tuple[Any, str]) -> None:
    page, _ = opened
    page.locator(f"{BOARD} tbody tr", has_text="margin").first.locator("td a").nth(2).click()
    row = page.locator("tr:target")
    assert row.is_visible() and "margin-2-0" in row.inner_text()
    card = page.locator("details.card[open]")
    assert card.count() == 1 and "oodml sweep splits/glyphs --methods margin" in card.inner_text()


def test_a_page_can_be_printed(opened: tuple[Any, str]) -> None:
    page, _ = opened
    page.set_viewport_size({"width": 794, "height": 1123})  # A4
    page.emulate_media(media="print")
    assert not page.locator(".tools").first.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
