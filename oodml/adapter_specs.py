"""Adapters as users name them: `linear`, `linear:steps=200:lr=0.001`. Free of torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from oodml import registry
from oodml.adapters.cards import AdapterInfo
from oodml.options import parse_pairs, parse_scalar, scalar_text
from oodml.records import Options, Scalar, as_options
from oodml.schema import UNADAPTED

DEFAULT_ADAPTERS = ("linear",)


@dataclass(frozen=True)
class AdapterSpec:
    """An adapter with its options.

    Attributes:
        name: Registered name.
        options: All options, resolved.
        label: The name with the options that differ from its defaults: the `adapter` column of results.
    """

    name: str
    options: Options
    label: str


def adapter_spec(text: str, shared: Mapping[str, Scalar]) -> AdapterSpec:
    """`"linear:steps=200"` as a spec.

    Args:
        text: Name, then options, separated by colons.
        shared: Options for every adapter that has them; those in the text go first.

    Raises:
        UnknownNameError: If there is no such adapter or option.
        UsageError: If an option is not written as NAME=VALUE, or has the wrong type.
    """
    name, *pairs = (part.strip() for part in text.split(":"))
    info: AdapterInfo = registry.load("adapter", name)
    own = {key: value for key, value in shared.items() if key in info.options}
    options = info.resolve_options(own | parse_pairs(pairs, f"--adapters {name}:"))
    changed = [f"{key}={scalar_text(value)}" for key, value in sorted(options.items()) if value != info.options[key]]
    return AdapterSpec(name, as_options(options), ":".join([name, *changed]))


def adapter_specs(texts: Iterable[str], views: str | None = None) -> tuple[AdapterSpec, ...]:
    """The adapters that a user names, each once, after the control that gains are measured against.

    Args:
        texts: See `adapter_spec`.
        views: `--views`: augmented views of every labelled image, or "online" for new ones in every step.
    """
    shared: dict[str, Scalar] = {}
    if views is not None:
        shared = {"online": True} if views == "online" else {"views": parse_scalar(views)}
    found = [adapter_spec(text, shared) for text in (UNADAPTED, *texts)]
    return tuple({spec.label: spec for spec in found}.values())
