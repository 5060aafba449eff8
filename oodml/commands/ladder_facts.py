"""Where a ladder comes from, in lines: dataset, embedder, measure, generator, episodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from oodml.records import Ladder

if TYPE_CHECKING:
    from rich.table import Table

IGNORED = {"name", "notes"}


def facts_table(ladder: Ladder) -> Table:
    """The facts about a ladder that are not about its levels."""
    from rich.table import Table
    from rich.text import Text

    shown = Table.grid(padding=(0, 2))
    shown.add_column(no_wrap=True)
    shown.add_column()
    for name, words in _facts(ladder).items():
        shown.add_row(Text(name, style="bold"), Text(words))
    return shown


def _facts(ladder: Ladder) -> dict[str, str]:
    classes = {name for level in ladder.levels for name in (*level.train, *level.test)}
    known = {"ladder": f"{ladder.name} (hash {ladder.ladder_hash})"}
    options = f" ({plain_words(ladder.dataset_options)})" if ladder.dataset_options else ""
    left_out = f", {len(ladder.skipped)} unreadable images left out" if ladder.skipped else ""
    named = ladder.dataset or "none recorded"
    known["dataset"] = f"{named}{options}, {len(classes)} classes{left_out}"
    name = ladder.embedder.get("name", "not recorded")
    rest = plain_words({key: value for key, value in ladder.embedder.items() if not _empty(value)})
    known["embedder"] = f"{name} ({rest})" if rest else str(name)
    known["measure"] = f"{ladder.distance} of {ladder.statistics.replace('-', ' ')}"
    rest = plain_words(ladder.generator)
    known["generator"] = f"{ladder.generator.get('name', 'not recorded')}" + (f" ({rest})" if rest else "")
    known["episodes"] = _episodes(ladder)
    return known


def _episodes(ladder: Ladder) -> str:
    if not ladder.episodes:
        return "none"
    shots = sorted({episode.shots for episode in ladder.episodes})
    draws = max(episode.episode for episode in ladder.episodes) + 1
    return f"{', '.join(map(str, shots))} shots, {draws} draws each"


def _empty(value: Any) -> bool:
    return value in ("none", "{}", "")


def plain_words(values: Mapping[str, Any]) -> str:
    """Nested options on one line.

    Example:
        >>> plain_words({"name": "x", "seed": 0, "harder": {"swaps": 2, "iterations": 25}, "shots": [2, 5]})
        'seed 0, harder: swaps 2 iterations 25, shots 2/5'
    """
    parts = []
    for key, value in values.items():
        if key in IGNORED or value is None or value in ([], ()):
            continue
        words = key.replace("_", " ")
        if isinstance(value, Mapping):
            inner = " ".join(f"{name.replace('_', ' ')} {_value(part)}" for name, part in value.items())
            parts.append(f"{words}: {inner}" if inner else f"{words}: none")
        else:
            parts.append(f"{words} {_value(value)}")
    return ", ".join(parts)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "/".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
