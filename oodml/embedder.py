"""The network that measures the shift, applied to a whole dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodml.backbones import check_backbone
from oodml.datasets.base import Dataset, check_classes
from oodml.embeddings import default_embedder, default_settings, extract
from oodml.images import cache_folder, pack
from oodml.networks import NetworkConfig, identity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Progress = Callable[[int, int], None]


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


@dataclass(frozen=True)
class Embedded:
    """A dataset and its features.

    Attributes:
        dataset: The dataset, less unreadable images where they were left out.
        features: One row an image, shape (n, f), in the order of the dataset's rows.
        description: The network and its images, as a ladder keeps them.
    """

    dataset: Dataset
    features: NDArray[np.float32]
    description: dict[str, Any]


def embed_dataset(
    dataset: Dataset,
    options: EmbedderOptions | None = None,
    *,
    skip_bad_images: bool = False,
    cache: Path | None = None,
    progress: Callable[[str], Progress] | None = None,
) -> Embedded:
    """Features of every image from the untrained embedder, from the cache where they are known.

    Args:
        dataset: The dataset.
        options: The network; None takes the dataset's default.
        skip_bad_images: Leave unreadable images out and record them, instead of refusing.
        cache: Folder of packed images and embeddings; None for the default.
        progress: Makes a (done, total) callback from a description.

    Raises:
        OodmlError: If network and dataset do not go together or cannot be had.
    """
    options = options or EmbedderOptions()
    network = options.network or default_embedder(dataset)
    check_backbone(network)  # before the images are decoded, which can take minutes
    settings = default_settings(dataset, network.name, options.image_size)
    follow = [progress(what) if progress else None for what in ("decoding images", "embedding images")]
    where: dict[str, Any] = {"cache": cache or cache_folder()}
    description: dict[str, Any] = dict(identity(network))
    if settings is not None:
        packed = pack(dataset, settings, skip_bad=skip_bad_images, progress=follow[0], **where)
        dataset = dataset.without(packed.bad)
        check_classes(dataset.name, dataset.class_names)
        where |= {"packed": packed, "device": options.device, "progress": follow[1]}
        description |= {"image_size": settings.size, "resize": settings.resize, "fit": settings.fit}
    return Embedded(dataset, extract(dataset, network, settings, **where), description)
