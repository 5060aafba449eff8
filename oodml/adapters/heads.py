"""The layers of a method that few-shot fine-tuning trains, for many problems at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional

from oodml.adapters.base import Trained
from oodml.methods.base import Method

PROBED = 8  # images that show what an embedding depends on
HEADS = "method.heads."
ALIGNED = 16  # numbers in the widest vector register
State = Mapping[str, Tensor]


class Embedder(nn.Module):
    """A method from features to test-time embeddings of unit length, in eval mode.

    A method without a head ends in a square layer that starts as the identity.

    Args:
        method: The method; it is used, not copied, and never changed.
        width: Width of the square layer; 0 for none.
    """

    def __init__(self, method: Method, width: int = 0) -> None:
        super().__init__()
        self.method = method
        self.square = nn.utils.skip_init(nn.Linear, width, width) if width else None
        if self.square is not None:
            nn.init.eye_(self.square.weight)
            nn.init.zeros_(self.square.bias)

    def forward(self, pooled: Tensor, feature_map: Tensor | None = None) -> Tensor:
        """Embeddings (b, d) of pooled features (b, f)."""
        z = self.method.embed(self.method(pooled, feature_map))
        return z if self.square is None else functional.normalize(self.square(z), dim=1)


@dataclass(frozen=True, eq=False)
class Trainable:
    """What there is to train in a network.

    Attributes:
        embedder: Features to embeddings.
        state: The tensors that train, by their name in `embedder`.
        kept: Whether pooled features say all: false if the embedding needs the feature map as well.
        inputs: Numbers that `embedder` takes per image.
        shared: Whether networks that differ in nothing but `state` may train with one `embedder`.
    """

    embedder: Embedder
    state: dict[str, Tensor]
    kept: bool
    inputs: int
    shared: bool

    def group(self) -> tuple[object, ...]:
        """Equal for networks whose problems may train together."""
        method, shapes = self.embedder.method, tuple((n, t.shape, t.device) for n, t in self.state.items())
        return type(method), tuple(sorted(method.options.items())), shapes, None if self.shared else id(method)

    def stacked(self, others: Sequence[Trainable]) -> dict[str, Tensor]:
        """The states of networks side by side, each tensor as a row, shapes (p, n); see `_packed`."""
        return {name: torch.stack([_packed(other.state[name]) for other in others]) for name in self.state}

    def unpacked(self, rows: State) -> dict[str, Tensor]:
        """The state of one problem or of many, from rows (n,) or (p, n): views with the shapes that `embedder` has."""
        return {name: _unpacked(rows[name], tensor) for name, tensor in self.state.items()}

    def embed_stacked(self, rows: State, pooled: Tensor, feature_map: Tensor | None) -> Tensor:
        """Embeddings (p, b, d) of problems, each with its own state and features (p, b, f)."""
        across = vmap(self.embed, in_dims=(0, 0, None if feature_map is None else 0))
        found: Tensor = across(self.unpacked(rows), pooled, feature_map)
        return found

    def embed(self, state: State, pooled: Tensor, feature_map: Tensor | None) -> Tensor:
        """Embeddings (b, d) of pooled features (b, f) under a state."""
        found: Tensor = functional_call(self.embedder, dict(state), (pooled, feature_map))
        return found


def _packed(tensor: Tensor) -> Tensor:
    """A tensor as a row, shape (n,), n a multiple of ALIGNED.

    Matrices are transposed: the gradient of a product of batches then lies in memory as they do, which saves a copy.
    The optimiser computes what is left over at the end of a vector register in another way, so nothing may be.
    """
    row = (tensor.mT if tensor.dim() == 2 else tensor).flatten()
    return functional.pad(row, (0, -len(row) % ALIGNED))


def _unpacked(rows: Tensor, like: Tensor) -> Tensor:
    """Rows (..., n) in the shape of a tensor, shape (..., *like.shape)."""
    rows = rows if rows.shape[-1] == like.numel() else rows[..., : like.numel()]
    p = rows.shape[:-1]
    return rows.view(*p, *like.shape[::-1]).mT if like.dim() == 2 else rows.view(*p, *like.shape)


def trainable(model: Trained) -> Trainable:
    """What trains in a network: the parameters of its heads that the test-time embedding depends on.

    Auxiliary heads, which it does not depend on, are left out.
    """
    network, inputs = model.network, model.source.test_inputs(model.rows[:PROBED])
    method = network.method
    embedder = Embedder(method)
    with torch.inference_mode():
        output = network(inputs)
        true, pooled, last = method.embed(output), output.pooled, None
        kept = output.feature_map is None or _agrees(embedder, pooled, true)
        if not kept:
            features = network.backbone(inputs)
            pooled, last = features.pooled.float(), features.feature_map.float()
    numbers = pooled[0].numel() + (0 if last is None else last[0].numel())
    used = _used(embedder, pooled.clone(), None if last is None else last.clone())
    heads = {name: tensor for name, tensor in used.items() if name.startswith(HEADS)}
    shared = len(heads) == len(used) and not any(True for _ in method.buffers())
    if not heads:
        embedder = Embedder(method, true.shape[1]).to(model.device)
        heads = {name: tensor.detach() for name, tensor in embedder.named_parameters() if name.startswith("square.")}
    return Trainable(embedder, heads, kept, numbers, shared)


def _agrees(embedder: Embedder, pooled: Tensor, true: Tensor) -> bool:
    """Whether pooled features alone give the true embeddings."""
    try:
        found = embedder(pooled)
    except (AttributeError, TypeError):  # of a method that cannot do without the feature map
        return False
    return torch.allclose(found, true, rtol=1e-3, atol=1e-4)


@torch.enable_grad()
def _used(embedder: Embedder, pooled: Tensor, feature_map: Tensor | None) -> dict[str, Tensor]:
    """The parameters that the embeddings depend on, by name."""
    leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in embedder.named_parameters()}
    if not leaves:
        return {}
    z = functional_call(embedder, leaves, (pooled, feature_map))
    if not z.requires_grad:
        return {}
    weights = torch.arange(1.0, 1 + z.numel(), device=z.device).cos().view_as(z)  # so that no gradient cancels out
    slopes = torch.autograd.grad((z * weights).sum(), list(leaves.values()), allow_unused=True)
    depends = {name for name, slope in zip(leaves, slopes, strict=True) if slope is not None and slope.any()}
    return {name: tensor.detach() for name, tensor in embedder.named_parameters() if name in depends}
