"""Published splits become a ladder of the dataset at hand, and a ladder takes their structure again."""

from __future__ import annotations

import copy
import json
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from official_splits import CARS, ITEMS, cars_images, cars_splits, cars_view, sop_splits

from oodml.errors import LadderError
from oodml.records import Ladder
from oodml.splits import load_ladder, make_ladder, save_ladder
from oodml.splits.published import DEFAULT_SPLITS, ladder_from_published, to_published
from oodml.splits.published_file import read_published
from oodml.splits.published_view import DatasetView

SOP = DatasetView(
    "sop",
    {item: [f"chair_final/{item}_{image}.JPG" for image in range(3)] for item in ITEMS},
    aliases={str(row + 1): item for row, item in enumerate(ITEMS)},
)


def imported(content: object, folder: Path, view: DatasetView | None = None, protocol: int = 4) -> Ladder:
    path = folder / "splits.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return ladder_from_published(read_published(path), view or cars_view(), name="study")


def from_json(content: object, folder: Path, view: DatasetView | None = None) -> Ladder:
    path = folder / "splits.json"
    path.write_text(json.dumps(content))
    return ladder_from_published(read_published(path), view or cars_view(), name="study")


@pytest.mark.parametrize("protocol", range(6))
def test_everything_of_the_file_comes_over(tmp_path: Path, protocol: int) -> None:
    splits = cars_splits()
    ladder = imported(splits, tmp_path, protocol=protocol)
    assert [level.name for level in ladder.levels] == ["default", "level_1", "level_2"]
    assert [level.index for level in ladder.levels] == [0, 1, 2]
    assert [level.shift for level in ladder.levels] == [8.59, 14.33, 32.18]
    assert [level.published_shift for level in ladder.levels] == [8.59, 14.33, 32.18]
    assert ladder.levels[1].shift_scaled == pytest.approx((14.33 - 8.59) / (32.18 - 8.59))
    assert [level.origin for level in ladder.levels] == ["published 1", "published 2", "published 3"]
    assert ladder.trace == (("published 1", 8.59), ("published 2", 14.33), ("published 3", 32.18))
    for level, split in zip(ladder.levels, splits.values(), strict=True):
        assert level.train == tuple(split["train"])
        assert level.test == tuple(split["test"])
        assert level.val == tuple(split["split_val"])
        assert all(type(name) is str for name in level.train + level.test)
        assert math.isnan(level.null_mean) and math.isnan(level.null_std) and math.isnan(level.null_p)
        assert level.reference == {}
    assert (ladder.name, ladder.dataset, ladder.dataset_hash) == ("study", "cars196", "cafe")
    assert (ladder.distance, ladder.statistics) == ("fid", "class-means")
    assert ladder.embedder["name"] == "resnet50.tv_in1k"
    assert ladder.generator["name"] == "published" and ladder.generator["file"] == "splits.pkl"
    assert len(ladder.generator["sha256"]) == 16 and ladder.generator["notes"] == []


def test_episodes_name_the_images_of_the_dataset(tmp_path: Path) -> None:
    splits = cars_splits()
    ladder = imported(splits, tmp_path)
    assert len(ladder.episodes) == 3 * 2 * 2
    for episode in ladder.episodes:
        draw = splits[episode.level + 1]["test_episodes"][episode.shots][episode.episode]
        assert set(episode.support) == {str(car) for car in draw}
        for car, images in episode.support.items():
            assert images == tuple(f"{car}/{file}" for file in draw[car])


def test_ids_with_folders_are_matched_whole_or_by_file(tmp_path: Path) -> None:
    # the loader's layout has the parts train and test, whose files may share their names
    ids = {car: [f"train/{image}" for image in images] for car, images in cars_images().items()}
    ladder = imported(cars_splits(), tmp_path, cars_view(image_ids=ids))
    assert all(image.startswith("train/") for images in ladder.episodes[0].support.values() for image in images)
    twice = {car: [*images, *(image.replace("train", "test") for image in images)] for car, images in ids.items()}
    with pytest.raises(LadderError, match=r"names 12 images in one episode .*cars196' does not have or has twice"):
        imported(cars_splits(), tmp_path, cars_view(image_ids=twice))
    exact = to_published(ladder)
    assert from_json(exact, tmp_path, cars_view(image_ids=twice)).episodes == ladder.episodes


