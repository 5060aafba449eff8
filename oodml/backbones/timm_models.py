"""Any timm model as a backbone, by its full name with the tag of its weights."""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path
from types import MethodType
from typing import Any

import timm
import torch
from timm.data.config import resolve_model_data_config
from torch import Tensor, nn

from oodml import registry
from oodml.backbones.base import Backbone, Features, NetworkConfig
from oodml.backbones.weights import cached_or_reachable, load_weights, unavailable
from oodml.errors import UnknownNameError, UsageError, WeightsError
from oodml.networks import channel_values

RESERVED = frozenset(
    {"pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir", "num_classes"}
    | {"in_chans", "features_only", "scriptable", "exportable", "no_jit"}
)
"""Keywords of timm.create_model that would change what a backbone is."""


class TimmBackbone(Backbone):
    """A timm model without its classifier.

    The feature map is what the model pools. Some models apply a norm or a layer after pooling: where that
    changes the width there is no feature map.
    """

    def __init__(self, model: nn.Module, size: int) -> None:
        """Wraps a model; one forward pass of a blank image of side `size` finds the width of its features."""
        super().__init__()
        self.model = model
        model.eval()
        with torch.no_grad():
            pooled, last = self._both(torch.zeros(1, 3, size, size))
        model.train()
        width = int(pooled.shape[1])
        self.num_features = width
        self.has_feature_map = isinstance(last, Tensor) and last.ndim == 4 and last.shape[1] == width

    def _both(self, images: Tensor) -> tuple[Tensor, Any]:
        last = self.model.forward_features(images)  # type: ignore[operator]
        return self.model.forward_head(last, pre_logits=True), last  # type: ignore[operator]

    def forward(self, inputs: Tensor) -> Features:
        """Features of normalised images, shape (b, 3, s, s)."""
        pooled, last = self._both(inputs)
        return Features(pooled, last if self.has_feature_map else None)


@cache
def known_names() -> frozenset[str]:
    """All names that timm takes: architectures, and these with the tag of published weights."""
    return frozenset([*timm.list_models(), *timm.list_pretrained()])


def published(name: str) -> Any:
    """What timm knows of a model and its weights: sizes, normalisation, classifier, licence, source."""
    return timm.get_pretrained_cfg(name)


def input_size(name: str) -> int:
    """Side in pixels that a model's images had in training."""
    return int(published(name).input_size[-1])


def check_name(config: NetworkConfig) -> None:
    """Checks name, tag and reserved keywords without building anything.

    Raises:
        UnknownNameError: If timm has no such model or tag.
        WeightsError: If pretrained weights are asked for without saying which.
        UsageError: If a keyword is one that oodml sets itself.
    """
    name = config.name
    tags = timm.list_pretrained(f"{name.partition('.')[0]}.*")
    if name not in known_names():
        close = difflib.get_close_matches(name, known_names(), n=3, cutoff=0.5)
        known = (tags if "." in name else []) or close or registry.names("backbone")
        raise UnknownNameError("backbone", name, known, "(`oodml backbones FILTER` lists them)")
    if "." not in name and config.pretrained and config.weights is None:
        if not tags:
            raise WeightsError(f"{name} has no published weights; use --weights FILE or --no-pretrained")
        raise WeightsError(
            f"{name!r} does not say which published weights, and timm's own choice changes between versions; "
            f"name them: {', '.join(tags)}"
        )
    for key, _ in config.args:
        if key in RESERVED:
            raise UsageError(f"--backbone-args {key}: oodml sets this keyword itself; leave it out")


