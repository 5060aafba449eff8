"""What a training step of each method costs beside one of `margin`, as `benchmarks/method_cost.py` measured it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

COSTS_FILE = Path(__file__).parent.parent / "costs.json"
NOT_MEASURED = "not measured"


@cache
def _stored() -> dict[str, Any]:
    """The file of costs; without it nothing is measured."""
    if not COSTS_FILE.exists():
        return {"conditions": "", "ratio": {}}
    stored: dict[str, Any] = json.loads(COSTS_FILE.read_text(encoding="utf-8"))
    return stored


def cost_ratio(name: str) -> float | None:
    """Time of a training step over that of a step of `margin`; None for a method that was not measured."""
    ratio = _stored()["ratio"].get(name)
    return None if ratio is None else float(ratio)


def cost_conditions() -> str:
    """Versions, network, batch and image size of the measurement; "" if there is none."""
    return str(_stored()["conditions"])


def cost_text(name: str) -> str:
    """What a step costs, in a few words."""
    ratio = cost_ratio(name)
    return NOT_MEASURED if ratio is None else f"{ratio:.2f} x a training step of margin"
