from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torchvision.datasets
from PIL import Image

from oodml import registry
from oodml.datasets import load_dataset
from oodml.errors import DatasetError

NAMES = [f"kind_{letter}" for letter in "abcdefgh"]
EIGHT = range(8)
SETS = [name for name in registry.names("dataset") if ".vision:" in registry.targets("dataset")[name]]


def draw(files: Iterable[Path]) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9), (200, 10, 10)).save(file)


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def cifar100(root: Path, patch: pytest.MonkeyPatch) -> None:
    home = root / "cifar-100-python"
    home.mkdir()
    contents: dict[str, Any] = {"meta": {"fine_label_names": NAMES, "coarse_label_names": ["low", "high"]}}
    for seed, part in enumerate(("train", "test")):
        data = np.random.default_rng(seed).integers(0, 256, (16, 3072), dtype=np.uint8)
        labels = [k % 8 for k in range(16)]
        contents[part] = {"data": data, "fine_labels": labels, "coarse_labels": [k // 4 for k in labels]}
    for name, content in contents.items():
        (home / name).write_bytes(pickle.dumps(content))
    loader = torchvision.datasets.CIFAR100
    patch.setattr(loader, "train_list", [["train", md5(home / "train")]])
    patch.setattr(loader, "test_list", [["test", md5(home / "test")]])
    patch.setattr(loader, "meta", {**loader.meta, "md5": md5(home / "meta")})


def emnist(root: Path, patch: pytest.MonkeyPatch) -> None:
    raw = root / "EMNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "test"):
        pictures = np.zeros((8, 28, 28), np.uint8)
        pictures[:, 3, 20] = 255  # stored column by column: right of the middle column 3, row 20
        head = np.array([0x803, 8, 28, 28], ">i4").tobytes()
        (raw / f"emnist-balanced-{part}-images-idx3-ubyte").write_bytes(head + pictures.tobytes())
        labels = np.arange(8, dtype=np.uint8).tobytes()
        (raw / f"emnist-balanced-{part}-labels-idx1-ubyte").write_bytes(np.array([0x801, 8], ">i4").tobytes() + labels)


def flowers102(root: Path, patch: pytest.MonkeyPatch) -> None:
    home = root / "flowers-102"
    draw(home / "jpg" / f"image_{k:05d}.jpg" for k in range(1, 25))
    scipy.io.savemat(home / "imagelabels.mat", {"labels": np.arange(24) % 8 + 1})
    parts = {"trnid": np.arange(1, 9), "valid": np.arange(9, 17), "tstid": np.arange(17, 25)}
    scipy.io.savemat(home / "setid.mat", parts)
    loader = torchvision.datasets.Flowers102
    sums = {key: (name, md5(home / name)) for key, (name, _) in loader._file_dict.items() if key != "image"}
    patch.setattr(loader, "_file_dict", {**loader._file_dict, **sums})


def dtd(root: Path, patch: pytest.MonkeyPatch) -> None:
    home = root / "dtd" / "dtd"
    (home / "labels").mkdir(parents=True)
    for part in ("train", "val", "test"):
        files = [f"{name}/{name}_{part}.jpg" for name in NAMES]
        draw(home / "images" / file for file in files)
        (home / "labels" / f"{part}1.txt").write_text("\n".join(files) + "\n")


def food101(root: Path, patch: pytest.MonkeyPatch) -> None:
    home = root / "food-101"
    (home / "meta").mkdir(parents=True)
    for number, part in enumerate(("train", "test")):
        draw(home / "images" / name / f"{number}.jpg" for name in NAMES)
        (home / "meta" / f"{part}.json").write_text(json.dumps({name: [f"{name}/{number}"] for name in NAMES}))


def omniglot(root: Path, patch: pytest.MonkeyPatch) -> None:
    home = root / "omniglot-py"
    for part, alphabets in (("images_background", ["Greek", "Latin"]), ("images_evaluation", ["Runes"])):
        for alphabet in alphabets:
            draw(
                home / part / alphabet / f"character{k:02d}" / f"{k:04d}_0{d}.png" for k in range(1, 4) for d in (1, 2)
            )
        (home / f"{part}.zip").write_bytes(part.encode())
    sums = {part: md5(home / f"{part}.zip") for part in ("images_background", "images_evaluation")}
    patch.setattr(torchvision.datasets.Omniglot, "zips_md5", sums)


def fgvc_aircraft(root: Path, patch: pytest.MonkeyPatch) -> None:
    data = root / "fgvc-aircraft-2013b" / "data"
    (data / "images").mkdir(parents=True)
    (data / "variants.txt").write_text("\n".join(NAMES) + "\n")
    (data / "manufacturers.txt").write_text("Low Air\nHigh Air\n")
    for start, part in ((0, "trainval"), (8, "test")):
        draw(data / "images" / f"{start + k:07d}.jpg" for k in EIGHT)
        rows = {"variant": NAMES, "manufacturer": [("Low Air", "High Air")[k // 4] for k in EIGHT]}
        for level, labels in rows.items():
            lines = [f"{start + k:07d} {label}\n" for k, label in enumerate(labels)]
            (data / f"images_{level}_{part}.txt").write_text("".join(lines))


def oxford_pets(root: Path, patch: pytest.MonkeyPatch) -> None:
    home = root / "oxford-iiit-pet"
    (home / "annotations").mkdir(parents=True)
    for start, part in ((1, "trainval"), (2, "test")):
        draw(home / "images" / f"{name}_{start}.jpg" for name in NAMES)
        lines = [f"{name}_{start} {k + 1} {k % 2 + 1} 1\n" for k, name in enumerate(NAMES)]
        (home / "annotations" / f"{part}.txt").write_text("".join(lines))


def gtsrb(root: Path, patch: pytest.MonkeyPatch) -> None:
    home = root / "gtsrb"
    draw(home / "GTSRB" / "Training" / f"{k:05d}" / "00000_00000.ppm" for k in EIGHT)
    draw(home / "GTSRB" / "Final_Test" / "Images" / f"{k:05d}.ppm" for k in EIGHT)
    lines = ["Filename;Width;ClassId", *(f"{k:05d}.ppm;9;{k}" for k in EIGHT)]
    (home / "GT-final_test.csv").write_text("\n".join(lines) + "\n")


def caltech101(root: Path, patch: pytest.MonkeyPatch) -> None:
    home = root / "caltech101" / "101_ObjectCategories"
    draw(home / name / f"image_{k:04d}.jpg" for name in ("BACKGROUND_Google", *NAMES) for k in (1, 2))


def caltech256(root: Path, patch: pytest.MonkeyPatch) -> None:
    home = root / "caltech256" / "256_ObjectCategories"
    for label, name in enumerate([*NAMES, "clutter"], 1):
        draw(home / f"{label:03d}.{name}" / f"{label:03d}_{k:04d}.jpg" for k in (1, 2))


def country211(root: Path, patch: pytest.MonkeyPatch) -> None:
    for part in ("train", "valid", "test"):
        draw(root / "country211" / part / name / "1.jpg" for name in NAMES)


def stanford_cars(root: Path, patch: pytest.MonkeyPatch) -> None:
    home = root / "stanford_cars"
    (home / "devkit").mkdir(parents=True)
    scipy.io.savemat(home / "devkit" / "cars_meta.mat", {"class_names": np.array(NAMES, dtype=object)})
    kind = [("fname", object), ("class", int)]
    for part, table in (("train", "devkit/cars_train_annos"), ("test", "cars_test_annos_withlabels")):
        draw(home / f"cars_{part}" / f"{k:05d}.jpg" for k in EIGHT)
        rows = np.array([(f"{k:05d}.jpg", k + 1) for k in EIGHT], dtype=kind)
        scipy.io.savemat(home / f"{table}.mat", {"annotations": rows})


def sun397(root: Path, patch: pytest.MonkeyPatch) -> None:
    draw(root / "SUN397" / "k" / name / f"sun_{k}.jpg" for name in NAMES for k in (1, 2))
    (root / "SUN397" / "ClassName.txt").write_text("".join(f"/k/{name}\n" for name in NAMES))


TREES: dict[str, Callable[[Path, pytest.MonkeyPatch], None]] = {
    "caltech101": caltech101,
    "caltech256": caltech256,
    "cifar100": cifar100,
    "country211": country211,
    "dtd": dtd,
    "emnist": emnist,
    "fgvc_aircraft": fgvc_aircraft,
    "flowers102": flowers102,
    "food101": food101,
    "gtsrb": gtsrb,
    "omniglot": omniglot,
    "oxford_pets": oxford_pets,
    "stanford_cars": stanford_cars,
    "sun397": sun397,
}
HALVES = {name: ("Low Air", "High Air")[k // 4] for k, name in enumerate(NAMES)}
TITLES = [name.title().replace("_", " ") for name in NAMES]
EXPECTED: dict[str, tuple[int, list[str], str]] = {
    "caltech101": (16, NAMES, "kind_a/image_0001.jpg"),
    "caltech256": (16, [f"{k:03d}.{name}" for k, name in enumerate(NAMES, 1)], "001.kind_a/001_0001.jpg"),
    "cifar100": (32, NAMES, "train/000000"),
    "country211": (24, NAMES, "test/kind_a/1.jpg"),
    "dtd": (24, NAMES, "images/kind_a/kind_a_test.jpg"),
    "fgvc_aircraft": (16, NAMES, "data/images/0000000.jpg"),
    "food101": (16, NAMES, "images/kind_a/0.jpg"),
    "gtsrb": (16, [f"{k:03d}" for k in EIGHT], "GTSRB/Final_Test/Images/00000.ppm"),
    "oxford_pets": (16, TITLES, "images/kind_a_1.jpg"),
    "stanford_cars": (16, NAMES, "cars_test/00000.jpg"),
    "sun397": (16, NAMES, "k/kind_a/sun_1.jpg"),
}
SUPERCLASSES = {
    "cifar100": {name: ("low", "high")[k // 4] for k, name in enumerate(NAMES)},
    "fgvc_aircraft": HALVES,
    "oxford_pets": {title: ("Cat", "Dog")[k % 2] for k, title in enumerate(TITLES)},
}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_parts_are_joined_with_names_ids_and_superclasses(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    TREES[name](tmp_path, monkeypatch)
    dataset = load_dataset(name, root=tmp_path)
    images, classes, first = EXPECTED[name]
    assert (dataset.name, dataset.initial) == (name, "random")
    assert list(dataset.class_names) == classes
    assert np.bincount(dataset.labels).tolist() == [images // 8] * 8
    assert dataset.image_ids[0] == first
    assert len(set(dataset.image_ids)) == images
    assert dataset.superclasses == SUPERCLASSES.get(name, {})
    assert not any(str(tmp_path) in image_id for image_id in dataset.image_ids)
    assert dataset.read is not None
    assert {dataset.read(row).mode for row in range(images)} == {"RGB"}


def test_cifar_pictures_are_those_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cifar100(tmp_path, monkeypatch)
    dataset = load_dataset("cifar100", root=tmp_path)
    stored = pickle.loads((tmp_path / "cifar-100-python" / "test").read_bytes())["data"][5]
    assert dataset.read is not None
    row = dataset.image_ids.index("test/000005")
    assert (np.asarray(dataset.read(row)) == stored.reshape(3, 32, 32).transpose(1, 2, 0)).all()
    assert dataset.native_size == 32


def test_emnist_is_turned_upright(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    emnist(tmp_path, monkeypatch)
    dataset = load_dataset("emnist", root=tmp_path)
    assert (len(dataset), len(dataset.class_names), dataset.photographs) == (16, 47, False)
    assert dataset.read is not None
    assert np.argwhere(np.asarray(dataset.read(0))[..., 0]).tolist() == [[20, 3]]


def test_flowers_have_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flowers102(tmp_path, monkeypatch)
    dataset = load_dataset("flowers102", root=tmp_path)
    assert len(dataset) == 24
    found = {dataset.image_ids[row]: dataset.class_names[dataset.labels[row]] for row in range(24)}
    labels = torchvision.datasets.Flowers102.classes if hasattr(torchvision.datasets.Flowers102, "classes") else None
    for k in range(1, 25):
        expected = labels[(k - 1) % 8] if labels else f"{(k - 1) % 8:03d}"
        assert found[f"jpg/image_{k:05d}.jpg"] == expected


def test_omniglot_has_alphabets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    omniglot(tmp_path, monkeypatch)
    dataset = load_dataset("omniglot", root=tmp_path)
    assert dataset.class_names == tuple(f"{a}/character0{k}" for a in ("Greek", "Latin", "Runes") for k in (1, 2, 3))
    assert dataset.superclasses == {name: name.split("/")[0] for name in dataset.class_names}
    assert dataset.image_ids[0] == "images_background/Greek/character01/0001_01.png"
    assert len(dataset) == 18


@pytest.mark.parametrize("name", SETS)
def test_a_missing_set_says_what_to_place_where(name: str, tmp_path: Path) -> None:
    root = tmp_path / "nothing"
    with pytest.raises(DatasetError, match=f"dataset '{name}' could not be read .*--root .*--download"):
        load_dataset(name, root=root)
    assert not root.exists()


def test_a_failed_download_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **keywords: object) -> None:
        raise OSError("host not found")

    monkeypatch.setattr("torchvision.datasets.food101.download_and_extract_archive", fail)
    with pytest.raises(
        DatasetError, match=r"'food101' could not be downloaded or read .*host not found.*food-101/images"
    ):
        load_dataset("food101", root=tmp_path, download=True)
    with pytest.raises(DatasetError, match="'stanford_cars' could not be downloaded .*stanford_cars/devkit"):
        load_dataset("stanford_cars", root=tmp_path, download=True)


def test_damaged_lists_are_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    food101(tmp_path, monkeypatch)
    (tmp_path / "food-101" / "meta" / "test.json").write_text("{")
    with pytest.raises(DatasetError, match=r"'food101' could not be read \(JSONDecodeError"):
        load_dataset("food101", root=tmp_path)


def test_every_registered_set_is_tested_here() -> None:
    assert sorted(TREES) == SETS
    assert set(EXPECTED) | {"emnist", "flowers102", "omniglot"} == set(SETS)
