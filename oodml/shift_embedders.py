"""The embedders that a comparison names: networks over the ladder's dataset, and files of embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from oodml import registry
from oodml.compare_shift import ClassFeatures
from oodml.datasets import load_dataset
from oodml.datasets.base import Dataset
from oodml.embedder import EmbedderOptions, embed_dataset
from oodml.errors import UsageError
from oodml.networks import NetworkConfig

Progress = Callable[[int, int], None]
PREFIX, ENDINGS = "embeddings:", (".npz", ".parquet")


@dataclass(frozen=True)
class NetworkFlags:
    """What the command line says about the networks of a comparison.

    Attributes:
        config: Weights, keywords and normalisation, which belong to a single timm network; its name is ignored.
        pretrained: Whether timm networks start from published weights.
        image_size: Side of the input of timm networks; None takes the dataset's or the network's own.
        device: "cpu" or "cuda".
    """

    config: NetworkConfig = field(default_factory=lambda: NetworkConfig(""))
    pretrained: bool = True
    image_size: int | None = None
    device: str = "cpu"

    @property
    def personal(self) -> list[str]:
        """The given flags that suit one network only."""
        config = self.config
        given = {"--weights": config.weights, "--backbone-args": config.args, "--mean": config.mean}
        return [flag for flag, value in {**given, "--std": config.std}.items() if value]


def embedding_file(name: str) -> Path | None:
    """The file of embeddings that an embedder's name stands for; None for a network."""
    if name.startswith(PREFIX):
        return Path(name.removeprefix(PREFIX))
    return Path(name) if name.lower().endswith(ENDINGS) else None


def check_embedders(names: Sequence[str], flags: NetworkFlags) -> None:
    """Checks names and flags before anything is computed.

    Raises:
        UsageError: If there is no embedder, or flags of one network meet none or several.
        OodmlError: If a network does not exist or cannot be had.
    """
    from oodml.backbones import check_backbone

    if not names:
        raise UsageError(
            "--embedders names none; give pixels, timm models or files of embeddings, such as pixels,a.npz"
        )
    networks = [name for name in names if embedding_file(name) is None]
    timm = [name for name in networks if not _registered(name)]
    if flags.personal and len(timm) != 1:
        found = f"{len(timm)} of them" if timm else "none"
        raise UsageError(f"{', '.join(flags.personal)}: for one timm network, but --embedders names {found}")
    for name in networks:
        check_backbone(_network(name, flags))


def needs_dataset(names: Sequence[str]) -> bool:
    """Whether some embedder is a network, which needs the ladder's images."""
    return any(embedding_file(name) is None for name in names)


def read_embeddings(path: Path, label: str = "") -> ClassFeatures:
    """A file of embeddings as an embedder.

    Args:
        path: The file.
        label: Name of the embedder; "" takes that of the file.

    Raises:
        DatasetError: If it cannot be read.
    """
    data = load_dataset(f"{PREFIX}{path}")
    assert data.vectors is not None
    return ClassFeatures(label or path.name, data.vectors, data.labels, data.class_names)


def embed(
    name: str, data: Dataset, flags: NetworkFlags, progress: Callable[[str], Progress] | None = None
) -> ClassFeatures:
    """Features of the ladder's dataset by a network.

    Raises:
        OodmlError: If network and dataset do not go together or cannot be had.
    """
    size = None if _registered(name) else flags.image_size
    options = EmbedderOptions(_network(name, flags), size, flags.device)
    titled = (lambda what: progress(f"{name}: {what}")) if progress else None
    found = embed_dataset(data, options, progress=titled)
    return ClassFeatures(name, found.features, found.dataset.labels, found.dataset.class_names)


def _registered(name: str) -> bool:
    return name in registry.targets("backbone")


def _network(name: str, flags: NetworkFlags) -> NetworkConfig:
    if _registered(name):
        return NetworkConfig(name, pretrained=False)
    return replace(flags.config, name=name, pretrained=flags.pretrained and flags.config.weights is None)
