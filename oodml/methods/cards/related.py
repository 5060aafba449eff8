"""Related work of the same line: sampling policies, several heads, shared features, mixup."""

from __future__ import annotations

from oodml.methods.cards.record import MethodInfo

RELATED: tuple[MethodInfo, ...] = ()
