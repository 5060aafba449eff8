"""The command that makes runs again: a run's identity as options of `oodml sweep`. Free of torch."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from oodml import registry
from oodml.errors import OodmlError
from oodml.options import scalar_text
from oodml.presets import BACKBONES, PRESETS, Situation, training_options
from oodml.records import RunSpec, Scalar


def repeat_command(ladder: str, dataset: str, specs: Sequence[RunSpec]) -> str:
    """A command that makes exactly these runs again.

    Args:
        ladder: Folder or name of the ladder.
        dataset: Dataset of the ladder, for the options that depend on it.
        specs: Runs that differ in level and seed only, one at least.

    Returns:
        `oodml sweep ...`, quoted for a shell. A local file of weights stands as WEIGHTS, since only its content is
        known.
    """
    first = specs[0]
    preset, training = min(
        ((preset, _training(preset, dataset, first)) for preset in PRESETS), key=lambda found: len(found[1])
    )
    levels, seeds = sorted({spec.level for spec in specs}), sorted({spec.seed for spec in specs})
    words = ["oodml", "sweep", ladder, "--methods", first.method]
    words += ["--levels", ",".join(map(str, levels)), "--seeds", _seeds(seeds)]
    words += ["--preset", preset] if preset != "quick" else []
    words += ["--selection", first.selection] if first.selection != "last" else []
    words += [*_network(preset, first), *training, *_method(dataset, first)]
    return shlex.join(words)


def _seeds(seeds: Sequence[int]) -> str:
    """A list that is not read as a count."""
    return f"{seeds[0]}," if len(seeds) == 1 else ",".join(map(str, seeds))


def _network(preset: str, spec: RunSpec) -> list[str]:
    known = dict(spec.backbone_config)
    weights, args = str(known.get("weights", "none")), json.loads(str(known.get("args", "{}")))
    own = spec.backbone == BACKBONES[preset]
    words = [] if own or spec.backbone == "vectors" else ["--backbone", spec.backbone]
    if weights.startswith("sha256:"):
        words += ["--weights", "WEIGHTS"]
    elif spec.backbone in registry.TABLES["backbone"]:
        pass  # our own have no weights
    elif weights == "none":
        words += [] if own and preset == "quick" else ["--no-pretrained"]
    elif own and preset == "quick":
        words += ["--pretrained"]
    for name, value in args.items():
        words += ["--backbone-args", f"{name}={scalar_text(value)}"]
    for name in ("mean", "std"):
        if name in known:
            words += [f"--{name}", ",".join(f"{value:g}" for value in json.loads(str(known[name])))]
    return words


def _training(preset: str, dataset: str, spec: RunSpec) -> list[str]:
    """Options in which a run differs from a preset, and those that the preset takes from the images."""
    wanted = dict(spec.training)
    vectors = not wanted.get("image_size")
    explicit: dict[str, Scalar] = {} if vectors else {name: wanted[name] for name in ("image_size", "flip")}
    situation = Situation(
        dataset=dataset,
        vectors=vectors,
        default_backbone=spec.backbone == BACKBONES[preset],
        from_weights=dict(spec.backbone_config).get("weights", "none") != "none",
    )
    try:
        own: Mapping[str, Scalar] = _card(spec.method).paper_training(dataset) if preset == "paper" else {}
        found = training_options(preset, situation, {**own, **explicit}).as_dict()
    except OodmlError:
        found = {}
    explicit |= {name: value for name, value in wanted.items() if found.get(name, ...) != value}
    words = []
    for name, value in explicit.items():
        if name in ("image_size", "steps", "embedding_dim") and value:
            words += [f"--{name.replace('_', '-')}", scalar_text(value)]
        elif not vectors or name not in ("image_size", "resize"):
            words += ["--set", f"train.{name}={scalar_text(value)}"]
    return words


def _method(dataset: str, spec: RunSpec) -> list[str]:
    try:
        usual = _card(spec.method).resolve_options(dataset, {})
    except OodmlError:
        usual = {}  # of a package that is not installed here
    different = {name: value for name, value in spec.config if usual.get(name, ...) != value}
    return [
        word for name, value in different.items() for word in ("--set", f"{spec.method}.{name}={scalar_text(value)}")
    ]


def _card(method: str) -> Any:
    return registry.load("method", method)
