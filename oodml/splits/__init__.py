"""Ladders: train/test divisions of the classes, ordered by how far the two sides lie apart."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oodml.splits.files import load_ladder, save_ladder
    from oodml.splits.frechet import frechet_distance
    from oodml.splits.ladder import make_ladder

__all__ = ["frechet_distance", "load_ladder", "make_ladder", "save_ladder"]

_HOMES = {
    "frechet_distance": "frechet",
    "load_ladder": "files",
    "make_ladder": "ladder",
    "save_ladder": "files",
}


def __getattr__(name: str) -> Any:
    # Lazy, because reading and writing files needs pyarrow and measuring does not.
    if name in _HOMES:
        return getattr(importlib.import_module(f"oodml.splits.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
