"""Raw features of a whole dataset from an untrained or pretrained network, cached by content."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from oodml import registry, store
from oodml.backbones import build_backbone, check_backbone
from oodml.backbones.base import normalise
from oodml.backbones.pixels import SIZE, pixel_components
from oodml.backbones.timm_models import check_name, input_size
from oodml.datasets.base import Dataset
from oodml.errors import DatasetError, StorageError, UsageError, WeightsError
from oodml.images import ImageSettings, PackedImages, Progress, cache_folder, pack
from oodml.networks import NetworkConfig, identity
from oodml.presets import CROP_FROM
from oodml.records import content_hash

CHUNK = 4096
VERSION = 1  # Raise it when unchanged arguments would give other features.
EMBEDDER = "resnet50.tv_in1k"
"""The study's network for photographs."""


def default_embedder(dataset: Dataset) -> NetworkConfig:
    """The network that measures the shift unless the user names one."""
    if dataset.vectors is not None:
        return NetworkConfig("vectors", pretrained=False)
    return NetworkConfig(EMBEDDER) if dataset.photographs else NetworkConfig("pixels", pretrained=False)


def pixel_settings() -> ImageSettings:
    """The images that the pixel components are made from."""
    return ImageSettings(SIZE, SIZE, "squash")


def default_settings(dataset: Dataset, backbone: str, image_size: int | None = None) -> ImageSettings | None:
    """How images are brought to the network's size; None for vectors.

    Args:
        dataset: Its native size, at most 64, is kept for small images.
        backbone: Name of the network; "pixels" has a size of its own.
        image_size: Side in pixels; None takes the dataset's, else the network's.

    Returns:
        A central crop as in the study from 160 px on, below that the whole image squeezed to a square.

    Raises:
        UnknownNameError: If there is no such backbone.
    """
    if dataset.vectors is not None or backbone == "vectors":
        return None
    if backbone == "pixels":
        return pixel_settings()
    own = 224
    if backbone not in registry.targets("backbone"):
        check_name(NetworkConfig(backbone, pretrained=False))
        own = input_size(backbone)
    size = image_size or (min(dataset.native_size, 64) if dataset.native_size else own)
    if size >= CROP_FROM:
        return ImageSettings(size, round(size * 256 / 224), "crop")
    return ImageSettings(size, size, "squash")


def extract(
    dataset: Dataset,
    config: NetworkConfig,
    settings: ImageSettings | None,
    *,
    cache: Path | None = None,
    device: str = "cpu",
    batch_size: int = 64,
    progress: Progress | None = None,
    packed: PackedImages | None = None,
) -> NDArray[np.float32]:
    """Pooled features of every row under the test transform, in eval mode and not normalised.

    Args:
        dataset: Images, or vectors, which are returned as they are.
        config: The network; "pixels" needs no weights, "vectors" goes with vectors only.
        settings: Size and fit of the images; None takes `default_settings`.
        cache: Folder of packed images and embeddings, found again by content; `cache_folder()` by default.
        device: Where the network runs.
        batch_size: Images per forward pass; changes nothing but speed and memory.
        progress: Called with (images embedded, images in all).
        packed: The dataset's images if they are packed already with these settings.

    Returns:
        Features, shape (n, f), in the order of the dataset's rows: a read-only view of the cached file, of which only
        what is used is in memory.

    Raises:
        UsageError: If network and dataset do not go together.
        WeightsError: If weights cannot be had or features are not finite; names the image.
        DatasetError: If an image cannot be read or a vector is not finite.
        StorageError: If the cache cannot be written.
    """
    if (dataset.vectors is not None) != (config.name == "vectors"):
        holds = "images" if dataset.vectors is None else "ready-made vectors"
        raise UsageError(f"dataset {dataset.name!r} holds {holds}, which {config.name!r} does not take")
    if dataset.vectors is not None:
        return _finite_vectors(dataset, dataset.vectors)
    settings = settings or default_settings(dataset, config.name)
    assert settings is not None  # only vectors have none
    file = _cache_file(cache or cache_folder(), dataset, config, settings)
    known = _read(file, dataset)
    if known is not None:
        return known
    check_backbone(config)  # before the images are decoded
    packed = packed or pack(dataset, settings, cache=cache)
    if packed.settings != settings or len(packed) != len(dataset):
        raise ValueError(f"{len(packed)} images as {packed.settings}, wanted {len(dataset)} as {settings}")
    return _write(file, dataset, _compute(dataset, config, packed, device, batch_size, progress))


