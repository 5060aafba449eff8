"""The control: pooled features of the network as it is."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from oodml.methods.base import Batch, Method, Output


class Frozen(Method):
    """Pooled backbone features, L2-normalised; nothing is trained."""

    def build_heads(self) -> nn.ModuleDict:
        """No head."""
        return nn.ModuleDict()

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        """Never called, since the record says that the method does not train."""
        raise NotImplementedError("frozen does not train")

    def embed(self, output: Output) -> Tensor:
        """Unit pooled features, shape (b, f)."""
        return functional.normalize(output.pooled, dim=1)
