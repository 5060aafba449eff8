"""The flags that name the embedder, as options: shared by the commands that measure a shift."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from oodml import arguments as arg
from oodml.errors import UsageError

if TYPE_CHECKING:
    from oodml.embedder import EmbedderOptions


def embedder_options(given: Mapping[str, Any]) -> EmbedderOptions:
    """The embedder that the flags of a command name.

    Args:
        given: Values of `embedder`, `pretrained`, `weights`, `backbone_args`, `mean`, `std`, `image_size`, `device`.

    Raises:
        UsageError: If flags do not go together.
    """
    from oodml.devices import pick_device
    from oodml.embedder import EmbedderOptions
    from oodml.networks import NetworkConfig

    network = None
    if given["embedder"]:
        network = NetworkConfig(
            name=given["embedder"],
            pretrained=given["pretrained"] is not False and given["weights"] is None,
            weights=given["weights"],
            args=arg.keywords(given["backbone_args"]),
            mean=arg.channels(given["mean"], "--mean"),
            std=arg.channels(given["std"], "--std"),
        )
    elif given["weights"] or given["backbone_args"] or given["pretrained"] is not None:
        raise UsageError("--weights, --backbone-args and --no-pretrained need --embedder to say which network")
    return EmbedderOptions(network, given["image_size"], pick_device(given["device"] or "auto"))
