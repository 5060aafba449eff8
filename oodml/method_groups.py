"""Names of methods as users give them: single ones, and groups. Free of torch."""

from __future__ import annotations

from collections.abc import Iterable

from oodml import registry
from oodml.methods.cards import GROUPS, MethodInfo


def expand_groups(names: Iterable[str]) -> list[str]:
    """Names of methods, with groups as their members, each once and in the order of its first mention.

    Args:
        names: Registered names (an unknown one stays as it is) and groups: "study", "related", "systems", "catalog",
            "own" for all but the catalog, "all", or one of an installed package that is not the name of a method.
    """
    names, known = list(names), registry.targets("method")
    if set(names) <= known.keys() - {*GROUPS, "own", "all"}:  # a broken package that is not asked for does no harm
        return list(dict.fromkeys(names))
    cards: list[MethodInfo] = [registry.load("method", name) for name in known]
    members: dict[str, list[str]] = {}
    for card in cards:
        if card.group in GROUPS or card.group not in known:  # a package's group never takes the name of a method
            members.setdefault(card.group, []).append(card.name)
    members["own"] = [card.name for card in cards if card.group != "catalog"]
    members["all"] = [card.name for card in cards]
    return list(dict.fromkeys(method for name in names for method in members.get(name, [name])))