def test_classes_may_be_numbers_or_digits(tmp_path: Path) -> None:
    splits = cars_splits()
    numbers = {car: row + 1 for row, car in enumerate(CARS)}
    view = cars_view(aliases={str(number): car for car, number in numbers.items()})
    whole = imported(splits, tmp_path, view)
    for split in splits.values():
        split["split_val"] = [np.int64(numbers[car]) for car in split["split_val"]]
        split["split_train"] = [numbers[car] for car in split["split_train"]]
        split["test"] = [np.str_(numbers[car]) for car in split["test"]]
        split["test_episodes"][2][0] = {numbers[car]: files for car, files in split["test_episodes"][2][0].items()}
    assert imported(splits, tmp_path, view).ladder_hash == whole.ladder_hash
    with pytest.raises(LadderError, match=r"such as \d+; numbers are looked up in the class lists"):
        imported(splits, tmp_path)


def test_sop_comes_over_without_its_episodes_of_classes(tmp_path: Path) -> None:
    ladder = imported(sop_splits(), tmp_path, SOP)
    assert ladder.levels[0].name == "default" and set(ladder.levels[0].test) == set(ITEMS[6:])
    assert set(ladder.levels[0].val) < set(ITEMS[:6])
    assert ladder.episodes == ()
    assert ladder.generator["notes"][0] == "split 1: left out 2 episodes that list whole classes, not images"
    assert len(ladder.generator["notes"]) == 3


def test_the_default_split_of_each_set_is_the_one_of_the_literature(tmp_path: Path) -> None:
    assert DEFAULT_SPLITS == {"cub200": 3, "cars196": 1, "sop": 1}
    birds = imported(cars_splits(), tmp_path, cars_view(spec="cub200"))
    assert [level.name for level in birds.levels] == ["level_0", "level_1", "default"]
    photos = imported(cars_splits(), tmp_path, cars_view(spec="folder:photos"))
    assert photos.default_level is None and photos.embedder == {}


def test_levels_rise_whatever_the_order_of_the_ids(tmp_path: Path) -> None:
    splits = cars_splits()
    shuffled = {7: splits[3], 1: splits[2], 4: splits[1]}
    ladder = imported(shuffled, tmp_path)
    assert [level.origin for level in ladder.levels] == ["published 4", "published 1", "published 7"]
    assert ladder.default_level == 1
    assert list(to_published(ladder)) == ["4", "1", "7"]


@pytest.mark.parametrize("sop", [False, True])
def test_the_round_trip_keeps_the_hash(tmp_path: Path, sop: bool) -> None:
    content, view = (sop_splits(), SOP) if sop else (cars_splits(), cars_view())
    ladder = imported(content, tmp_path, view)
    written = to_published(ladder)
    assert written == json.loads(json.dumps(written, allow_nan=False))
    again = from_json(written, tmp_path, view)
    assert again.ladder_hash == ladder.ladder_hash
    assert again.levels == ladder.levels and again.episodes == ladder.episodes
    assert to_published(again) == written


def test_what_is_exported_is_what_was_published(tmp_path: Path) -> None:
    splits = cars_splits()
    written = to_published(imported(splits, tmp_path))
    for number, split in splits.items():
        found = written[str(number)]
        assert list(found) == list(split)
        assert all(found[key] == split[key] for key in ("train", "test", "fid", "split_val"))
        assert set(found["split_train"]) == set(split["split_train"])
        assert set(found["test_episodes"]) == {"2", "3"} and set(found["test_episodes"]["2"]) == {"0", "1"}


