"""A whole report: files, page, Markdown. The golden file is renewed with `OODML_REGENERATE=1 pytest tests/report`."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from report_frames import METHODS, make_section

from oodml.errors import StorageError, UnknownNameError
from oodml.report import Failure, Section, markdown, page, write_report
from oodml.report.content import compose
from oodml.report.view_block import Choice
from oodml.store import TEMPORARY_SUFFIX

GOLDEN = Path(__file__).parents[1] / "golden" / "report.md"
NASTY = "<script>alert('x')</script>"


def example() -> Section:
    """Three methods, one with a gap, one with fewer seeds, one whose name is HTML; a failure with HTML and pipes."""
    failures = [Failure("frozen", 2, seed, "failed", f"RuntimeError: {NASTY} | a\n  b") for seed in range(3)]
    section = make_section(
        count=3,
        methods=("contrastive", "frozen", NASTY),
        done={("frozen", 2): 0, ("contrastive", 1): 2},
        failures=failures,
    )
    return replace(section, facts=replace(section.facts, unreadable=("runs/1a.parquet: truncated",)))


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "new" / "report"
    assert write_report([example()], out) == out / "index.html"
    return out


class Tags(HTMLParser):
    """Collects start tags and checks that they close."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_every_figure_is_written_in_three_formats_and_nothing_else(folder: Path) -> None:
    kinds = ("curve", "ags", "vs_mean", "vs_reference")
    stems = {f"glyphs_{metric}_{kind}" for metric in ("recall_at_1", "map_at_r") for kind in kinds}
    stems |= {"glyphs_recall_at_1_critical", "glyphs_recall_at_1_heat", "glyphs_ladder"}  # of the main metric only
    expected = {f"{stem}.{ending}" for stem in stems for ending in ("png", "svg", "pdf")}
    assert {path.name for path in folder.iterdir()} == expected | {"index.html", "report.md"}
    assert not list(folder.glob(f"*{TEMPORARY_SUFFIX}"))


def test_the_markdown_is_the_golden_file(folder: Path) -> None:
    written = (folder / "report.md").read_bytes()
    if os.environ.get("OODML_REGENERATE"):
        GOLDEN.write_bytes(written)
    assert written == GOLDEN.read_bytes()


def test_links_of_the_markdown_lead_to_files(folder: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", (folder / "report.md").read_text(encoding="utf-8"))
    assert len(links) == 11 * 4
    assert all((folder / link).is_file() for link in links)


def test_tables_of_the_markdown_have_the_same_cells_in_every_row(folder: Path) -> None:
    source = (folder / "report.md").read_text(encoding="utf-8")
    found = [block for block in source.split("\n\n") if block.startswith("|")]
    assert len(found) == 6  # summary, three levels, ladder, failures
    for block in found:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_the_page_is_well_formed_and_self_contained(folder: Path) -> None:
    tags = Tags((folder / "index.html").read_text(encoding="utf-8"))
    assert tags.open == []
    assert not [tag for tag, _ in tags.seen if tag in {"img", "iframe", "object", "embed"}]
    images = [attrs for tag, attrs in tags.seen if tag == "svg"]
    assert len(images) == 11 and all(attrs["role"] == "img" and attrs["aria-label"] for attrs in images)
    scripts = [attrs for tag, attrs in tags.seen if tag == "script"]
    assert [attrs for attrs in scripts if attrs.get("type") != "application/json"] == [{}]  # the page's own
    for tag, attrs in tags.seen:
        for name in ("src", "srcset"):
            assert (attrs.get(name) or "data:").startswith("data:"), tag
        link = attrs.get("href") or attrs.get("xlink:href") or "#"
        assert link.startswith(("#", "data:,")) or (folder / link).is_file()
    anchors = {attrs["id"] for _, attrs in tags.seen if attrs.get("id")}
    inner = {str(attrs["href"])[1:] for _, attrs in tags.seen if str(attrs.get("href")).startswith("#")}
    assert inner <= anchors and "glyphs-failures" in inner


def test_text_of_users_is_shown_not_run(folder: Path) -> None:
    source = (folder / "index.html").read_text(encoding="utf-8")
    assert NASTY not in source and "<script>alert" not in source
    assert source.count("&lt;script&gt;") >= 3
    assert "<script" not in (folder / "report.md").read_text(encoding="utf-8")


def test_the_rule_about_scripts_names_the_one_that_is_there(folder: Path) -> None:
    source = (folder / "index.html").read_text(encoding="utf-8")
    (rule,) = re.findall(r"script-src '([^']+)'", source)
    (script,) = re.findall(r"<script>(.*?)</script>", source, flags=re.DOTALL)
    assert rule == "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert len(source) < 1_000_000


@pytest.fixture(name="colours")
def _colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of a picture, the colours and markers of its lines: drawing takes most of the time."""

    def sketch(figure: Figure, kind: str) -> bytes:
        drawn = " ".join(f"{line.get_color()}{line.get_marker()}" for line in figure.axes[0].lines)
        return f"<svg> {drawn} </svg>".encode()

    monkeypatch.setattr("oodml.report.export.render", sketch)


@pytest.mark.usefixtures("colours")
def test_sections_keep_apart_and_methods_keep_their_colours(tmp_path: Path) -> None:
    one, two = (make_section(count=2, methods=methods) for methods in (METHODS[1:2], METHODS[:2]))
    content = compose([one, two], Choice(tmp_path, ["recall_at_1"]))
    blocks = content.sections
    assert [block.anchor for block in blocks] == ["glyphs", "glyphs-2"]
    first, second = (block.blocks[0].pictures[0][1][0].svg.split() for block in blocks)
    assert first[-2] == second[-2] == b"#c03800s"
    assert second[-3] == b"#0072bco"
    assert page.render(content, []).count('href="#glyphs') == 2


@pytest.mark.usefixtures("colours")
def test_writing_again_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (write_report([example()], tmp_path / name) for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    assert first.with_name("report.md").read_bytes() == second.with_name("report.md").read_bytes()


def test_a_sweep_without_results_still_has_a_report(tmp_path: Path) -> None:
    section = make_section(count=3)
    path = write_report([replace(section, frame=section.frame.iloc[:0])], tmp_path)
    assert "No run has finished yet." in path.read_text(encoding="utf-8")
    assert "| 2 (default) |" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_an_unknown_metric_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'recall_at_1'"):
        write_report([make_section(count=2)], tmp_path, metrics=("recall_at_3",))


def test_a_folder_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(StorageError, match="--out"):
        write_report([make_section(count=2)], tmp_path / "out")


@pytest.mark.parametrize("raw", ["a|b", "*a*", "`a`", "[a](b)", "<i>", "_a_", "a\\b", "~~a~~"])
def test_markdown_markup_is_escaped(raw: str) -> None:
    escaped = markdown.escape(raw)
    assert not re.search(r"(?<!\\)[|*`\[\]~]|<|>", escaped)
    assert escaped != raw
    assert markdown.escape("proxy_anchor 0.8 \u00b1 0.1") == "proxy_anchor 0.8 \u00b1 0.1"


def test_importing_the_report_loads_neither_torch_nor_matplotlib() -> None:
    code = "import sys, oodml.report, oodml.report.terminal\n"
    code += "assert not {'torch', 'matplotlib', 'pandas', 'jinja2'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
