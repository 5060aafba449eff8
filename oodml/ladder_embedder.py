"""The network that measured a ladder, built again from what the ladder says of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from oodml.datasets.base import Dataset
from oodml.embedder import EmbedderOptions, embed_dataset
from oodml.embeddings import class_means
from oodml.errors import LadderError, WeightsError
from oodml.networks import NetworkConfig, file_digest
from oodml.records import Ladder, as_options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Progress = Callable[[int, int], None]


def own_embedder(ladder: Ladder, weights: Path | None = None, device: str = "cpu") -> EmbedderOptions:
    """The embedder that measured the shift of a ladder.

    Args:
        ladder: The ladder.
        weights: The local file of its weights, if it was made with one.
        device: Where the network runs.

    Raises:
        LadderError: If the ladder does not say which network it was.
        WeightsError: If the file of weights is missing or another one.
    """
    known = ladder.embedder
    if not known.get("name"):
        raise LadderError(f"ladder {ladder.name!r} does not say which network measured its shift")
    tag = str(known.get("weights", "none"))
    given = _checked(str(known["name"]), tag, weights)
    normalisation = {key: tuple(map(float, json.loads(known[key]))) for key in ("mean", "std") if key in known}
    network = NetworkConfig(
        name=str(known["name"]),
        pretrained=tag.startswith("pretrained"),
        weights=given,
        args=as_options(json.loads(known.get("args", "{}"))),
        **normalisation,
    )
    return EmbedderOptions(network, known.get("image_size"), device)


def _checked(name: str, tag: str, weights: Path | None) -> Path | None:
    """The file of weights, if the ladder's network has one and this is it."""
    if not tag.startswith("sha256:"):
        if weights is not None:
            raise WeightsError(f"the ladder's network {name} (weights: {tag}) has no file of weights; drop --weights")
        return None
    if weights is None:
        raise WeightsError(f"the ladder's network {name} has weights from a file ({tag}); name it with --weights FILE")
    found = f"sha256:{file_digest(weights)}"
    if found != tag:
        raise WeightsError(f"{weights} ({found}) is not the file of weights of the ladder ({tag}); give that one")
    return weights


def own_class_means(
    ladder: Ladder,
    dataset: Dataset,
    embedder: EmbedderOptions,
    progress: Callable[[str], Progress] | None = None,
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Names and means of all classes in the features that the ladder was measured in.

    Args:
        ladder: The ladder.
        dataset: Its dataset.
        embedder: From `own_embedder`.
        progress: Makes a (done, total) callback from a description.

    Raises:
        OodmlError: If the features cannot be had, or images are brought to another size than they were.
    """
    embedded = embed_dataset(dataset, embedder, progress=progress)
    for key, value in embedded.description.items():
        if ladder.embedder.get(key, value) != value:
            raise LadderError(
                f"the ladder was measured with {key} {ladder.embedder[key]!r}, this oodml takes {value!r}; "
                "make the ladder again with `oodml make-splits`"
            )
    names = embedded.dataset.class_names
    return names, class_means(embedded.features, embedded.dataset.labels, len(names))
