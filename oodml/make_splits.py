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
    progress: Callable[[str], Progress] | None = None,
    **generator: Any,
) -> Ladder:
    """Makes the ladder of a dataset.

    Args:
        dataset: The dataset.
        spec: How the command line names it, kept in the ladder.
        dataset_options: How it was opened, kept in the ladder.
        name: Name of the ladder; default the dataset's.
        embedder: The network that measures the shift.
        skip_bad_images: Leave unreadable images out and record them, instead of refusing.
        cache: Folder of packed images and embeddings; None for the default.
        progress: Makes a (done, total) callback from a description.
        **generator: Further arguments of `make_ladder`.

    Raises:
        OodmlError: If dataset, network or generator options are unusable.
    """
    embedder = embedder or EmbedderOptions()
    network = embedder.network or default_embedder(dataset)
    check_backbone(network)  # before the images are decoded, which can take minutes
    settings = default_settings(dataset, network.name, embedder.image_size)
    follow = [progress(what) if progress else None for what in ("decoding images", "embedding images")]
    where: dict[str, Any] = {"cache": cache or cache_folder()}
    if settings is not None:
        packed = pack(dataset, settings, skip_bad=skip_bad_images, progress=follow[0], **where)
        dataset = dataset.without(packed.bad)
        check_classes(dataset.name, dataset.class_names)
        where |= {"packed": packed, "device": embedder.device, "progress": follow[1]}
    features = extract(dataset, network, settings, **where)
    return make_ladder(
        class_means(features, dataset.labels, len(dataset.class_names)),
        dataset.class_names,
        name=name or dataset.name,
        dataset=spec,
        dataset_options=dict(dataset_options or {}),
        embedder={**identity(network), **_describe(settings)},
        reference=_reference(dataset, features),
        **{**_from_dataset(dataset), "progress": _stages(progress), **generator},
    )


def _stages(progress: Callable[[str], Progress] | None) -> Callable[[str, int, int], None] | None:
    """The generator's (stage, done, total) as a bar per stage."""
    return None if progress is None else lambda stage, done, total: progress(f"dividing: {stage}")(done, total)


def _from_dataset(dataset: Dataset) -> dict[str, Any]:
    """What a ladder takes over from its dataset, the dataset's own wishes for the generator included."""
    return {
        "dataset_hash": dataset.content_hash,
        "image_ids": _ids_by_class(dataset),
        "skipped": dataset.skipped,
        "initial": dataset.initial,
        **({} if dataset.removal else {"removal_iterations": 0}),
    }


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
