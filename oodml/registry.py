"""Names and what they stand for: explicit tables of "module:object", imported on first use.

Third parties add names through the entry-point groups `oodml.methods`, `oodml.adapters`, `oodml.datasets` and
`oodml.backbones`.
"""

from __future__ import annotations

import importlib
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from oodml.errors import UnknownNameError, UsageError

TABLES: dict[str, dict[str, str] | str] = {
    "dataset": {
        "glyphs": "oodml.datasets.glyphs:INFO",
        "folder": "oodml.datasets.folder:INFO",
        "embeddings": "oodml.datasets.vectors:INFO",
        "cub200": "oodml.datasets.published:CUB200",
        "cars196": "oodml.datasets.published:CARS196",
        "sop": "oodml.datasets.published:SOP",
        "caltech101": "oodml.datasets.vision:CALTECH101",
        "caltech256": "oodml.datasets.vision:CALTECH256",
        "cifar100": "oodml.datasets.vision:CIFAR100",
        "country211": "oodml.datasets.vision:COUNTRY211",
        "dtd": "oodml.datasets.vision:DTD",
        "emnist": "oodml.datasets.vision:EMNIST",
        "fgvc_aircraft": "oodml.datasets.vision:FGVC_AIRCRAFT",
        "flowers102": "oodml.datasets.vision:FLOWERS102",
        "food101": "oodml.datasets.vision:FOOD101",
        "gtsrb": "oodml.datasets.vision:GTSRB",
        "omniglot": "oodml.datasets.vision:OMNIGLOT",
        "oxford_pets": "oodml.datasets.vision:OXFORD_PETS",
        "stanford_cars": "oodml.datasets.vision:STANFORD_CARS",
        "sun397": "oodml.datasets.vision:SUN397",
    },
    "method": "oodml.methods.cards:CARDS",  # a table of records, so that planning needs no torch
    "adapter": "oodml.adapters.cards:CARDS",
    "backbone": {
        "pixels": "oodml.backbones.pixels:INFO",
        "vectors": "oodml.backbones.vectors:INFO",
    },
}


def resolve(target: str) -> Any:
    """Imports the object that "module:object" names."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


@cache
def targets(kind: str) -> dict[str, Any]:
    """All names of a kind ("dataset", "method", "adapter", "backbone"), ours and those of installed third parties."""
    table = TABLES[kind]
    known: dict[str, Any] = dict(resolve(table) if isinstance(table, str) else table)
    for point in entry_points(group=f"oodml.{kind}s"):
        known.setdefault(point.name, point.value)
    return known


def names(kind: str) -> list[str]:
    """The sorted names of a kind."""
    return sorted(targets(kind))


def load(kind: str, name: str) -> Any:
    """Returns the record that a name stands for, importing its module on first use.

    Raises:
        UnknownNameError: If there is no such name; the message offers the closest ones.
        UsageError: If the package that registers the name cannot be imported.
    """
    known = targets(kind)
    if name not in known:
        raise UnknownNameError(kind, name, known, f"(`oodml {kind}s` lists them)")
    target = known[name]
    if not isinstance(target, str):
        return target
    try:
        return resolve(target)
    except (ImportError, AttributeError) as error:
        if target.startswith("oodml."):
            raise
        raise UsageError(
            f"{kind} {name!r} is registered by an installed package as {target!r}, which does not load ({error}); "
            "mend or uninstall that package"
        ) from error
