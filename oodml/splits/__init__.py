"""Ladders: train/test divisions of the classes, ordered by how far the two sides lie apart."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oodml.splits.files import load_ladder, save_ladder
    from oodml.splits.frechet import frechet_distance
    from oodml.splits.kernels import kid, mmd
    from oodml.splits.ladder import make_ladder
    from oodml.splits.moments import Moments
    from oodml.splits.sliced import sliced_wasserstein

__all__ = [
    "Moments",
    "frechet_distance",
    "kid",
    "load_ladder",
    "make_ladder",
    "mmd",
    "save_ladder",
    "sliced_wasserstein",
]

_HOMES = {
    "Moments": "moments",
    "frechet_distance": "frechet",
    "kid": "kernels",
    "load_ladder": "files",
    "make_ladder": "ladder",
    "mmd": "kernels",
    "save_ladder": "files",
    "sliced_wasserstein": "sliced",
}


def __getattr__(name: str) -> Any:
    # Lazy, because reading and writing files needs pyarrow and measuring does not.
    if name in _HOMES:
        return getattr(importlib.import_module(f"oodml.splits.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
