"""`oodml methods`: the list, its parts, the card of one, and the records as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from oodml import console, registry
from oodml.app import app
from oodml.methods.cards import CARDS, GROUPS, MethodInfo, costs

RICH = MethodInfo(
    name="example_method",
    target="nowhere:Nothing",
    summary="A summary with [brackets] in it.",
    paper="Somebody et al., A Title, CVPR 2099",
    family="ensembles",
    group="example",
    equation="[d(a,p) - m]+ + [/x] over everything",
    needs=("two views", "k-means"),
    options={"rate": 0.5, "heads": 4, "published": False, "kind": "fast"},
    dataset_options={"cub200": {"rate": 0.1}, "sop": {"rate": 0.2, "heads": 8}},
    training={"*": {"lr": 1e-4}, "sop": {"epochs": 40}},
    notes="What to know.",
)


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A method of an installed package with something in every field."""
    known = {**registry.targets("method"), RICH.name: RICH}
    monkeypatch.setattr(registry, "targets", lambda kind: known)
    yield


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A file of costs in place of the package's."""
    path = tmp_path / "costs.json"
    path.write_text(json.dumps({"conditions": "torch 9, one thread", "ratio": {"margin": 1, "arcface": 1.25}}))
    monkeypatch.setattr(costs, "COSTS_FILE", path)
    costs._stored.cache_clear()
    yield path
    costs._stored.cache_clear()


