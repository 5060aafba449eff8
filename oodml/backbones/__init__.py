"""Backbones by name: registered ones (`pixels`, `vectors`, third parties) and every timm model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodml import registry
from oodml.networks import NetworkConfig, identity

if TYPE_CHECKING:
    from oodml.backbones.base import Backbone, BackboneInfo

__all__ = ["build_backbone", "check_backbone", "list_backbones"]


def build_backbone(
    config: NetworkConfig, *, num_inputs: int = 0, image_size: int | None = None, seed: int = 0
) -> Backbone:
    """Makes a backbone.

    Args:
        config: The network; its name is a registered one or timm's.
        num_inputs: Width of the input vectors, for `vectors` and `pixels`.
        image_size: Side of the images to come, for timm models; None takes the model's own.
        seed: Seed of the initialisation of timm models.

    Raises:
        UnknownNameError: If there is no such backbone.
        WeightsError: If its weights cannot be had, read, or do not fit.
        UsageError: If its keywords, normalisation or image size are not usable.
    """
    if config.name in registry.targets("backbone"):
        info: BackboneInfo = registry.load("backbone", config.name)
        return info.build(config, num_inputs)
    from oodml.backbones.timm_models import build_timm

    return build_timm(config, image_size=image_size, generator_seed=seed)


def check_backbone(config: NetworkConfig) -> None:
    """Raises early what `build_backbone` would for a wrong name or tag, or weights that cannot be had."""
    if config.name not in registry.targets("backbone"):
        from oodml.backbones.timm_models import check_name, find_weights

        check_name(config)
        find_weights(config)
    identity(config)


def list_backbones(filter: str = "") -> list[tuple[str, str]]:
    """Names that contain the filter (wildcards allowed) with a line about each; registered ones first."""
    import timm

    from oodml.backbones.timm_models import published

    rows = [(name, registry.load("backbone", name).summary) for name in registry.names("backbone") if filter in name]
    for name in timm.list_models(f"*{filter}*", pretrained=True):
        source = published(name)
        size = "{} x {} px".format(*source.input_size[-2:])
        parts = [f"timm, {size}{' only' if source.fixed_input_size else ''}", source.license]
        rows.append((name, ", ".join(part for part in parts if part)))
    return rows
