"""The guide to the methods says what their records say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from oodml.methods.cards import CARDS

SCRIPT = Path(__file__).parent.parent / "docs" / "make_methods.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_methods", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_guide_is_what_the_records_give(script: ModuleType) -> None:
    written = script.FILE.read_text(encoding="utf-8")
    assert written == script.page(), "the records have changed: run python docs/make_methods.py"


def test_every_method_has_a_row_and_a_card(script: ModuleType) -> None:
    lines = script.page().splitlines()
    for name, card in CARDS.items():
        assert lines.count(f"### {name}") == 1
        [row] = [line for line in lines if line.startswith(f"| [`{name}`](#{name}) |")]
        assert f"| {card.family} |" in row


def test_tables_have_as_many_cells_in_every_row(script: ModuleType) -> None:
    table: list[int] = []
    for line in [*script.page().splitlines(), ""]:
        if line.startswith("|"):
            table.append(line.replace("\\|", "").count("|"))
        else:
            assert len(set(table)) <= 1, line
            table = []
