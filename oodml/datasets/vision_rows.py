"""Image paths, class names and superclasses of torchvision's loaders, without decoding an image.

The loaders keep them under names of their own, most of them private; no other file uses such a name.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def indexed_rows(loader: Any) -> Iterator[tuple[Path, str]]:
    """Rows of a loader with paths and labels, or with pairs of both; classes without a name are numbered."""
    samples = getattr(loader, "_samples", getattr(loader, "samples", None))
    if samples is None:
        paths = loader._image_files if hasattr(loader, "_image_files") else loader._images
        samples = zip(paths, loader._labels, strict=True)
    names = getattr(loader, "classes", None)
    for path, label in samples:
        yield Path(path), names[label] if names else f"{label:03d}"


def caltech101_rows(loader: Any) -> Iterator[tuple[Path, str]]:
    """Rows of Caltech-101: files are numbered within each class."""
    for number, label in zip(loader.index, loader.y, strict=True):
        name = loader.categories[label]
        yield Path(loader.root, "101_ObjectCategories", name, f"image_{number:04d}.jpg"), name


def caltech256_rows(loader: Any) -> Iterator[tuple[Path, str]]:
    """Rows of Caltech-256 without the class 257.clutter, which is none."""
    for number, label in zip(loader.index, loader.y, strict=True):
        name = loader.categories[label]
        if not name.endswith(".clutter"):
            yield Path(loader.root, "256_ObjectCategories", name, f"{label + 1:03d}_{number:04d}.jpg"), name


def omniglot_rows(loader: Any) -> Iterator[tuple[Path, str]]:
    """Rows of Omniglot: a class is ALPHABET/characterNN."""
    for file, label in loader._flat_character_images:
        name = Path(loader._characters[label]).as_posix()
        yield Path(loader.target_folder, name, file), name


def cifar100_groups(loader: Any) -> dict[str, str]:
    """The 20 coarse classes of CIFAR-100, from files whose checksums the loader has verified."""
    folder = Path(loader.root, loader.base_folder)
    meta, part = (
        pickle.loads((folder / name).read_bytes(), encoding="latin1")
        for name in ("meta", "train" if loader.train else "test")
    )
    pairs = zip(part["fine_labels"], part["coarse_labels"], strict=True)
    return {meta["fine_label_names"][fine]: meta["coarse_label_names"][coarse] for fine, coarse in pairs}


def manufacturers(loader: Any) -> dict[str, str]:
    """Manufacturer of each variant of FGVC-Aircraft: the same images under coarser labels."""
    coarse = type(loader)(root=loader.root, split=loader._split, annotation_level="manufacturer")
    by_path = dict(indexed_rows(coarse))
    return {name: by_path[path] for path, name in indexed_rows(loader)}


def species(loader: Any) -> dict[str, str]:
    """Cat or dog for each breed of the Oxford-IIIT Pets."""
    pairs = zip(loader._labels, loader._bin_labels, strict=True)
    return {loader.classes[label]: loader.bin_classes[kind] for label, kind in pairs}
