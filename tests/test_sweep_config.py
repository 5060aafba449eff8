"""From flags and a file to the options of a sweep: the methods that names and groups stand for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from oodml import registry
from oodml.errors import UsageError
from oodml.method_groups import expand_groups
from oodml.methods.cards import CARDS, GROUPS, MethodInfo
from oodml.plan import DEFAULT_METHODS
from oodml.records import Ladder
from oodml.splits import make_ladder
from oodml.sweep_config import sweep_options


@pytest.fixture(scope="module")
def ladder() -> Ladder:
    means = np.random.default_rng(0).normal(size=(24, 4))
    return make_ladder(means, [f"c{i:02d}" for i in range(24)], levels=3, dataset="glyphs")


def chosen(ladder: Ladder, methods: str) -> list[str]:
    return expand_groups(sweep_options(ladder, {"methods": methods}, [], None).methods)


def of_group(group: str) -> list[str]:
    return [name for name, card in CARDS.items() if card.group == group]


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_stands_for_its_members(ladder: Ladder, group: str) -> None:
    if of_group(group):
        assert chosen(ladder, group) == of_group(group)


def test_groups_and_names_mix_and_each_method_comes_once(ladder: Ladder) -> None:
    study = of_group("study")
    assert {"margin", "arcface"} <= set(study)
    assert chosen(ladder, "frozen,study,margin") == ["frozen", *study]
    assert chosen(ladder, "arcface, study") == ["arcface", *(name for name in study if name != "arcface")]


def test_own_is_all_but_the_catalog(ladder: Ladder) -> None:
    everything, own = chosen(ladder, "all"), chosen(ladder, "own")
    assert sorted(everything) == registry.names("method")
    assert set(everything) - set(own) == set(of_group("catalog"))
    assert {"frozen", "margin"} <= set(own)


def test_without_methods_the_default_ones_run_all_of_which_exist(ladder: Ladder) -> None:
    assert tuple(sweep_options(ladder, {}, [], None).methods) == DEFAULT_METHODS
    assert set(DEFAULT_METHODS) <= set(registry.names("method"))


def test_groups_work_in_a_file_too(ladder: Ladder, tmp_path: Path) -> None:
    (tmp_path / "sweep.toml").write_text('methods = ["frozen", "study"]\n')
    found = sweep_options(ladder, {}, [], tmp_path / "sweep.toml").methods
    assert expand_groups(found) == ["frozen", *of_group("study")]


def test_an_unknown_name_stays_for_the_plan_to_refuse(ladder: Ladder) -> None:
    assert chosen(ladder, "margn,frozen") == ["margn", "frozen"]
    with pytest.raises(UsageError, match="--methods names no method"):
        chosen(ladder, " , ")


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Methods of an installed package: one in a group of its own, one in a group that is called like a method."""
    ours = registry.targets("method")
    more = {
        name: MethodInfo(name, "nowhere:Nothing", "A foreign one.", "-", "pairs", group=group)
        for name, group in (("theirs", "example"), ("rogue", "margin"))
    }
    monkeypatch.setattr(registry, "targets", lambda kind: {**ours, **more})
    yield


@pytest.mark.usefixtures("foreign")
def test_an_installed_packages_group_works_but_never_takes_a_methods_name() -> None:
    assert expand_groups(["example"]) == ["theirs"]
    assert expand_groups(["margin"]) == ["margin"]
    assert expand_groups(["own"])[-2:] == ["theirs", "rogue"]


def test_a_broken_package_does_no_harm_to_a_sweep_that_leaves_it_out(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = registry.targets("method")
    monkeypatch.setattr(registry, "targets", lambda kind: {**ours, "broken": "no_such_package.card:INFO"})
    assert expand_groups(["margin", "frozen", "margin"]) == ["margin", "frozen"]
    with pytest.raises(UsageError, match="'broken' is registered by an installed package"):
        expand_groups(["own"])