def test_a_ladder_of_our_own_makes_the_same_round_trip(tmp_path: Path) -> None:
    means = np.random.default_rng(0).normal(size=(12, 5))
    ladder = make_ladder(means, CARS, levels=3, image_ids=cars_images(), shots=(3, 1), dataset_hash="cafe")
    written = to_published(ladder)
    assert list(written) == ["1", "2", "3"]
    assert [split["fid"] for split in written.values()] == [level.shift for level in ladder.levels]
    again = from_json(written, tmp_path, cars_view(spec="folder:cars"))
    assert again.ladder_hash == ladder.ladder_hash
    assert again.episodes == ladder.episodes


def test_an_imported_ladder_is_saved_and_loaded(tmp_path: Path) -> None:
    ladder = imported(cars_splits(), tmp_path)
    folder = save_ladder(ladder, tmp_path / "study")
    assert load_ladder(folder) == ladder
    text = (folder / "ladder.json").read_text()
    assert "NaN" not in text and json.loads(text)["levels"][0]["null_mean"] is None
    save_ladder(ladder, folder)


Change = Callable[[dict[Any, Any]], Any]
BAD: list[tuple[Change, str]] = [
    (lambda s: s[1].pop("fid"), "unknown schema: split 1 lacks fid; a file of splits is"),
    (lambda s: s[2].update(extra=1), "unknown schema: split 2 has the unknown key 'extra'"),
    (lambda s: s.update(name="cars"), "unknown schema: the split 'name' is no number"),
    (lambda s: s.update({"1": s[1]}), "unknown schema: the split '1' is there twice"),
    (lambda s: s.update({3: ["train"]}), "unknown schema: split 3 is a list"),
    (lambda s: (s.pop(1), s.pop(2)), "holds 1 splits; a ladder needs at least two"),
    (lambda s: s.clear(), "holds 0 splits"),
    (lambda s: s[2].update(fid=8.59), "the splits 1 and 2 have the same fid 8.59"),
    (lambda s: s[2].update(fid=math.nan), "split 2: 'fid' should be a finite number, not nan"),
    (lambda s: s[2].update(fid="8.59"), "split 2: 'fid' should be a finite number, not '8.59'"),
    (lambda s: s[2].update(fid=True), "split 2: 'fid' should be a finite number"),
    (lambda s: s[2].update(train="all"), "split 2: 'train' should be a list, not a text"),
    (lambda s: s[2]["test"].append([CARS[0]]), "split 2: 'test' should hold class names, not a list"),
    (lambda s: s[2]["test"].append(1.5), "split 2: 'test' should hold class names, not a number"),
    (lambda s: s[2]["test"].append(True), "split 2: 'test' should hold class names"),
    (lambda s: s[2]["test"].append(s[2]["test"][0]), "split 2: 'test' names 1 classes twice, such as 'Maker"),
    (lambda s: s[2]["test"].append(s[2]["train"][0]), "split 2: 'test' shares 1 classes with the classes that train"),
    (lambda s: s[1]["split_train"].append(s[1]["split_val"][0]), "split 1: 'split_val' shares 1 classes"),
    (lambda s: s[1]["split_train"].pop(), "split 1: 'split_train' and 'split_val' are not the classes of 'train'"),
    (lambda s: s[1].update(split_train=[], train=s[1]["split_val"]), "split 1: 'split_train' is empty"),
    (lambda s: s[1].update(test=[]), "split 1: 'test' is empty"),
    (
        lambda s: s[3]["test"].__setitem__(0, "Maker Modell 0 2012"),
        "split 3: 'test' names 1 classes that dataset 'cars196' does not have, such as 'Maker Modell 0 2012'; did you "
        "mean 'Maker Model 0 2012'?",
    ),
    (lambda s: s[3]["split_val"].append("zzz"), "split 3: 'split_val' names 1 classes .* 'zzz'; check --dataset"),
    (lambda s: s[3]["split_val"].append(10**19), "split 3: 'split_val' names 1 classes .*numbers are looked up"),
    (lambda s: s[1].update(test_episodes=[1]), "'test_episodes' should be a dictionary by number, not a list"),
    (lambda s: s[1]["test_episodes"].update({2: None}), "should be a dictionary by number, not nothing"),
    (lambda s: s[1]["test_episodes"].update(two={}), "has keys that are no numbers"),
    (lambda s: s[1]["test_episodes"].update({"2": {}}), "or the same number twice"),
    (lambda s: s[1]["test_episodes"].update({0: {0: {}}}), "should give files by class|count from 1"),
    (lambda s: s[1]["test_episodes"][2].update({0: "x"}), "should give files by class, not a text"),
    (
        lambda s: s[1]["test_episodes"][2][0].update({CARS[6]: ["000600.jpg"]}),
        "should list 2 different files of 'Maker",
    ),
    (lambda s: s[1]["test_episodes"][2][0].update({CARS[6]: ["000600.jpg"] * 2}), "2 shots, episode 0 should list 2 d"),
    (lambda s: s[1]["test_episodes"][2][0].update({CARS[6]: [1, 2]}), "should list 2 different files"),
    (lambda s: s[1]["test_episodes"][2][0].update({CARS[6]: None}), "should be a list, not nothing"),
    (
        lambda s: s[1]["test_episodes"][2][0].update({CARS[0]: ["a", "b"]}),
        "draws from 1 classes that are not in 'test'",
    ),
    (lambda s: s[1]["test_episodes"][2][0].update({"Lada": ["a", "b"]}), "names 1 classes that .* 'Lada'"),
    (
        lambda s: s[1]["test_episodes"][2][0].update({CARS[6]: ["a.jpg", "b.jpg"]}),
        "names 2 images in one episode that dataset 'cars196' does not have .*'a.jpg' of 'Maker Model 6 2012'",
    ),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, change: Change, message: str) -> None:
    splits = copy.deepcopy(cars_splits())
    change(splits)
    with pytest.raises(LadderError, match=message) as caught:
        imported(splits, tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "splits.pkl"))


