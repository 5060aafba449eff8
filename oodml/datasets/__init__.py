"""Datasets by name: `glyphs`, `folder:PATH`, `embeddings:FILE` and the published sets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from oodml import registry
from oodml.datasets.base import Dataset, DatasetInfo, Request, check_classes
from oodml.errors import UnknownNameError, UsageError
from oodml.records import Scalar

__all__ = ["Dataset", "DatasetInfo", "Request", "load_dataset"]


def load_dataset(
    spec: str,
    *,
    options: Mapping[str, Scalar] | None = None,
    superclasses: Path | None = None,
    root: Path = Path("data"),
    download: bool = False,
) -> Dataset:
    """Opens a dataset by the name that the commands take.

    Args:
        spec: "glyphs", "cub200", "folder:PATH", "embeddings:FILE" and so on.
        options: The dataset's own options, e.g. {"classes": 400} for glyphs.
        superclasses: CSV file with columns class and superclass.
        root: Folder of downloaded sets.
        download: Whether a missing set may be downloaded.

    Raises:
        UnknownNameError: If there is no such dataset or option.
        DatasetError: If it cannot be read.
    """
    name, _, argument = spec.partition(":")
    info: DatasetInfo = registry.load("dataset", name)
    if bool(argument) != bool(info.argument):
        wanted = f"{name}:{info.argument}" if info.argument else name
        raise UsageError(f"dataset {spec!r} should be written as {wanted}")
    options = options or {}
    for option in options:
        if option not in info.options:
            raise UnknownNameError(f"option of dataset {name!r}", option, info.options)
    request = Request(argument, {**info.options, **options}, superclasses, root, download)
    dataset = info.build(request)
    check_classes(dataset.name, dataset.class_names)
    return dataset
