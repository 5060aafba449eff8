"""The state of an unfinished run on disk, so that a long run goes on where it was killed."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from oodml import store
from oodml.version import __version__

_log = logging.getLogger(__name__)


class Stateful(Protocol):
    """Anything that can be put away and brought back."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes while a run trains."""

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """Brings it back."""


class RandomState:
    """Generators by name, and the global one of torch, which layers such as dropout draw from."""

    def __init__(self, generators: Mapping[str, torch.Generator]) -> None:
        self.generators = generators

    def state_dict(self) -> dict[str, Tensor]:
        """State of every generator, uint8."""
        return {"global": torch.get_rng_state()} | {name: g.get_state() for name, g in self.generators.items()}

    def load_state_dict(self, state_dict: Mapping[str, Tensor]) -> None:
        """Puts every generator where it was."""
        torch.set_rng_state(state_dict["global"])
        for name, generator in self.generators.items():
            generator.set_state(state_dict[name])


class Checkpoint:
    """One file per run, written from time to time under a temporary name and then renamed.

    Args:
        path: The file.
        every_s: Seconds of training between two files; 0 writes after every step.
    """

    def __init__(self, path: Path, every_s: float = 60.0) -> None:
        self.path, self.every_s = path, every_s
        self._last = time.monotonic()

    def restore(self, parts: Mapping[str, Stateful]) -> bool:
        """Brings the parts back from the file; False if there is none, or none that can be used, which is logged."""
        try:
            states = torch.load(self.path, map_location="cpu", weights_only=True)
            self._check(states, parts)
        except FileNotFoundError:
            return False
        except Exception as error:  # cut short or not ours, errors of many types
            return self._refuse(error)
        before = copy.deepcopy({name: part.state_dict() for name, part in parts.items()})
        try:
            for name, part in parts.items():
                part.load_state_dict(states[name])
        except Exception as error:  # does not fit, and some of it may be loaded already
            for name, part in parts.items():
                part.load_state_dict(before[name])
            return self._refuse(error)
        return True

    def _check(self, states: Any, parts: Mapping[str, Stateful]) -> None:
        if not isinstance(states, dict) or states.get("version") != __version__:
            raise ValueError("it is not of this version of oodml")
        if set(states) != {"version", *parts}:
            raise ValueError("it does not hold the parts of this run")

    def _refuse(self, error: Exception) -> bool:
        reason = (str(error).splitlines() or [""])[0]
        _log.warning("checkpoint %s cannot be used, the run starts anew: %s", self.path, reason or type(error).__name__)
        return False

    def after_step(self, parts: Mapping[str, Stateful]) -> None:
        """Writes the file if it is time to."""
        if time.monotonic() - self._last < self.every_s:
            return
        store.make_folder(self.path.parent)
        with store.atomic(self.path) as temporary:
            states = {name: part.state_dict() for name, part in parts.items()}
            torch.save({"version": __version__, **states}, temporary)
        self._last = time.monotonic()

    def remove(self) -> None:
        """Deletes the file, once the run is scored."""
        self.path.unlink(missing_ok=True)
