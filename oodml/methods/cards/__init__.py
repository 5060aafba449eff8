"""The registry of methods: one frozen record each, a file per group. Free of torch.

A method's code is named by `target` and imported when a run builds it. Equations and options follow Milbich et al.,
"Characterizing Generalization under Out-Of-Distribution Shifts in Deep Metric Learning" (NeurIPS 2021), and the paper
that each record names.
"""

from __future__ import annotations

from oodml.methods.cards.library import LIBRARY
from oodml.methods.cards.record import MethodInfo
from oodml.methods.cards.related import RELATED
from oodml.methods.cards.study import STUDY
from oodml.methods.cards.systems import SYSTEMS

__all__ = ["CARDS", "GROUPS", "MethodInfo"]

CARDS: dict[str, MethodInfo] = {record.name: record for record in (*STUDY, *RELATED, *SYSTEMS, *LIBRARY)}
GROUPS = ("study", "related", "systems", "catalog")
