"""The loss of a registered method without its heads, as a part of another method."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from oodml import registry
from oodml.methods.base import Context, Method
from oodml.records import Scalar


def headless(name: str, context: Context, overrides: Mapping[str, Scalar]) -> Method:
    """A method whose `loss` is taken on the embeddings of other heads, and which has no heads of its own.

    Args:
        name: A method whose loss needs nothing but the head "embedding", and no hooks.
        context: `embedding_dim` is the width of the embeddings that the loss will see.
        overrides: Options that differ from the record's defaults; those that the record lacks are left out.
    """
    card = registry.load("method", name)
    known = {option: value for option, value in overrides.items() if option in card.options}
    method: Method = card.build(context, {**card.options, **known})
    method.heads = nn.ModuleDict()
    return method
