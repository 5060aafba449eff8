"""Moments of the features of every class, computed on a Ray cluster: no machine holds all images or all features."""

from __future__ import annotations

import json
import logging
import math
import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from oodml import store
from oodml.backbones import build_backbone, check_backbone
from oodml.backbones.base import normalise
from oodml.dataset_ref import DatasetRef
from oodml.datasets.base import Dataset
from oodml.embedder import EmbedderOptions
from oodml.embeddings import default_embedder, default_settings
from oodml.errors import DatasetError, OodmlError, ResultsError, UsageError
from oodml.executors.places import Places
from oodml.executors.ray_connection import connected
from oodml.executors.ray_needs import Needs
from oodml.images import ImageSettings, PackedImages, shrink
from oodml.networks import NetworkConfig, identity
from oodml.splits.moments import Moments

BATCH = 64  # images in a forward pass
BLOCK = 4096  # images of a class in a task
MOST_TASKS = 1000  # that Ray plans at once
INDEX = "classes.json"


@dataclass(frozen=True)
class Block:
    """Images of one class: a part of the rows in the order of their classes."""

    label: int
    start: int
    stop: int


def extract_moments(
    where: DatasetRef, options: EmbedderOptions, places: Places, out: Path, *, block: int = BLOCK
) -> Path:
    """Embeds the images of a dataset on a cluster and writes the moments of every class.

    Nodes decode and embed blocks of a class, and send back moments, which add up. A class whose file is there is not
    done again, so that the same call goes on where one was stopped.

    Args:
        where: The dataset, which every node can read.
        options: The network.
        places: The cluster, and what an actor that holds the network takes of it.
        out: Folder of the files; see `load_moments`.
        block: Images of a task.

    Raises:
        UsageError: If the dataset holds vectors, the network is not one of images, or the cluster cannot do it.
        DatasetError: If an image cannot be read.
        ResultsError: If the folder holds moments of something else.
    """
    data = where.open()
    network = options.network or default_embedder(data)
    settings = default_settings(data, network.name, options.image_size)
    if settings is None or network.name == "pixels":
        raise UsageError(f"{network.name!r} is no network that images are sent through one by one; name another one")
    check_backbone(network)
    _claim(out, data, network, settings)
    sizes = np.bincount(data.labels, minlength=len(data.class_names))
    todo = [label for label in range(len(sizes)) if not _file(out, label).exists()]
    if not todo:
        return out
    needs = Needs.of(options.device, places)
    device = "cuda" if needs.gpus else "cpu"
    embedder = (where, replace(options, network=network, device=device), settings, places.threads)
    total: dict[int, Moments] = {}
    with connected(places) as ray:
        needs.check(ray.nodes())
        actors = min(needs.slots(ray.nodes()), places.workers or math.inf)
        for label, part in _parts(ray, embedder, list(_blocks(sizes, todo, block)), int(actors), needs):
            total[label] = total[label] + part if label in total else part
            if total[label].count == sizes[label]:
                total.pop(label).save(_file(out, label))
    return out


def load_moments(folders: Sequence[Path]) -> dict[str, Moments]:
    """Moments by class name from one folder or more; those of a class that several hold are added.

    Raises:
        ResultsError: If a folder holds none, not all of them yet, or those of another network than the first.
    """
    found: dict[str, Moments] = {}
    first: Mapping[str, Any] = {}
    for folder in folders:
        index = _index(folder)
        first = first or index
        if index["embedder"] != first["embedder"]:
            raise ResultsError(f"{folder} holds moments of {index['embedder']}, {folders[0]} of {first['embedder']}")
        for label, name in enumerate(index["classes"]):
            if not _file(folder, label).exists():
                raise ResultsError(f"{folder} has no moments of class {name!r} yet; repeat their extraction")
            own = Moments.load(_file(folder, label))
            found[name] = found[name] + own if name in found else own
    return found


def _blocks(sizes: NDArray[np.int64], todo: Sequence[int], block: int) -> Iterator[Block]:
    first = np.cumsum(sizes) - sizes
    for label in todo:
        end = int(first[label] + sizes[label])
        for start in range(int(first[label]), end, block):
            yield Block(label, start, min(start + block, end))


def _parts(
    ray: Any, embedder: tuple[Any, ...], blocks: Sequence[Block], actors: int, needs: Needs
) -> Iterator[tuple[int, Moments]]:
    """Labels and moments of blocks, in any order."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    items = ray.data.from_items([vars(item) for item in blocks], override_num_blocks=min(len(blocks), MOST_TASKS))
    parts = items.map_batches(
        BlockEmbedder,
        fn_constructor_args=embedder,
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=min(actors, len(blocks))),
        **needs.options,
    )
    for row in parts.iter_rows():
        part = pickle.loads(row["moments"])
        if isinstance(part, str):
            raise DatasetError(part)
        yield int(row["label"]), part


class BlockEmbedder:
    """An actor that holds the network, and turns blocks into their moments."""

    def __init__(self, where: DatasetRef, options: EmbedderOptions, settings: ImageSettings, threads: int) -> None:
        torch.set_num_threads(threads)
        assert options.network is not None  # resolved by the driver
        self.data, self.settings, self.device = where.open(), settings, options.device
        self.order = np.argsort(self.data.labels, kind="stable")
        backbone = build_backbone(options.network, image_size=settings.size).eval().to(options.device)
        self.backbone = backbone.to(memory_format=torch.channels_last)

    def __call__(self, batch: Mapping[str, NDArray[np.int64]]) -> dict[str, Any]:
        """One block; an image that cannot be read is told in place of moments."""
        rows = self.order[int(batch["start"][0]) : int(batch["stop"][0])]
        try:
            found: Moments | str = Moments.stream(
                self._features(rows[i : i + BATCH]) for i in range(0, len(rows), BATCH)
            )
        except OodmlError as error:
            found = str(error)
        moments = np.empty(1, dtype=object)
        moments[0] = pickle.dumps(found)
        return {"label": batch["label"], "moments": moments}

    def _features(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        pictures = packed_in_memory(self.data, rows, self.settings).test_batch(np.arange(len(rows)))
        with torch.inference_mode():
            images = normalise(pictures.to(self.device), self.backbone.mean, self.backbone.std)
            pooled = self.backbone(images.contiguous(memory_format=torch.channels_last)).pooled
        features: NDArray[np.float32] = pooled.float().cpu().numpy()
        return features


def packed_in_memory(data: Dataset, rows: NDArray[np.int64], settings: ImageSettings) -> PackedImages:
    """Some pictures of a dataset as they would be stored, without a file."""
    assert data.read is not None  # checked by the driver
    pictures = [shrink(data.read(int(row)), settings) for row in rows]
    offsets = np.cumsum([0, *(picture.size for picture in pictures)])
    index = np.array([(offset, *picture.shape) for offset, picture in zip(offsets, pictures, strict=False)])
    return PackedImages(settings, np.concatenate([picture.ravel() for picture in pictures]), index)


def _claim(out: Path, data: Dataset, network: NetworkConfig, settings: ImageSettings) -> None:
    """Writes what the folder holds, or sees that it is the same."""
    own = {
        "dataset": data.content_hash,
        "embedder": {**identity(network), **vars(settings)},
        "classes": list(data.class_names),
    }
    if (out / INDEX).exists() and _index(out) != own:
        raise ResultsError(f"{out} holds moments of other images or of another network; choose another folder")
    store.write_json(out / INDEX, own)


def _index(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultsError(f"{folder} holds no moments of classes ({error})") from error
    return found


def _file(folder: Path, label: int) -> Path:
    return folder / f"{label:06d}.npz"
