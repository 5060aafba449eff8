"""The vectors that `oodml evaluate` works on, and whether two sets of them are of the same images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from oodml.datasets import load_dataset
from oodml.datasets.base import Dataset, Request
from oodml.datasets.vectors import build
from oodml.errors import DatasetError, UsageError
from oodml.shift_embedders import PREFIX, embedding_file


def full_spec(spec: str) -> str:
    """A dataset's name with its prefix: a path that ends in .npz or .parquet stands for embeddings:PATH."""
    file = embedding_file(spec)
    return spec if file is None or spec.startswith(PREFIX) else f"{PREFIX}{spec}"


def open_vectors(spec: str) -> Dataset:
    """A dataset that holds vectors.

    Raises:
        UsageError: If it holds images.
        DatasetError: If it cannot be read.
    """
    file = embedding_file(spec)
    if file is not None and file.name:
        return build(Request(str(file)))  # not load_dataset, which asks for enough classes to divide
    try:
        data = load_dataset(spec)
    except DatasetError as error:
        raise DatasetError(f"{error} (embeddings are read from {PREFIX}FILE)") from error
    if data.vectors is None:
        raise UsageError(
            f"dataset {spec!r} holds images: extract their embeddings first, save them with their labels as .npz or "
            f".parquet, and evaluate {PREFIX}FILE"
        )
    return data


def vectors_of(data: Dataset) -> NDArray[np.float32]:
    """The vectors of a dataset of vectors."""
    assert data.vectors is not None
    return data.vectors


def labels_of(data: Dataset) -> NDArray[np.str_]:
    """The class name of every row: names mean the same in two files, numbers need not."""
    return np.array(data.class_names, dtype=np.str_)[data.labels]


def same_ids(first: Dataset, second: Dataset) -> bool:
    """Whether two datasets name the same rows, in any order."""
    return set(first.image_ids) == set(second.image_ids)


def paired(first: Dataset, second: Dataset) -> Dataset:
    """The second dataset with its rows in the order of the first: by id if both have the same ids.

    Raises:
        DatasetError: If a row is of another class; the first such row is named.
    """
    if len(first) != len(second):
        raise DatasetError(
            f"--against {second.name!r} has {len(second)} rows and {first.name!r} {len(first)}: row "
            f"{min(len(first), len(second))} is in one only; both must hold the same images"
        )
    if same_ids(first, second):
        where = {name: row for row, name in enumerate(second.image_ids)}
        order = np.array([where[name] for name in first.image_ids], dtype=np.int64)
        second = replace(
            second,
            labels=second.labels[order],
            image_ids=first.image_ids,
            vectors=vectors_of(second)[order],
            fingerprint=(),
        )
    one, two = labels_of(first), labels_of(second)
    wrong = np.flatnonzero(one != two)
    if len(wrong):
        row = int(wrong[0])
        raise DatasetError(
            f"row {row} ({first.image_ids[row]!r}) is of class {str(one[row])!r} in {first.name!r} and of "
            f"{str(two[row])!r} in --against {second.name!r} ({len(wrong)} such rows); both must hold the same images"
        )
    return second
