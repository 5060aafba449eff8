"""Losses of pytorch-metric-learning as methods: one declarative record each."""

from __future__ import annotations

from oodml.methods.cards.record import MethodInfo

LIBRARY: tuple[MethodInfo, ...] = ()
