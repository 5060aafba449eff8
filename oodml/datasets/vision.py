"""Sets with many classes that torchvision loads; their parts (train, test and so on) are joined."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from oodml.datasets.base import Dataset, DatasetInfo, Request
from oodml.datasets.hosted import Row, from_files, guarded, missing
from oodml.datasets.superclasses import superclasses_of
from oodml.datasets.vision_rows import (
    caltech101_rows,
    caltech256_rows,
    cifar100_groups,
    indexed_rows,
    manufacturers,
    omniglot_rows,
    species,
)

Part = Mapping[str, object]


@dataclass(frozen=True)
class Vision:
    """One of torchvision's sets.

    Attributes:
        name: Registered name.
        loader: Class in `torchvision.datasets`.
        home: Folder below the root that has to exist; image ids are paths below it.
        parts: Keywords of the loader, one mapping per part of the set.
        layout: What the home has to hold, for the message when it does not.
        rows: Image paths and class names of a loader; None if the loader keeps its images as an array.
        groups: Superclass by class name, from a loader.
        upright: Turns an image of an array upright.
        photographs: See `Dataset`.
        native_size: See `Dataset`.
    """

    name: str
    loader: str
    home: str
    parts: tuple[Part, ...]
    layout: str
    rows: Callable[[Any], Iterator[tuple[Path, str]]] | None = indexed_rows
    groups: Callable[[Any], Mapping[str, str]] | None = None
    upright: Callable[[Any], Any] = np.asarray
    photographs: bool = True
    native_size: int | None = None

    def build(self, request: Request) -> Dataset:
        """Opens the set, or downloads it; decodes no image.

        Raises:
            DatasetError: If it is neither there nor to be had; says what to place where.
        """
        layout = f"{self.home}/{self.layout}"
        # Some loaders create folders even where nothing is to be read.
        if not request.download and not (request.root / self.home).is_dir():
            raise missing(self.name, request, layout)
        return guarded(self.name, request, layout, lambda: self._open(request))

    def _open(self, request: Request) -> Dataset:
        import torchvision

        load = getattr(torchvision.datasets, self.loader)
        parts = [load(root=str(request.root), download=request.download, **part) for part in self.parts]
        groups = dict[str, str]()
        if self.groups is not None:
            for part in parts:
                groups.update(self.groups(part))
        if self.rows is None:
            return self._from_arrays(request, parts, groups)
        home = request.root / self.home
        rows = [
            Row(path.relative_to(home).as_posix(), path, class_name)
            for part in parts
            for path, class_name in self.rows(part)
        ]
        return from_files(self.name, request, rows, groups, photographs=self.photographs, native_size=self.native_size)

    def _from_arrays(self, request: Request, parts: list[Any], groups: Mapping[str, str]) -> Dataset:
        class_names = tuple(parts[0].classes)
        arrays = [part.data for part in parts]
        rows = [(part, row) for part, array in enumerate(arrays) for row in range(len(array))]
        return Dataset(
            name=self.name,
            class_names=class_names,
            labels=np.concatenate([np.asarray(part.targets, dtype=np.int64) for part in parts]),
            image_ids=tuple(f"{('train', 'test')[part]}/{row:06d}" for part, row in rows),
            read=lambda index: _picture(self.upright(arrays[rows[index][0]][rows[index][1]])),
            superclasses=superclasses_of(request, class_names, groups),
            photographs=self.photographs,
            native_size=self.native_size,
        )

    def info(self, summary: str) -> DatasetInfo:
        """The registered dataset."""
        return DatasetInfo(name=self.name, summary=summary, build=self.build)


def _picture(array: Any) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(array)).convert("RGB")


def _splits(*names: str) -> tuple[Part, ...]:
    return tuple({"split": name} for name in names)


CALTECH101 = Vision(
    name="caltech101",
    loader="Caltech101",
    home="caltech101/101_ObjectCategories",
    parts=({},),
    layout="CLASS/image_0001.jpg (and the folder BACKGROUND_Google, which is left out)",
    rows=caltech101_rows,
).info("Caltech-101: 101 kinds of objects, 8677 photographs")

CALTECH256 = Vision(
    name="caltech256",
    loader="Caltech256",
    home="caltech256/256_ObjectCategories",
    parts=({},),
    layout="001.ak47/001_0001.jpg",
    rows=caltech256_rows,
).info("Caltech-256 without its clutter: 256 kinds of objects, 29780 photographs")

CIFAR100 = Vision(
    name="cifar100",
    loader="CIFAR100",
    home="cifar-100-python",
    parts=({"train": True}, {"train": False}),
    layout="train, test and meta",
    rows=None,
    groups=cifar100_groups,
    native_size=32,
).info("CIFAR-100: 100 classes in 20 superclasses, 60000 images of 32 x 32")

COUNTRY211 = Vision(
    name="country211",
    loader="Country211",
    home="country211",
    parts=_splits("train", "valid", "test"),
    layout="train, valid and test, each with CLASS/FILE.jpg",
).info("Country211: photographs from 211 countries, 63300 images")

DTD = Vision(
    name="dtd",
    loader="DTD",
    home="dtd/dtd",
    parts=_splits("train", "val", "test"),
    layout="images and labels",
).info("Describable Textures: 47 textures, 5640 images")

EMNIST = Vision(
    name="emnist",
    loader="EMNIST",
    home="EMNIST/raw",
    parts=({"split": "balanced", "train": True}, {"split": "balanced", "train": False}),
    layout="emnist-balanced-train-images-idx3-ubyte and its three companions",
    rows=None,
    upright=lambda image: image.numpy().T,  # stored column by column
    photographs=False,
    native_size=28,
).info("EMNIST balanced: 47 handwritten letters and digits, 131600 images of 28 x 28")

FGVC_AIRCRAFT = Vision(
    name="fgvc_aircraft",
    loader="FGVCAircraft",
    home="fgvc-aircraft-2013b",
    parts=_splits("trainval", "test"),
    layout="data/images and data/*.txt",
    groups=manufacturers,
).info("FGVC-Aircraft: 100 variants of 30 manufacturers, 10000 photographs")

FLOWERS102 = Vision(
    name="flowers102",
    loader="Flowers102",
    home="flowers-102",
    parts=_splits("train", "val", "test"),
    layout="jpg, imagelabels.mat and setid.mat",
).info("Oxford Flowers: 102 species, 8189 photographs")

FOOD101 = Vision(
    name="food101",
    loader="Food101",
    home="food-101",
    parts=_splits("train", "test"),
    layout="images and meta",
).info("Food-101: 101 dishes, 101000 photographs")

GTSRB = Vision(
    name="gtsrb",
    loader="GTSRB",
    home="gtsrb",
    parts=_splits("train", "test"),
    layout="GTSRB/Training, GTSRB/Final_Test and GT-final_test.csv",
    photographs=False,  # mirrored signs are other signs
).info("German Traffic Signs: 43 signs, 51839 photographs")

OMNIGLOT = Vision(
    name="omniglot",
    loader="Omniglot",
    home="omniglot-py",
    parts=({"background": True}, {"background": False}),
    layout="images_background and images_evaluation, each beside the .zip it came from",
    rows=omniglot_rows,
    groups=lambda loader: {name: name.partition("/")[0] for _, name in omniglot_rows(loader)},
    photographs=False,
    native_size=105,
).info("Omniglot: 1623 characters of 50 alphabets, 32460 drawings")

OXFORD_PETS = Vision(
    name="oxford_pets",
    loader="OxfordIIITPet",
    home="oxford-iiit-pet",
    parts=_splits("trainval", "test"),
    layout="images and annotations",
    groups=species,
).info("Oxford-IIIT Pets: 37 breeds of cats and dogs, 7349 photographs")

STANFORD_CARS = Vision(
    name="stanford_cars",
    loader="StanfordCars",
    home="stanford_cars",
    parts=_splits("train", "test"),
    layout="devkit, cars_train, cars_test and cars_test_annos_withlabels.mat",
).info("Stanford Cars in its original layout: 196 models, 16185 photographs")

SUN397 = Vision(
    name="sun397",
    loader="SUN397",
    home="SUN397",
    parts=({},),
    layout="ClassName.txt and a/abbey/sun_*.jpg",
).info("SUN397: 397 kinds of scenes, 108754 photographs")
