"""From a dataset to a ladder: embed, average by class, generate, measure how hard the test sides are, draw episodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from oodml.datasets.base import Dataset
from oodml.embedder import EmbedderOptions, Progress, embed_dataset
from oodml.embeddings import class_means
from oodml.evaluation import evaluate
from oodml.records import Ladder
from oodml.splits import make_ladder

if TYPE_CHECKING:
    from numpy.typing import NDArray

REFERENCE_METRICS = ("recall_at_1", "map_at_r")


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
    embedded = embed_dataset(dataset, embedder, skip_bad_images=skip_bad_images, cache=cache, progress=progress)
    dataset, features = embedded.dataset, embedded.features
    return make_ladder(
        class_means(features, dataset.labels, len(dataset.class_names)),
        dataset.class_names,
        name=name or dataset.name,
        dataset=spec,
        dataset_options=dict(dataset_options or {}),
        embedder=embedded.description,
        reference=_reference(dataset, features),
        features=features,
        labels=dataset.labels,
        **{**_from_dataset(dataset), "progress": _stages(progress), **generator},
    )


def _stages(progress: Callable[[str], Progress] | None) -> Callable[[str, int, int], None] | None:
    """The generator's (stage, done, total) as a bar per stage."""
    return None if progress is None else lambda stage, done, total: progress(f"dividing: {stage}")(done, total)


def _from_dataset(dataset: Dataset) -> dict[str, Any]:
    """What a ladder takes over from its dataset."""
    return {
        "dataset_hash": dataset.content_hash,
        "image_ids": _ids_by_class(dataset),
        "skipped": dataset.skipped,
        "initial": dataset.initial,
        "superclasses": dataset.superclasses,
    }


def _reference(dataset: Dataset, features: NDArray[np.float32]) -> Callable[[Sequence[str]], Mapping[str, float]]:
    """Retrieval quality of the untrained embedder on some classes; empty if no class has two images."""

    def reference(classes: Sequence[str]) -> Mapping[str, float]:
        rows = dataset.rows_of(classes)
        if np.bincount(dataset.labels[rows]).max() < 2:
            return {}
        values = evaluate(features, dataset.labels[rows], rows=rows, metrics=REFERENCE_METRICS).scores
        return {metric: values[metric] for metric in REFERENCE_METRICS}

    return reference


def _ids_by_class(dataset: Dataset) -> dict[str, list[str]]:
    ids: dict[str, list[str]] = {name: [] for name in dataset.class_names}
    for label, image_id in zip(dataset.labels, dataset.image_ids, strict=True):
        ids[dataset.class_names[label]].append(image_id)
    return ids
