"""Splits with the structure of the published files, small: what they hold, and the trees of images they name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from oodml.splits.published_view import DatasetView

CARS = [f"Maker Model {number} 2012" for number in range(12)]
ITEMS = [f"11100{number:02d}" for number in range(12)]
FILES = 5


def cars_images() -> dict[str, list[str]]:
    """Ids of all images by class, in the layout of the study."""
    return {car: [f"{car}/{100 * row + number:06d}.jpg" for number in range(FILES)] for row, car in enumerate(CARS)}


def cars_view(**changes: Any) -> DatasetView:
    """The small cars196 without its files."""
    return DatasetView(**{"spec": "cars196", "image_ids": cars_images(), "content_hash": "cafe", **changes})


def cars_splits(shots: Sequence[int] = (2, 3)) -> dict[int, dict[str, Any]]:
    """Three splits as the study's pickle of CARS196 has them: numpy strings and floats, files without a folder."""
    half = len(CARS) // 2
    moved = {1: 0, 2: 2, 3: 4}
    sides = {k: (CARS[n:half] + CARS[half : half + n], CARS[:n] + CARS[half + n :]) for k, n in moved.items()}
    fids = {1: 8.59, 2: 14.33, 3: 32.18}
    return {number: _split(*sides[number], fids[number], shots) for number in moved}


def sop_splits() -> dict[int, dict[str, Any]]:
    """Three splits as the study's loader reads those of SOP: class numbers for validation, episodes of classes."""
    splits = cars_splits()
    number = {car: row + 1 for row, car in enumerate(CARS)}
    for split in splits.values():
        for key in ("split_train", "split_val"):
            split[key] = [number[str(car)] for car in split[key]]
        for key in ("train", "test"):
            split[key] = [np.str_(ITEMS[number[str(car)] - 1]) for car in split[key]]
        classes = [number[car] for car in CARS if ITEMS[number[car] - 1] in split["test"]]
        split["test_episodes"] = {2: {0: classes[:2], 1: classes[2:4]}}
    return splits


def place_cars(root: Path) -> Path:
    """Draws the images of the small cars196 below a root."""
    _draw(root / "cars196" / "images", [image for images in cars_images().values() for image in images])
    return root


def place_sop(root: Path) -> Path:
    """Draws a small SOP with its lists below a root, in the layout of the study."""
    paths = {item: [f"chair_final/{item}_{image}.JPG" for image in range(3)] for item in ITEMS}
    _draw(root / "sop" / "images", [path for of_item in paths.values() for path in of_item])
    lists = root / "sop" / "Info_Files"
    lists.mkdir()
    for part, items in (("train", ITEMS[:6]), ("test", ITEMS[6:])):
        rows = [f"1 {ITEMS.index(item) + 1} 1 {path}" for item in items for path in paths[item]]
        (lists / f"Ebay_{part}.txt").write_text("\n".join(["image_id class_id super_class_id path", *rows, ""]))
    return root


def _split(train: Sequence[str], test: Sequence[str], fid: float, shots: Sequence[int]) -> dict[str, Any]:
    rng, images = np.random.default_rng(int(fid)), cars_images()
    val = set(rng.choice(train, 2, replace=False).tolist())
    return {
        "train": list(np.array(train)),
        "test": list(np.array(test)),
        "fid": np.float64(fid),
        "split_train": [np.str_(car) for car in train if car not in val],
        "split_val": [np.str_(car) for car in train if car in val],
        "test_episodes": {k: {episode: _draws(rng, test, images, k) for episode in range(2)} for k in shots},
    }


def _draws(
    rng: np.random.Generator, test: Sequence[str], images: Mapping[str, Sequence[str]], k: int
) -> dict[np.str_, list[str]]:
    files = {car: [image.rpartition("/")[2] for image in images[car]] for car in test}
    return {np.str_(car): [str(file) for file in rng.choice(files[car], k, replace=False)] for car in test}


def _draw(folder: Path, files: Sequence[str]) -> None:
    for number, file in enumerate(files):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / file)
