"""The page in a real headless browser: phone and wide screen, light and dark."""

from __future__ import annotations

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
    one = make_section(methods=(*METHODS, LONG), done={("triplet", 4): 2}, failures=failures)
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


def test_every_picture_is_drawn_in_the_scheme_of_the_page(opened: tuple[Any, str]) -> None:
    page, scheme = opened
    widths = page.evaluate("[...document.images].map(image => image.naturalWidth)")
    assert len(widths) == 16 + 8 + 4 and min(widths) > 300
    shown = page.evaluate("document.images[0].currentSrc === document.images[0].src")
    assert shown == (scheme == "light")


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
    shown = page.evaluate("[...document.images].map(i => i.getBoundingClientRect().width / i.naturalWidth)")
    visible = [scale for scale in shown if scale > 0]
    assert visible and min(visible) * 12 >= 8  # type of 9 pt is 12 CSS pixels at its natural size
