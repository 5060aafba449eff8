"""Every block of commands in README.md and docs/*.md works as it is written there.

A comment right before a fenced bash, console, python or sql block says how it is checked; a block without one fails:

    <!-- run -->                    run in a folder with small files of the names that the pages use (docs_sandbox.py),
                                    offline, after the earlier blocks of the page; every command has to end with 0
    <!-- run; EDIT; EDIT -->        the same after edits that make it small: `A` => `B` replaces text, and
                                    sweep --steps 2 adds options to every `oodml sweep` of the block
    <!-- slow; EDIT -->             the same, with the slow tests only
    <!-- file: NAME -->             written to a file for the commands that follow; where the repository has
                                    that file, the block has to equal it
    <!-- check: WHY -->             not run, because it takes too long or changes the machine
    <!-- needs data: WHAT -->       not run, because it needs files or machines that a test does not have

All blocks, run or not, are resolved: oodml's own parser has to take the command with all its options, names of methods
have to exist, make targets, extras, scripts and their flags too, and Python has to compile and find what it imports.
"""

from __future__ import annotations

import ast
import configparser
import importlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import typer.main
from docs_blocks import KINDS, ROOT, Block, blocks
from docs_sandbox import Sandbox

from oodml import registry
from oodml.app import app
from oodml.method_groups import expand_groups
from oodml.options import parse_names

BLOCKS = blocks()
RUN = ("run", "file")
EXTERNAL = {"sbatch", "jq", "ray"}  # programs that a test cannot look into


def pages_with(*kinds: str) -> list[str]:
    return list(dict.fromkeys(block.page for block in BLOCKS if block.kind in kinds))


@pytest.fixture(autouse=True)
def example_is_installed(monkeypatch: pytest.MonkeyPatch) -> Iterable[None]:
    """The example package as if it were installed: pages use its method."""
    from importlib.metadata import EntryPoint, EntryPoints

    point = EntryPoint("squared_hinge", "oodml_example_method.card:INFO", "oodml.methods")
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "oodml-example-method"))
    monkeypatch.setattr(registry, "entry_points", lambda group: EntryPoints([point]).select(group=group))
    registry.targets.cache_clear()
    yield
    registry.targets.cache_clear()


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_every_block_says_how_it_is_checked(block: Block) -> None:
    assert block.kind in KINDS, f"put one of these before {block.name}: {', '.join(KINDS)} (see {Path(__file__).name})"
    if block.kind in ("check", "needs data"):
        assert block.argument, f"{block.name}: say why it is not run"
    if block.kind == "file" and (ROOT / block.argument).exists():
        assert block.text == (ROOT / block.argument).read_text(encoding="utf-8"), f"{block.argument} has changed"


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_every_command_is_one_that_the_programs_take(block: Block) -> None:
    if block.language == "python":
        understand_python(block)
    elif block.language != "sql":
        for words in block.commands():
            understand(block, words)


@pytest.mark.parametrize("page", pages_with("run"))
def test_blocks_of_a_page_run_one_after_the_other(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = Sandbox(tmp_path, monkeypatch)
    for block in BLOCKS:
        if block.page == page and block.kind in RUN:
            sandbox.run(block)


@pytest.mark.slow
@pytest.mark.parametrize("page", pages_with("slow"))
def test_pages_with_long_blocks_run_as_a_whole(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = Sandbox(tmp_path, monkeypatch)
    for block in BLOCKS:
        if block.page == page and block.kind in (*RUN, "slow"):
            sandbox.run(block)


def test_the_pages_have_blocks_of_every_kind() -> None:
    assert {block.kind for block in BLOCKS} == set(KINDS)
    assert {block.page for block in BLOCKS} > {"README.md", "docs/cli.md", "docs/quickstart.md", "docs/metrics.md"}


def test_a_misspelt_option_a_missing_target_and_a_missing_import_are_found() -> None:
    def found(language: str, text: str) -> bool:
        try:
            test_every_command_is_one_that_the_programs_take(Block("page.md", 1, language, text, "run"))
        except AssertionError:
            return True
        return False

    assert found("bash", "oodml sweep splits/glyphs --step 3\n")
    assert found("bash", "oodml sweep splits/glyphs --methods margins\n")
    assert found("bash", "oodml swep splits/glyphs\n") and found("bash", "make demos\n")
    assert found("bash", "pip install 'oodml[rays]'\n") and found("bash", "python benchmarks/mining.py --nothing\n")
    assert found("python", "from oodml import nothing\n") and found("python", "oodml.nothing\n")
    assert found("python", "x = (\n") and found("bash", "rm -rf /\n")
    assert not found("bash", "oodml sweep splits/glyphs --steps 3 --methods study,frozen  # a comment\n")


def understand(block: Block, words: list[str]) -> None:
    """Fails unless the program that is called exists and takes the arguments."""
    if "|" in words:
        understand(block, words[: words.index("|")])
        words = words[words.index("|") + 1 :]
    if words[0] == "watch":
        words = words[1:]
    program, *arguments = words
    where = f"{block.name}: {' '.join(words)}"
    if program == "oodml":
        understand_oodml(where, arguments)
    elif program == "make":
        assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), where
    elif program == "pip":
        understand_pip(where, arguments)
    elif program == "pytest" or (program == "python" and arguments[0].endswith(".py")):
        understand_script(where, arguments)
    elif program == "sbatch":
        assert any((ROOT / word).is_file() for word in arguments), where
    else:
        assert program in EXTERNAL, f"{where}: {program} is no program that pages may use"


def understand_oodml(where: str, arguments: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands") and arguments and not arguments[0].startswith("-"):
        assert arguments[0] in command.commands, where
        command, arguments = command.commands[arguments[0]], arguments[1:]
    if arguments and arguments[-1] in ("--help", "--version"):
        return
    try:
        context = command.make_context(where, list(arguments))
    except Exception as error:
        raise AssertionError(f"{where}: {error}") from error
    methods = context.params.get("methods")
    if methods and "NAME" not in methods:
        assert set(expand_groups(parse_names(methods))) <= set(registry.names("method")), where


def understand_pip(where: str, arguments: list[str]) -> None:
    assert arguments[0] == "install", where
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    for package in arguments[1:]:
        extras = re.search(r"\[(.*)\]", package)
        for extra in extras[1].split(",") if extras else []:
            assert extra in setup["options.extras_require"], where
        assert package == "-e" or package.startswith(("oodml", ".")) or (ROOT / package).is_dir(), where


def understand_script(where: str, arguments: list[str]) -> None:
    """A script of the repository, or one that a block of a page writes; its flags stand in it."""
    written = [block.text for block in BLOCKS if block.kind == "file" and block.argument == arguments[0]]
    file = ROOT / arguments[0]
    assert written or file.is_file(), where
    text = written[0] if written else file.read_text(encoding="utf-8")
    for flag in (word for word in arguments[1:] if word.startswith("--")):
        assert f'"{flag}"' in text, f"{where}: {flag}"


def understand_python(block: Block) -> None:
    """Fails unless the block compiles and what it takes from oodml exists."""
    try:
        tree = ast.parse(block.text)
    except SyntaxError as error:
        raise AssertionError(f"{block.name}: {error}") from error
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "oodml":
            module = importlib.import_module(node.module)
            assert all(hasattr(module, alias.name) for alias in node.names), f"{block.name}: {ast.unparse(node)}"
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "oodml":
            assert hasattr(importlib.import_module("oodml"), node.attr), f"{block.name}: {ast.unparse(node)}"
