"""Seeds, records, the registry and the store: what everything else stands on."""

from __future__ import annotations

import errno
import json
import os
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import oodml
from oodml import registry, schema, store
from oodml.errors import MissingPackageError, ResultsError, StorageError, UnknownNameError
from oodml.methods.cards import MethodInfo
from oodml.records import as_options, content_hash
from oodml.seeds import derive_seed, numpy_generator, torch_generator


@given(st.lists(st.one_of(st.text(), st.integers()), min_size=1, max_size=4))
def test_a_purpose_always_has_the_same_seed(parts: list[str | int]) -> None:
    seed = derive_seed(*parts)
    assert seed == derive_seed(*parts) and 0 <= seed < 2**63


def test_different_purposes_have_different_seeds() -> None:
    purposes = [("a", "b"), ("ab",), ("b", "a"), ("a", 1), ("a", "1"), ("a1",), ("a",)]
    assert len({derive_seed(*parts) for parts in purposes}) == len(purposes)
    assert derive_seed("a", "b") == 793666144677190889  # pinned: it decides every committed result


def test_generators_leave_the_global_state_alone() -> None:
    state = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    first = torch.rand(3, generator=torch_generator("x")), numpy_generator("x").random(3)
    again = torch.rand(3, generator=torch_generator("x")), numpy_generator("x").random(3)
    assert torch.equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    assert torch.equal(state[0], torch.random.get_rng_state())
    assert np.array_equal(state[1], np.random.get_state()[1])  # type: ignore[index]  # noqa: NPY002


def test_hashes_do_not_depend_on_the_order_of_keys() -> None:
    assert content_hash({"a": 1, "b": [2, 3]}) == content_hash({"b": [2, 3], "a": 1})
    assert content_hash([1, 2]) != content_hash([2, 1])
    assert as_options({"b": 1, "a": 2}) == (("a", 2), ("b", 1))


def test_every_registered_name_can_be_loaded_and_agrees_with_its_record() -> None:
    for kind in ("dataset", "method", "backbone"):
        for name in registry.names(kind):
            assert registry.load(kind, name).name == name


def test_third_parties_add_names_through_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    def points(group: str) -> list[EntryPoint]:
        found = {"oodml.methods": [("theirs", "tests_of_core:THEIRS"), ("margin", "tests_of_core:THEIRS")]}
        return [EntryPoint(name, value, group) for name, value in found.get(group, [])]

    import sys
    from types import ModuleType

    module = ModuleType("tests_of_core")
    module.THEIRS = MethodInfo("theirs", "x:y", "Theirs.", "-", "pairs")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tests_of_core", module)
    monkeypatch.setattr(registry, "entry_points", points)
    registry.targets.cache_clear()
    try:
        assert registry.load("method", "theirs").summary == "Theirs."
        assert registry.load("method", "margin").name == "margin"  # a third party cannot replace ours
    finally:
        registry.targets.cache_clear()


def test_unknown_names_come_with_suggestions() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown dataset 'glyph'; did you mean 'glyphs'\? \(`oodml datasets`"):
        registry.load("dataset", "glyph")
    with pytest.raises(UnknownNameError, match="known: "):
        registry.load("backbone", "zzzzzz")


def test_a_missing_package_names_the_command_that_installs_it() -> None:
    assert "run: pip install x" in str(MissingPackageError("x", "this", "pip install x"))


def test_a_file_exists_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.json"
    store.write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), store.atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in path.parent.iterdir()] == ["file.json"]


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "no space left while writing"),
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "permission denied"),
        (errno.EIO, "cannot write"),
    ],
)
def test_failed_writes_say_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    def fail(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match=message):
        store.write_text(tmp_path / "x", "text")
    assert not list(tmp_path.iterdir())


def small_table() -> pa.Table:
    return schema.table(schema.PLAN, {"run_id": ["a", "b"], "level": [0, 1]})


def test_tables_come_back_and_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        store.write_table(tmp_path / name, small_table())
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    back = store.read_table(tmp_path / "one", schema.PLAN)
    assert back.equals(small_table()) and back.column("seed").null_count == 2


def test_files_that_are_not_what_they_should_be_are_named(tmp_path: Path) -> None:
    path = tmp_path / "plan.parquet"
    with pytest.raises(ResultsError, match="there is no file"):
        store.read_table(path, schema.PLAN)
    store.write_table(path, small_table())
    with pytest.raises(ResultsError, match=r"plan.parquet is not an oodml run file"):
        store.read_table(path, schema.RUN)
    newer = small_table().replace_schema_metadata({"oodml_kind": "plan", "oodml_schema": "7"})
    store.write_table(path, newer)
    with pytest.raises(ResultsError, match=r"schema version 7, this oodml reads up to 1; upgrade"):
        store.read_table(path, schema.PLAN)
    store.write_table(path, small_table().drop_columns(["level"]))
    with pytest.raises(ResultsError, match="lacks the columns level"):
        store.read_table(path, schema.PLAN)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ResultsError, match=r"plan.parquet is not a readable Parquet file"):
        store.read_table(path, schema.PLAN)


def test_unknown_columns_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="not in the schema"):
        schema.table(schema.PLAN, {"colour": ["red"]})


def test_everything_promised_by_the_package_is_there() -> None:
    for name in oodml.__all__:
        assert getattr(oodml, name) is not None
    with pytest.raises(AttributeError):
        oodml.nothing  # noqa: B018