def _finite_vectors(dataset: Dataset, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    bad = _first_not_finite(vectors)
    if bad is not None:
        raise DatasetError(f"dataset {dataset.name!r}: the vector {dataset.image_ids[bad]!r} is not finite")
    return vectors


def _pixels(packed: PackedImages, progress: Progress | None, block: int = 1024) -> NDArray[np.uint8]:
    n, side = len(packed), packed.settings.size
    images = np.empty((n, side, side, 3), np.uint8)
    for start in range(0, n, block):
        rows = np.arange(start, min(start + block, n))
        images[rows] = packed.test_batch(rows).permute(0, 2, 3, 1).numpy()
        if progress:
            progress(int(rows[-1]) + 1, n)
    return images


def _compute(
    dataset: Dataset,
    config: NetworkConfig,
    packed: PackedImages,
    device: str,
    batch_size: int,
    progress: Progress | None,
) -> Iterator[NDArray[np.float32]]:
    """Features of all rows in blocks."""
    if config.name == "pixels":
        yield pixel_components(_pixels(packed, progress))
        return
    backbone = build_backbone(config, image_size=packed.settings.size).eval().to(device)
    backbone = backbone.to(memory_format=torch.channels_last)
    for start in range(0, len(dataset), batch_size):
        rows = np.arange(start, min(start + batch_size, len(dataset)))
        with torch.inference_mode():
            images = normalise(packed.test_batch(rows).to(device), backbone.mean, backbone.std)
            pooled = backbone(images.contiguous(memory_format=torch.channels_last)).pooled
            features = pooled.float().cpu().numpy()
        bad = _first_not_finite(features)
        if bad is not None:
            raise WeightsError(
                f"{config.name} gives features that are not finite for the image "
                f"{dataset.image_ids[start + bad]!r}; are the weights and the normalisation right?"
            )
        if progress:
            progress(int(rows[-1]) + 1, len(dataset))
        yield features


def _first_not_finite(rows: NDArray[np.float32]) -> int | None:
    bad = np.flatnonzero(~np.isfinite(rows).all(1))
    return int(bad[0]) if len(bad) else None


def _cache_file(cache: Path, dataset: Dataset, config: NetworkConfig, settings: ImageSettings) -> Path:
    parts = [VERSION, dataset.content_hash, identity(config), [settings.size, settings.resize, settings.fit]]
    name = re.sub(r"[^\w.-]+", "_", f"{dataset.name}-{config.name}")
    return cache / "embeddings" / f"{name}-{content_hash(parts)}.npy"


def _ids_file(file: Path) -> Path:
    return file.with_suffix(".ids.npy")


def _read(file: Path, dataset: Dataset) -> NDArray[np.float32] | None:
    """Cached features in the order of the dataset's rows; None if a file is missing or damaged."""
    try:
        features, ids = np.load(file, mmap_mode="r"), np.load(_ids_file(file)).tolist()
    except (OSError, ValueError, EOFError):
        return None  # missing, or half a file from a crash or a full disk: it is made anew
    if features.ndim != 2 or len(features) != len(ids):
        return None
    if ids == list(dataset.image_ids):
        return np.asarray(features)
    position = {name: row for row, name in enumerate(ids)}
    rows = [position.get(name, -1) for name in dataset.image_ids]
    if len(ids) != len(rows) or min(rows) < 0:
        return None
    ordered: NDArray[np.float32] = features[rows]
    return ordered


def _write(file: Path, dataset: Dataset, blocks: Iterator[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Writes blocks of features one after the other, so that they never are in memory together; the ids first."""
    try:
        with store.atomic(_ids_file(file)) as temporary, temporary.open("wb") as stream:
            np.save(stream, np.array(dataset.image_ids))
        with store.atomic(file) as temporary, temporary.open("wb") as stream:
            for number, block in enumerate(blocks):
                if number == 0:
                    shape = (len(dataset), block.shape[1])
                    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(stream, header)
                stream.write(np.ascontiguousarray(block, dtype="<f4").data)
    except StorageError as error:
        raise StorageError(f"{error} (the embedding cache; the variable OODML_CACHE moves it)") from error
    return np.asarray(np.load(file, mmap_mode="r"))


def class_means(
    features: NDArray[np.floating[Any]], labels: NDArray[np.int64], num_classes: int
) -> NDArray[np.float64]:
    """Mean feature of every class, summed in float64.

    Args:
        features: Shape (n, f).
        labels: Class of every row in [0, num_classes), shape (n,).
        num_classes: Number of classes C.

    Returns:
        Means, shape (C, f).

    Raises:
        DatasetError: If a class has no row.

    Example:
        >>> class_means(np.array([[1.0], [3.0], [5.0]]), np.array([1, 1, 0]), 2)
        array([[5.],
               [2.]])
    """
    counts = np.bincount(labels, minlength=num_classes)
    if len(counts) != num_classes or counts.min() == 0:
        raise DatasetError(f"expected rows of each of {num_classes} classes, but class {counts.argmin()} has none")
    sums = np.zeros((num_classes, features.shape[1]))
    for start in range(0, len(features), CHUNK):  # a part at a time: features may be a file larger than memory
        part = labels[start : start + CHUNK]
        order = np.argsort(part, kind="stable")
        first = np.flatnonzero(np.diff(part[order], prepend=-1))
        sums[part[order[first]]] += np.add.reduceat(features[start + order], first, axis=0, dtype=np.float64)
    return sums / counts[:, None]
