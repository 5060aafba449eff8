"""Weights of timm models: local files, and timm's own downloads with errors that show the ways out."""

from __future__ import annotations

import pickle
import socket
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import torch
from torch import Tensor, nn

from oodml.errors import WeightsError

PROBE_TIMEOUT_S = 5.0
WAYS_OUT = (
    "Without internet access: give a local file with --weights FILE (safetensors or pth), start from random "
    "weights with --no-pretrained, or use the offline embedder and backbone `pixels`"
)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors, .pth or .pt file by name, without the wrapping of training scripts.

    Raises:
        WeightsError: If the file is missing, truncated, of another kind, or holds more than tensors.
    """
    if not path.is_file():
        raise WeightsError(f"there is no weights file {path}; check --weights")
    state = _unwrap(_load_safetensors(path) if path.suffix == ".safetensors" else _load_pickle(path))
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path} holds no state dict; save one with torch.save(model.state_dict(), FILE)")
    # A plain dict: without torch's version metadata old batch norms load without their num_batches_tracked.
    return {str(name).removeprefix("module."): value for name, value in state.items()}


def _load_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path} is not a complete safetensors file: {error}; copy it again") from error


def _load_pickle(path: Path) -> Any:
    if path.suffix not in (".pth", ".pt"):
        raise WeightsError(f"{path}: weights files end in .safetensors, .pth or .pt, not {path.suffix!r}")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} is damaged or holds Python objects besides tensors, which are not loaded because they "
            "could run code; copy it again, or save it anew with torch.save(model.state_dict(), FILE)"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise WeightsError(f"{path} is not a complete PyTorch file (truncated?); copy it again") from error


def _unwrap(state: Any) -> Any:
    for key in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            return _unwrap(state[key])
    return state


def load_weights(model: nn.Module, path: Path, name: str, classifiers: tuple[str, ...]) -> None:
    """Loads a local file into a model without its classifier; everything else must fit exactly.

    Args:
        model: The model, changed in place.
        path: The file.
        name: The model's name, for messages.
        classifiers: Names of the model's classifier layers, whose weights in the file are ignored.

    Raises:
        WeightsError: If the file cannot be read, or keys or shapes differ.
    """
    state = read_state_dict(path)
    wanted = model.state_dict()
    heads = tuple(f"{layer}." for layer in classifiers)
    state = {key: value for key, value in state.items() if key in wanted or not key.startswith(heads)}
    differing = [key for key in state.keys() & wanted.keys() if state[key].shape != wanted[key].shape]
    missing = [key for key in wanted.keys() - state.keys() if not key.endswith("num_batches_tracked")]
    complaints = [
        *_complaint("missing", missing),
        *_complaint("unknown", state.keys() - wanted.keys()),
        *_complaint("of another shape", differing),
    ]
    if complaints:
        raise WeightsError(
            f"{path} does not fit {name}: {'; '.join(complaints)}. Name the timm model that the file was "
            "saved from, with the keywords of its constructor as --backbone-args"
        )
    model.load_state_dict(state, strict=False)


def _complaint(what: str, names: Collection[str]) -> list[str]:
    shown = ", ".join(sorted(names)[:3]) + (", ..." if len(names) > 3 else "")
    return [f"{len(names)} keys are {what} ({shown})"] if names else []


def cached_or_reachable(name: str, hub_id: str, filename: str) -> Path | None:
    """The weights in the local hub cache, or None if they can be asked for on the network.

    The hub's client repeats a failed request for most of a minute; one attempt to connect answers sooner.

    Args:
        name: The model's name, for messages.
        hub_id: Repository of the weights, with "@revision" or without.
        filename: Its file in the torch format; a safetensors twin is preferred.

    Raises:
        WeightsError: If they are not cached and the hub does not answer.
    """
    from huggingface_hub import constants, try_to_load_from_cache

    repository, _, revision = hub_id.partition("@")
    for candidate in (filename.replace("pytorch_model.bin", "model.safetensors"), filename):
        found = try_to_load_from_cache(repository, candidate, revision=revision or None)
        if isinstance(found, str):
            return Path(found)
    address = urlsplit(constants.ENDPOINT)
    if constants.HF_HUB_OFFLINE:
        raise unavailable(name, "they are not in the local cache and HF_HUB_OFFLINE is set")
    if getproxies():
        return None  # a proxy connects where this machine may not
    try:
        socket.create_connection((address.hostname, address.port or 443), PROBE_TIMEOUT_S).close()
    except OSError as error:
        reason = f"they are not in the local cache and {address.hostname} does not answer ({error})"
        raise unavailable(name, reason) from error
    return None


def unavailable(name: str, reason: object) -> WeightsError:
    """The error for published weights that cannot be had, with the three ways out."""
    return WeightsError(f"cannot get the pretrained weights of {name}: {reason}. {WAYS_OUT}")
