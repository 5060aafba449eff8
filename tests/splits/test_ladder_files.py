"""Ladders as files: round trip, verification, refusal to edit, atomicity."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oodml import schema, store
from oodml.errors import LadderError, StorageError
from oodml.records import Ladder
from oodml.splits import load_ladder, make_ladder, save_ladder


def build(seed: int = 0, images: int = 4, **options: Any) -> Ladder:
    names = [f"Klasse {row:02d} é" for row in range(16)]
    means = np.random.default_rng(0).normal(size=(16, 5))
    return make_ladder(
        means,
        names,
        levels=3,
        seed=seed,
        name="tiny",
        dataset="folder:photos",
        dataset_options={"classes": 16, "size": None},
        dataset_hash="abc",
        skipped=("broken.jpg",),
        embedder={"name": "pixels", "image_size": 32},
        reference=lambda classes: {"recall_at_1": 1 / 3, "map_at_r": 0.1},
        image_ids={name: [f"{name}/{row}.png" for row in range(images)] for name in names} if images else None,
        shots=(1, 2),
        episodes=2,
        **options,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_ladder(build(), tmp_path / "splits" / "tiny")


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    document = json.loads((folder / "ladder.json").read_text())
    change(document)
    (folder / "ladder.json").write_text(json.dumps(document))


@pytest.mark.parametrize("images", [4, 0])
def test_round_trip_is_exact(tmp_path: Path, images: int) -> None:
    ladder = build(images=images)
    save_ladder(ladder, tmp_path / "out")
    loaded = load_ladder(tmp_path / "out")
    assert loaded == ladder
    assert loaded.ladder_hash == ladder.ladder_hash
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["episodes.parquet", "ladder.json"]


def test_the_document_has_the_agreed_keys(folder: Path) -> None:
    document = json.loads((folder / "ladder.json").read_text(encoding="utf-8"))
    top = "schema_version kind name dataset embedder distance statistics generator trace levels ladder_hash"
    level = "index name shift shift_scaled null_mean null_std reference train test val origin null_p published_shift"
    assert list(document) == top.split()
    assert all(list(entry) == level.split() for entry in document["levels"])
    assert document["dataset"] == {
        "name": "folder:photos",
        "options": {"classes": 16, "size": None},
        "hash": "abc",
        "skipped": ["broken.jpg"],
    }
    assert "Klasse 03 é" in (folder / "ladder.json").read_text(encoding="utf-8")  # readable, not escaped
    table = store.read_table(folder / "episodes.parquet", schema.EPISODES)
    assert table.num_rows == sum(len(images) for e in build().episodes for images in e.support.values())


def test_what_was_not_measured_is_null_in_the_file(tmp_path: Path) -> None:
    ladder = build()
    unknown: dict[str, Any] = dict.fromkeys(("null_mean", "null_std", "null_p"), math.nan)
    published = zip(ladder.levels, (None, 2.5, 3.0), strict=True)
    levels = [replace(level, **unknown, published_shift=shift) for level, shift in published]
    ladder = replace(ladder, levels=tuple(levels), statistics="images")
    folder = save_ladder(ladder, tmp_path / "out")
    text = (folder / "ladder.json").read_text()
    entries = json.loads(text, parse_constant=pytest.fail)["levels"]  # NaN is no JSON
    assert [entry["published_shift"] for entry in entries] == [None, 2.5, 3.0]
    assert all(entry[key] is None for entry in entries for key in unknown)
    assert load_ladder(folder) == ladder
    save_ladder(ladder, folder)
    assert (folder / "ladder.json").read_text() == text
    known = replace(ladder, levels=tuple(replace(level, null_p=0.01) for level in levels))
    assert [level.null_p for level in load_ladder(save_ladder(known, tmp_path / "known")).levels] == [0.01] * 3


def test_ladders_of_earlier_versions_still_load(folder: Path) -> None:
    def age(document: dict[str, Any]) -> None:
        del document["statistics"]
        for level in document["levels"]:
            del level["null_p"], level["published_shift"]

    edit(folder, age)
    loaded = load_ladder(folder)
    assert loaded.ladder_hash == build().ladder_hash
    assert loaded.statistics == "class-means"
    assert all(math.isnan(level.null_p) and level.published_shift is None for level in loaded.levels)


def test_shifts_below_zero_are_valid(tmp_path: Path) -> None:
    ladder = build()  # an unbiased distance of sides that do not differ is as often negative as positive
    low, high = -0.25, -0.05
    levels = [
        replace(level, shift=low + (high - low) * scaled, shift_scaled=scaled)
        for level, scaled in zip(ladder.levels, (0.0, 0.5, 1.0), strict=True)
    ]
    below = replace(ladder, levels=tuple(levels), distance="mmd")
    assert load_ladder(save_ladder(below, tmp_path / "out")) == below


def test_folder_file_and_bare_name_all_load(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parents[1])
    ladders = [load_ladder(path) for path in (folder, folder / "ladder.json", "tiny", "splits/tiny")]
    assert all(ladder == ladders[0] for ladder in ladders)
    Path("tiny").mkdir()  # a folder of that name that is no ladder does not hide it
    assert load_ladder("tiny") == ladders[0]


def test_a_missing_ladder_lists_what_is_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parents[1])
    with pytest.raises(LadderError, match=r"there is no ladder 'tinny'; ladders in \./splits: tiny"):
        load_ladder("tinny")
    monkeypatch.chdir(folder)
    with pytest.raises(LadderError, match=r"no ladders in \./splits.*make-splits"):
        load_ladder("tiny")


EDITS: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda d: d["levels"][1]["train"].pop(), "was edited|do not train"),
    (lambda d: d["levels"][1]["test"].append(d["levels"][1]["train"][0]), "on both sides"),
    (lambda d: d["levels"][2].update(val=["ghost"]), "validation classes that do not train"),
    (lambda d: d["levels"][1].update(shift=d["levels"][1]["shift"] * 1.01), "does not agree with the shifts"),
    (lambda d: d["levels"].reverse(), "strictly rising shift"),
    (lambda d: d["levels"][0].update(index=5), "has index 5"),
    (lambda d: d["dataset"].update(hash="other"), "was edited"),
    (lambda d: d.update(ladder_hash="0" * 16), "was edited"),
    (lambda d: d["levels"][0].pop("null_mean"), "not a complete ladder"),
    (lambda d: d["levels"][0].update(shift=None), "not a complete ladder"),
    (lambda d: d.pop("trace"), "not a complete ladder.*trace"),
    (lambda d: d.update(schema_version=99), "schema version 99, this oodml reads up to 1; upgrade"),
    (lambda d: d.update(kind="something"), "is not a ladder"),
    (lambda d: d.update(levels=[]), "at least two levels"),
]


@pytest.mark.parametrize(("change", "message"), EDITS)
def test_an_edited_ladder_is_refused_by_name(
    folder: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    edit(folder, change)
    with pytest.raises(LadderError, match=message) as caught:
        load_ladder(folder)
    assert str(folder / "ladder.json") in str(caught.value)


def test_edited_episodes_are_refused(folder: Path, tmp_path: Path) -> None:
    save_ladder(build(seed=1), tmp_path / "other")
    (folder / "episodes.parquet").write_bytes((tmp_path / "other" / "episodes.parquet").read_bytes())
    with pytest.raises(LadderError, match=r"episodes\.parquet beside it was edited.*make-splits"):
        load_ladder(folder)


def test_missing_truncated_or_newer_episodes_are_named(folder: Path) -> None:
    path = folder / "episodes.parquet"
    table = store.read_table(path, schema.EPISODES)
    newer = {b"oodml_kind": b"episodes", b"oodml_schema": b"99"}
    store.write_table(path, table.replace_schema_metadata(newer))
    with pytest.raises(LadderError, match=r"episodes\.parquet has schema version 99"):
        load_ladder(folder)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(LadderError, match=r"episodes\.parquet is not a readable Parquet file"):
        load_ladder(folder)
    path.unlink()
    with pytest.raises(LadderError, match=r"there is no file .*episodes\.parquet"):
        load_ladder(folder)


@pytest.mark.parametrize("text", ["", '{"schema_version": 1,', "[1]", "\udc80"])
def test_a_truncated_document_is_named(folder: Path, text: str) -> None:
    (folder / "ladder.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(LadderError, match=r"ladder\.json is not a"):
        load_ladder(folder)


def test_saving_the_same_ladder_again_changes_nothing(folder: Path) -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    save_ladder(build(), folder)
    first = build()
    rounded = [replace(level, null_mean=level.null_mean * (1 + 1e-12)) for level in first.levels]
    save_ladder(replace(first, levels=tuple(rounded)), folder)  # another machine's rounding is the same ladder
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before


def test_a_different_ladder_is_refused_unless_overwritten(folder: Path) -> None:
    other = build(seed=1)
    with pytest.raises(LadderError, match=r"holds another ladder.*--out"):
        save_ladder(other, folder)
    assert load_ladder(folder) == build()
    save_ladder(other, folder, overwrite=True)
    assert load_ladder(folder) == other


def test_changed_numbers_are_a_different_ladder(folder: Path) -> None:
    first = build()
    changed = tuple(replace(level, reference={"recall_at_1": 0.9}) for level in first.levels)
    with pytest.raises(LadderError, match="holds another ladder"):
        save_ladder(replace(first, levels=changed), folder)


def test_saving_again_mends_lost_episodes(folder: Path) -> None:
    (folder / "episodes.parquet").unlink()
    save_ladder(build(), folder)
    assert load_ladder(folder) == build()


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_interrupted_save_leaves_no_ladder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool) -> None:
    target = tmp_path / "out"
    if overwrite:
        save_ladder(build(), target)

    def fail(path: Path, value: Any) -> None:
        raise StorageError(f"no space left while writing {path}")

    with monkeypatch.context() as patch:
        patch.setattr(store, "write_json", fail)
        with pytest.raises(StorageError, match="no space left"):
            save_ladder(build(seed=1), target, overwrite=overwrite)
    with pytest.raises(LadderError, match="there is no ladder"):
        load_ladder(target)
    save_ladder(build(seed=1), target)
    assert load_ladder(target) == build(seed=1)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="choose another --out"):
        save_ladder(build(), tmp_path / "file" / "ladder")
