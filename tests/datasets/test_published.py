from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from oodml.datasets import Dataset, load_dataset
from oodml.errors import DatasetError

BIRDS = [f"{number:03d}.Bird_{number}" for number in range(1, 9)]
CARS = [f"Maker Model {number} 2012" for number in range(1, 9)]
ITEMS = [f"{'bicycle' if number < 4 else 'chair'}_final/11100{number}" for number in range(8)]


def draw(files: Iterable[Path]) -> None:
    for number, file in enumerate(files):
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(file)


def cub_tree(home: Path) -> None:
    """The layout of the published archive: lists of images and labels beside images/."""
    names = [f"{bird}/{bird[4:]}_{image}.jpg" for bird in BIRDS for image in range(3)]
    draw(home / "images" / name for name in names)
    lines = [f"{number} {name}\n" for number, name in enumerate(names, 1)]
    (home / "images.txt").write_text("".join(lines))
    labels = [f"{number} {int(name[:3])}\n" for number, name in enumerate(names, 1)]
    (home / "image_class_labels.txt").write_text("".join(labels))


def cars_tree(home: Path) -> None:
    rows: dict[str, list[str]] = {"train": [], "test": []}
    for part, lines in rows.items():
        for number, car in enumerate(CARS, 1):
            draw([home / "car_data" / "car_data" / part / car / f"{number:05d}.jpg"])
            lines.append(f"{number:05d}.jpg,1,2,3,4,{number}\n")
        (home / f"anno_{part}.csv").write_text("".join(lines))
    (home / "names.csv").write_text("".join(f"{car}\n" for car in CARS))


def sop_tree(home: Path) -> None:
    for part, items in (("train", ITEMS[:4]), ("test", ITEMS[4:])):
        lines = ["image_id class_id super_class_id path\n"]
        for item in items:
            for image in range(2):
                draw([home / f"{item}_{image}.JPG"])
                lines.append(f"1 {ITEMS.index(item) + 1} 1 {item}_{image}.JPG\n")
        (home / f"Ebay_{part}.txt").write_text("".join(lines))


def named(dataset: Dataset) -> set[tuple[str, str]]:
    return {(i, dataset.class_names[label]) for i, label in zip(dataset.image_ids, dataset.labels, strict=True)}


@pytest.mark.parametrize("home", ["CUB_200_2011", "cub200/CUB_200_2011"])
def test_cub_from_the_loader_and_from_class_folders_is_one_dataset(tmp_path: Path, home: str) -> None:
    cub_tree(tmp_path / "a" / home)
    listed = load_dataset("cub200", root=tmp_path / "a")
    draw_only = tmp_path / "b" / "cub200" / "images"
    draw_only.parent.mkdir(parents=True)
    (tmp_path / "a" / home / "images").rename(draw_only)
    folders = load_dataset("cub200", root=tmp_path / "b")
    direct = load_dataset("cub200", root=tmp_path / "b" / "cub200")
    assert listed.content_hash == folders.content_hash == direct.content_hash
    assert listed.class_names == tuple(BIRDS)
    assert named(listed) == {(f"{b}/{b[4:]}_{k}.jpg", b) for b in BIRDS for k in range(3)}
    assert (listed.name, listed.initial, listed.superclasses) == ("cub200", "sorted", {})
    assert direct.read is not None
    assert direct.read(5).size == (8, 8)


def test_cars_joins_its_parts_whose_files_share_names(tmp_path: Path) -> None:
    cars_tree(tmp_path / "cars196")
    dataset = load_dataset("cars196", root=tmp_path)
    assert dataset.class_names == tuple(CARS)
    assert named(dataset) == {(f"{p}/{c}/{n:05d}.jpg", c) for p in ("train", "test") for n, c in enumerate(CARS, 1)}
    draw(tmp_path / "paper" / "cars196" / "images" / car / "000001.jpg" for car in CARS)
    assert load_dataset("cars196", root=tmp_path / "paper").class_names == tuple(CARS)


def test_sop_classes_are_items_and_superclasses_their_categories(tmp_path: Path) -> None:
    sop_tree(tmp_path / "a" / "Stanford_Online_Products")
    listed = load_dataset("sop", root=tmp_path / "a")
    (tmp_path / "b" / "sop" / "images").mkdir(parents=True)
    for category in ("bicycle_final", "chair_final"):
        source = tmp_path / "a" / "Stanford_Online_Products" / category
        source.rename(tmp_path / "b" / "sop" / "images" / category)
    folders = load_dataset("sop", root=tmp_path / "b")
    assert listed.content_hash == folders.content_hash
    assert listed.class_names == tuple(item.partition("/")[2] for item in ITEMS)
    assert listed.superclasses == {item.partition("/")[2]: item.partition("/")[0] for item in ITEMS}
    assert len(listed) == 16


@pytest.mark.parametrize("name", ["cub200", "cars196", "sop"])
def test_a_missing_set_says_what_to_place_where(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError, match=f"{name}' could not be read .*{name}/images/.*--root .*--download"):
        load_dataset(name, root=tmp_path / "nothing")


def test_an_incomplete_set_names_the_file(tmp_path: Path) -> None:
    cub_tree(tmp_path / "CUB_200_2011")
    (tmp_path / "CUB_200_2011" / "images" / BIRDS[2] / "Bird_3_1.jpg").unlink()
    with pytest.raises(DatasetError, match="incomplete: .*Bird_3_1.jpg: No such file"):
        load_dataset("cub200", root=tmp_path)
    (tmp_path / "CUB_200_2011" / "image_class_labels.txt").unlink()
    with pytest.raises(DatasetError, match=r"could not be read \(FileNotFoundError: .*image_class_labels.txt"):
        load_dataset("cub200", root=tmp_path)


def test_a_failed_download_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pytorch_metric_learning.datasets import CUB

    def fail(self: Any) -> None:
        (Path(self.root) / "half.tgz").write_bytes(b"half")
        raise OSError("host not found")

    monkeypatch.setattr(CUB, "download_and_remove", fail)
    with pytest.raises(DatasetError, match=r"downloaded or read \(OSError: host not found\).*cub200/images/001"):
        load_dataset("cub200", root=tmp_path / "data", download=True)
    assert list((tmp_path / "data").iterdir()) == []


def test_a_download_is_used_at_once_and_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pytorch_metric_learning.datasets import CUB

    calls: list[str] = []

    def fetch(self: Any) -> None:
        calls.append(self.root)
        cub_tree(Path(self.root) / "CUB_200_2011")

    monkeypatch.setattr(CUB, "download_and_remove", fetch)
    for _ in range(2):
        assert len(load_dataset("cub200", root=tmp_path / "data", download=True)) == 24
    assert len(calls) == 1
    assert [folder.name for folder in (tmp_path / "data").iterdir()] == ["cub200"]


def test_a_download_never_overwrites_another_folder(tmp_path: Path) -> None:
    (tmp_path / "sop").mkdir()
    (tmp_path / "sop" / "mine.txt").write_text("keep")
    with pytest.raises(DatasetError, match="holds something else"):
        load_dataset("sop", root=tmp_path, download=True)
    assert (tmp_path / "sop" / "mine.txt").read_text() == "keep"
