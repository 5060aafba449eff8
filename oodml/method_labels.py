"""What to call the methods of a table: their name, and where a benchmark has several of it, what differs."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import pandas as pd

from oodml.entries import row_tuples


def label_methods(frame: pd.DataFrame) -> pd.Series[str]:
    """Display names of the rows: the method and, where a benchmark has several of it, what differs.

    Returns:
        Labels such as "margin" or "margin (beta=0.6)" with the frame's index; different entries never share
        one within a benchmark.
    """
    keys = list(row_tuples(frame, ("benchmark", "method", "backbone", "embedding_dim", "config")))
    groups: dict[tuple[str, str], list[tuple[Any, ...]]] = defaultdict(list)
    for key in sorted(set(keys), key=lambda key: [str(part) for part in key]):
        groups[key[:2]].append(key)
    labels: dict[tuple[Any, ...], str] = {}
    for (_, method), entries in groups.items():
        taken: set[str] = set()
        for entry, traits in zip(entries, _differences([_traits(*entry[2:]) for entry in entries]), strict=True):
            label = f"{method} ({', '.join(traits)})" if traits else method
            labels[entry] = label if label not in taken else f"{label} #{len(taken) + 1}"
            taken.add(labels[entry])
    return pd.Series([labels[key] for key in keys], index=frame.index, name="label", dtype="str")


def _traits(backbone: str, embedding_dim: int | None, config: str | None) -> dict[tuple[str, str], Any]:
    """Everything that an entry can differ in, most telling first: (section, name) -> value."""
    sections: dict[str, dict[str, Any]] = json.loads(config or "{}")
    columns = {("", "backbone"): backbone, ("", "embedding_dim"): embedding_dim}
    own, training, network = (
        {(section, name): value for name, value in sections.get(section, {}).items()}
        for section in ("method", "training", "backbone")
    )
    return own | columns | training | network


def _differences(entries: list[dict[tuple[str, str], Any]]) -> list[list[str]]:
    """Of every entry the traits that vary; what follows from the backbone's name is left out."""

    def varies(name: tuple[str, str], among: list[dict[tuple[str, str], Any]]) -> bool:
        return len({json.dumps(traits.get(name)) for traits in among}) > 1

    backbones: dict[str, list[dict[tuple[str, str], Any]]] = defaultdict(list)
    for traits in entries:
        backbones[traits["", "backbone"]].append(traits)
    shown = []
    for name in dict.fromkeys(name for traits in entries for name in traits):
        groups = list(backbones.values()) if name[0] == "backbone" else [entries]
        if any(varies(name, group) for group in groups):
            shown.append(name)
    if ("", "embedding_dim") in shown:
        shown = [name for name in shown if name != ("training", "embedding_dim")]
    return [[_trait_text(name, traits[name]) for name in shown if name in traits] for traits in entries]


def _trait_text(name: tuple[str, str], value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if name == ("", "backbone") else f"{name[1]}={text}"
