"""Pages made from the program say what it says, and the site holds together."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from docs_blocks import ROOT

from oodml import schema
from oodml.app import app
from oodml.parts import PACKED

DOCS = ROOT / "docs"
EXTERNAL = re.compile(
    r"""(?:src|data-src)=["']?(?:https?:)?//|<link[^>]+href=["']?(?:https?:)?//|@import|url\(["']?http"""
)


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["make_cli", "make_schemas"])
def test_pages_are_what_the_program_gives(name: str) -> None:
    made = script(name)
    written = made.FILE.read_text(encoding="utf-8")
    assert written == made.page(), f"{made.FILE.name} is out of date: run python docs/{name}.py"


def test_every_command_and_option_has_a_row() -> None:
    import typer.main

    page = script("make_cli").page()
    commands = dict(script("make_cli")._commands(typer.main.get_command(app)))
    assert {"sweep", "report", "make-splits", "evaluate"} <= set(commands)
    for name, command in commands.items():
        section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert section.startswith("\n" + command.help.strip()[0]), name
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.name != "help":
                assert all(f"{option}" in section for option in [*parameter.opts, *parameter.secondary_opts]), name
    row = next(line for line in page.splitlines() if line.startswith("| `--generator NAME`"))
    assert row == "| `--generator NAME` | swap, removal, search, matched, random or superclass. | `swap` |"


def test_every_column_has_a_row_with_its_type_and_version() -> None:
    page = (DOCS / "schemas.md").read_text(encoding="utf-8")
    kinds = {"run": schema.RUN, "leaderboard": schema.LEADERBOARD, "plan": schema.PLAN}
    for kind, wanted in {**kinds, "episodes": schema.EPISODES, "scores": schema.SCORES}.items():
        section = page.partition(f"\n## {kind}\n")[2].partition("\n## ")[0]
        assert f"version {schema.VERSIONS[kind]}." in section
        rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
        names = [row[0].strip("| `") for row in rows]
        assert names == [*wanted.names, *([PACKED] if kind == "run" else [])]
        assert all(len(row) == 4 and len(row[3].strip(" |")) > 3 for row in rows)
        since = {name: int(row[2]) for name, row in zip(names, rows, strict=True)}
        assert {name: version for name, version in since.items() if version > 1} == schema.ADDED.get(kind, {})


def test_a_column_without_words_is_refused() -> None:
    made = script("make_schemas")
    with pytest.raises(SystemExit, match="says nothing about value, low"):
        made._section(
            made.File(
                "scores",
                "x",
                "y",
                schema.SCORES,
                {n: n for n in schema.SCORES.names[4:]} | {"dataset": "d", "metric": "m"},
            )
        )


def test_no_words_are_left_of_columns_that_are_gone() -> None:
    made = script("make_schemas")
    words = made.words
    known = {name for file in made.FILES for name in file.schema.names}
    assert {
        name for group in (words.RUN, words.PLAN, words.EPISODES, words.LEADERBOARD, words.SCORES) for name in group
    } <= known


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = re.findall(r": ([\w-]+\.md)$", text, re.MULTILINE)
    assert sorted(pages) == sorted(page.name for page in DOCS.glob("*.md"))


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {
        page.relative_to(tmp_path).as_posix(): page.read_text(encoding="utf-8") for page in tmp_path.rglob("*.html")
    }
    assert {"index.html", "cli.html", "python.html", "statistics.html", "schemas.html"} <= set(pages)
    assert not [name for name, text in pages.items() if EXTERNAL.search(text)]
    assert (tmp_path / "search" / "search_index.json").stat().st_size > 100_000
    assert "frechet_distance" in pages["python.html"] and "gt;&gt;&gt;" not in pages["index.html"]
    assert (tmp_path / "repository" / "examples" / "slurm" / "ray_sweep.sh").is_file()