def build_timm(config: NetworkConfig, *, image_size: int | None = None, generator_seed: int = 0) -> Backbone:
    """Makes a timm model with its weights, normalisation and true feature width.

    Args:
        config: Name, weights, constructor keywords and normalisation.
        image_size: Side of the images to come; transformers of a fixed size are adapted to it (their position
            embeddings resampled). None keeps the model's own.
        generator_seed: Seed of the initialisation; the global generators are left as they are.

    Returns:
        The backbone in training mode, on the CPU.

    Raises:
        UnknownNameError: If timm has no such model or tag.
        WeightsError: If weights cannot be had, read, or do not fit.
        UsageError: If a keyword of the constructor or the image size is not accepted.
    """
    check_name(config)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(generator_seed)  # unlike torch.manual_seed, the CPU's only
        model = _create(config)
    data = resolve_model_data_config(model)  # type: ignore[no-untyped-call]
    own = int(data["input_size"][-1])
    backbone = _wrap(model, config, image_size or own, own)
    backbone.input_size = own
    backbone.mean = channel_values(config.mean or tuple(data["mean"]), "mean")
    backbone.std = channel_values(config.std or tuple(data["std"]), "std")
    return backbone


def _create(config: NetworkConfig) -> nn.Module:
    fetch = config.pretrained and config.weights is None
    if fetch and not config.args:
        return _fetch(config)
    model = _construct(config)  # before any download, so that wrong keywords are told apart from missing weights
    if fetch:
        return _fetch(config)
    if config.weights is not None:
        classifier = published(config.name).classifier or ()
        layers = (classifier,) if isinstance(classifier, str) else tuple(classifier)
        load_weights(model, config.weights, config.name, layers)
    return model


def _construct(config: NetworkConfig) -> nn.Module:
    keywords: dict[str, Any] = dict(config.args)
    try:
        model: nn.Module = timm.create_model(config.name, pretrained=False, num_classes=0, **keywords)
    except Exception as error:  # raised by any of timm's models, with no weights involved
        given = "".join(f" {key}={value}" for key, value in config.args)
        refused = f"does not accept --backbone-args{given}" if given else "cannot be a backbone"
        raise UsageError(f"{config.name} {refused}: {error}") from error
    return model


def find_weights(config: NetworkConfig) -> Path | None:
    """Published weights in the local hub cache; None if they can be downloaded or none are asked for.

    Raises:
        WeightsError: If they can be had neither way.
    """
    source = published(config.name)
    if config.weights is not None or not config.pretrained or not source.hf_hub_id:
        return None
    return cached_or_reachable(config.name, source.hf_hub_id, source.hf_hub_filename or "pytorch_model.bin")


def _fetch(config: NetworkConfig) -> nn.Module:
    cached = find_weights(config)
    overlay = {"file": str(cached)} if cached else {}
    keywords: dict[str, Any] = {**dict(config.args), "pretrained_cfg_overlay": overlay}
    try:
        model: nn.Module = timm.create_model(config.name, pretrained=True, num_classes=0, **keywords)
    except Exception as error:  # the hub's client and plain downloads raise errors of many unrelated types
        raise unavailable(config.name, error) from error
    return model


def _wrap(model: nn.Module, config: NetworkConfig, size: int, own: int) -> TimmBackbone:
    given = dict(config.args)
    fixed = published(config.name).fixed_input_size and not given.get("dynamic_img_size")
    try:
        if fixed and size != own and hasattr(model, "set_input_size"):
            model.set_input_size(img_size=(size, size))  # type: ignore[operator]
        return TimmBackbone(model, size)
    except (RuntimeError, ValueError, AssertionError, TypeError, IndexError) as error:
        other = f", or try --backbone-args img_size={size}" if fixed else " or a size closer to it"
        raise UsageError(
            f"{config.name} does not take images of {size} px ({error}); its own size is {own}: use that{other}"
        ) from error


def freeze_batch_norm(module: nn.Module) -> None:
    """Puts every batch norm of a module in eval mode for ever; its affine weights still train.

    Later calls of `module.train()` do not undo it ("frozen" in the network names of Milbich et al. 2021).
    """
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.eval()
            # On the instance, so that the layer keeps its type and a deep copy stays frozen too.
            layer.train = MethodType(_stay_in_eval, layer)  # type: ignore[method-assign]


def _stay_in_eval(layer: nn.Module, mode: bool = True) -> nn.Module:
    return layer