def shown(*arguments: str, columns: int = 200, code: int = 0) -> str:
    with pytest.MonkeyPatch.context() as patch:  # the console takes its width from the terminal when it is made
        patch.setattr(console, "out", Console(width=columns))
        result = CliRunner().invoke(app, ["methods", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def flat(text: str) -> str:
    return " ".join(text.split())


def records(*arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(shown(*arguments, "--json"))
    return found


def test_the_list_has_every_method_once_under_its_group_with_what_it_is() -> None:
    text = shown()
    lines = text.splitlines()
    heads = {line.split(":")[0]: number for number, line in enumerate(lines) if line.endswith("─")}
    assert list(heads) == [group for group in GROUPS if any(card.group == group for card in CARDS.values())]
    for name, card in CARDS.items():
        [number] = [number for number, line in enumerate(lines) if line.rstrip() == f"{name}  {card.family}"]
        assert max((at, group) for group, at in heads.items() if at < number)[1] == card.group, name
    for part in ("margin  triplets", CARDS["margin"].paper, "beta=1.2 margin=0.2 beta_lr=0.0005 published=false"):
        assert part in text


@pytest.mark.usefixtures("listed")
def test_what_a_method_needs_and_brackets_in_its_texts_are_shown() -> None:
    text = shown("--group", "example")
    assert "example: of an installed package (1)" in text
    assert "needs two views, k-means" in text and "A summary with [brackets] in it." in text
    assert "rate=0.5 heads=4 published=false kind=fast" in text


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("arguments", [[], ["margin"], ["example_method"]])
@pytest.mark.usefixtures("listed", "measured")
def test_nothing_is_cut_off_or_runs_over_the_edge_of_a_terminal(columns: int, arguments: list[str]) -> None:
    text = shown(*arguments, columns=columns)
    assert "…" not in text
    ours = [line for line in text.splitlines() if "--methods" not in line]
    assert max(map(len, ours)) <= columns
    assert set(flat(shown(*arguments)).split()) - {"─"} >= {word for word in flat(text).split() if "─" not in word}


@pytest.mark.usefixtures("listed", "measured")
def test_a_card_tells_everything() -> None:
    text = flat(shown("example_method"))
    for part in (
        "example_method example, ensembles",
        "loss [d(a,p) - m]+ + [/x] over everything",
        "source Somebody et al., A Title, CVPR 2099",
        "needs two views, k-means",
        "cost not measured",
        "options: --set example_method.NAME=VALUE name default cub200 sop rate 0.5 0.1 0.2 heads 4 8 published false",
        "paper preset everywhere: lr=0.0001; sop: epochs=40",
        "notes What to know.",
    ):
        assert part in text, part


@pytest.mark.usefixtures("measured")
def test_the_cost_comes_with_its_conditions() -> None:
    assert "cost 1.25 x a training step of margin (torch 9, one thread)" in flat(shown("arcface"))
    assert "cost not measured" in flat(shown("triplet"))
    assert "needs no training" in flat(shown("frozen")) and "cost" not in shown("frozen")
    assert {entry["name"]: entry["cost"] for entry in records()}["arcface"] == 1.25


def test_without_a_file_nothing_is_measured(measured: Path) -> None:
    measured.unlink()
    assert costs.cost_ratio("margin") is None and costs.cost_conditions() == ""
    assert costs.cost_text("margin") == "not measured"


def test_the_packages_own_costs_name_methods_that_exist() -> None:
    if costs.COSTS_FILE.exists():
        document = json.loads(costs.COSTS_FILE.read_text(encoding="utf-8"))
        assert document["conditions"] and set(document["ratio"]) <= set(CARDS)
        assert all(ratio > 0 and ratio == round(ratio, 2) for ratio in document["ratio"].values())


@pytest.mark.usefixtures("listed")
def test_json_is_a_list_of_whole_records() -> None:
    found = {entry["name"]: entry for entry in records()}
    assert set(found) == {*CARDS, RICH.name}
    for name, card in {**CARDS, RICH.name: RICH}.items():
        entry = found[name]
        assert (entry["group"], entry["family"], entry["paper"]) == (card.group, card.family, card.paper)
        assert entry["options"] == dict(card.options) and entry["needs"] == list(card.needs)
    rich = found[RICH.name]
    assert rich["dataset_options"] == {"cub200": {"rate": 0.1}, "sop": {"rate": 0.2, "heads": 8}}
    assert rich["training"] == {"*": {"lr": 1e-4}, "sop": {"epochs": 40}}
    assert [entry["name"] for entry in records("margin")] == ["margin"]


def test_groups_and_families_filter() -> None:
    study = {name for name, card in CARDS.items() if card.group == "study"}
    assert {entry["name"] for entry in records("--group", "study")} == study
    own = {name for name, card in CARDS.items() if card.group != "catalog"}
    assert {entry["name"] for entry in records("--group", "own")} == own != {*CARDS}
    both = {name for name in study if CARDS[name].family == "proxies"}
    assert both and {entry["name"] for entry in records("--group", "study", "--family", "proxies")} == both


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["arcfce"], "unknown method 'arcfce'; did you mean 'arcface'"),
        (["--group", "studie"], "unknown group 'studie'; did you mean 'study'?"),
        (["--family", "proxy"], "unknown family 'proxy'; did you mean 'proxies'?"),
        (["--group", "study", "--family", "baseline"], "no method of the group 'study' is in the family 'baseline'"),
        (["margin", "--group", "study"], "goes without --group and --family"),
    ],
)
def test_mistakes_are_explained(arguments: list[str], message: str) -> None:
    assert message in flat(shown(*arguments, code=2))


def test_the_help_has_examples() -> None:
    assert "oodml methods --family proxies --json" in shown("--help")


@pytest.mark.parametrize(
    "arguments", [["methods"], ["methods", "margin"], ["methods", "--json"], ["methods", "--help"]]
)
def test_no_heavy_package_is_loaded(arguments: list[str]) -> None:
    code = (
        f"import sys; sys.argv = ['oodml', *{arguments!r}]\n"
        "from oodml.app import app\n"
        "try: app()\n"
        "except SystemExit: pass\n"
        "bad = {'torch', 'timm', 'pandas', 'scipy', 'sklearn', 'matplotlib', 'numpy'} & set(sys.modules)\n"
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