@pytest.mark.parametrize(
    ("content", "kind"),
    [([1, 2], "a list"), ("text", "a text"), (None, "nothing"), (1.5, "a number"), ((1,), "a tuple")],
)
def test_other_values_are_an_unknown_schema(tmp_path: Path, content: object, kind: str) -> None:
    with pytest.raises(LadderError, match=f"has an unknown schema: it holds {kind}; a file of splits is"):
        imported(content, tmp_path)


def test_endless_containers_are_an_unknown_schema(tmp_path: Path) -> None:
    endless: dict[int, Any] = {}
    endless[1] = endless
    with pytest.raises(LadderError, match="unknown schema: split 1 lacks train"):
        imported(endless, tmp_path)
    splits = cars_splits()
    splits[1]["train"].append(splits[1]["train"])
    splits[2]["test_episodes"][2] = splits[2]["test_episodes"]
    with pytest.raises(LadderError, match="should hold class names, not a list"):
        imported(splits, tmp_path)
    splits[1] = cars_splits()[1]
    with pytest.raises(LadderError, match="split 2: 'test_episodes'"):
        imported(splits, tmp_path)


def test_files_that_cannot_be_read_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, data, message in [
        ("cut.pkl", pickle.dumps(cars_splits())[:-20], r"cut\.pkl is not a readable pickle"),
        ("empty.pkl", b"", r"empty\.pkl is not a readable pickle"),
        ("cut.json", b'{"1": {', r"cut\.json is not readable JSON"),
        ("deep.json", b"[" * 100_000, r"deep\.json is not readable JSON"),
        ("bytes.json", b"\xff\xfe\xfa", r"bytes\.json is not readable JSON"),
        ("ladder.json", b'{"schema_version": 1}', r"ladder\.json has an unknown schema"),
    ]:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(LadderError, match=message):
            read_published(tmp_path / name)
    with pytest.raises(LadderError, match=r"cannot read the splits .*none\.pkl: No such file"):
        read_published(tmp_path / "none.pkl")
    with pytest.raises(LadderError, match="Is a directory"):
        read_published(tmp_path)
    monkeypatch.setattr("oodml.splits.published_file.MAX_BYTES", 10)
    with pytest.raises(LadderError, match=r"cut\.pkl has 0 MB, which no file of splits has"):
        read_published(tmp_path / "cut.pkl")
