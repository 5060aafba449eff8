"""Names to seeds: the only place randomness comes from.

Each purpose has its own seed, so that adding a draw for one purpose never changes another, and no code touches the
global generators of `random`, `numpy` or `torch`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive_seed(*parts: str | int) -> int:
    """A 63-bit seed for the purpose that the parts name, e.g. `derive_seed(run_id, "sampler")`."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_generator(*parts: str | int) -> np.random.Generator:
    """A NumPy generator for the purpose that the parts name."""
    return np.random.default_rng(derive_seed(*parts))


def torch_generator(*parts: str | int, device: str = "cpu") -> torch.Generator:
    """A torch generator for the purpose that the parts name."""
    import torch

    return torch.Generator(device).manual_seed(derive_seed(*parts))
