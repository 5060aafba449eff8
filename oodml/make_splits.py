"""From a dataset to a ladder: embed, average by class, generate, measure how hard the test sides are, draw episodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from oodml.backbones import check_backbone
from oodml.datasets.base import Dataset, check_classes
from oodml.embeddings import class_means, default_embedder, default_settings, extract
from oodml.evaluation import evaluate_embeddings
from oodml.images import ImageSettings, cache_folder, pack
from oodml.networks import NetworkConfig, identity
from oodml.records import Ladder
from oodml.splits import make_ladder

if TYPE_CHECKING:
    from numpy.typing import NDArray

Progress = Callable[[int, int], None]
REFERENCE_METRICS = ("recall_at_1", "map_at_r")


@dataclass(frozen=True)
class EmbedderOptions:
    """The network that measures the shift.

    Attributes:
        network: Its name, weights and so on; None takes the dataset's default.
        image_size: Side of its input; None takes the dataset's or the network's own.
        device: "cpu" or "cuda".
    """

    network: NetworkConfig | None = None
    image_size: int | None = None
    device: str = "cpu"


def ladder_from_dataset(
    dataset: Dataset,
    spec: str,
    *,
    name: str | None = None,
    dataset_options: Mapping[str, Any] | None = None,
    embedder: EmbedderOptions | None = None,
    skip_bad_images: bool = False,
    cache: Path | None = None,
    on_pack: Progress | None = None,
    on_embed: Progress | None = None,
    **generator: Any,
) -> Ladder:
    """Makes the ladder of a dataset.

    Args:
        dataset: The dataset.
        spec: As the command line takes it, kept in the ladder.
        name: Name of the ladder; default the dataset's.
        dataset_options: Options that the dataset was opened with, kept in the ladder.
        embedder: The network that measures the shift.
        skip_bad_images: Leave unreadable images out and record them, instead of refusing.
        cache: Folder of packed images and embeddings; None for the default.
        on_pack: Called with (images decoded, images in all).
        on_embed: Called with (images embedded, images in all).
        **generator: Further arguments of `make_ladder`.

    Raises:
        OodmlError: If dataset, network or generator options are unusable.
    """
    embedder = embedder or EmbedderOptions()
    network = embedder.network or default_embedder(dataset)
    check_backbone(network)  # before the images are decoded, which can take minutes
    settings = default_settings(dataset, network.name, embedder.image_size)
    packed = None
    if settings is not None:
        packed = pack(dataset, settings, cache=cache, skip_bad=skip_bad_images, progress=on_pack)
        dataset = dataset.without(packed.bad)
        check_classes(dataset.name, dataset.class_names)
    where: dict[str, Any] = {"cache": cache or cache_folder(), "device": embedder.device, "progress": on_embed}
    features = extract(dataset, network, settings, packed=packed, **where)
    return make_ladder(
        class_means(features, dataset.labels, len(dataset.class_names)),
        dataset.class_names,
        name=name or dataset.name,
        dataset=spec,
        dataset_options=dict(dataset_options or {}),
        dataset_hash=dataset.content_hash,
        embedder={**identity(network), **_describe(settings)},
        reference=_reference(dataset, features),
        image_ids=_ids_by_class(dataset),
        skipped=dataset.skipped,
        **{**_generator_defaults(dataset), **generator},
    )


def _generator_defaults(dataset: Dataset) -> dict[str, Any]:
    return {"initial": dataset.initial, **({} if dataset.removal else {"removal_iterations": 0})}


def _describe(settings: ImageSettings | None) -> dict[str, Any]:
    return {"image_size": settings.size, "resize": settings.resize, "fit": settings.fit} if settings else {}


def _reference(dataset: Dataset, features: NDArray[np.float32]) -> Callable[[Sequence[str]], Mapping[str, float]]:
    """Retrieval quality of the untrained embedder on some classes; empty if no class has two images."""

    def reference(classes: Sequence[str]) -> Mapping[str, float]:
        rows = dataset.rows_of(classes)
        if np.bincount(dataset.labels[rows]).max() < 2:
            return {}
        values = evaluate_embeddings(features[rows], dataset.labels[rows], metrics=REFERENCE_METRICS)
        return {metric: values[metric] for metric in REFERENCE_METRICS}

    return reference


def _ids_by_class(dataset: Dataset) -> dict[str, list[str]]:
    ids: dict[str, list[str]] = {name: [] for name in dataset.class_names}
    for label, image_id in zip(dataset.labels, dataset.image_ids, strict=True):
        ids[dataset.class_names[label]].append(image_id)
    return ids
