"""Adapted runs beside the networks that they started from, episode by episode. Free of torch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from oodml.entries import Entry, Variant
from oodml.run_scores import Episodes, mean
from oodml.schema import FEW_SHOT, UNADAPTED


@dataclass(frozen=True)
class Pair:
    """Values of one run at one number of shots, by episode, before and after adaptation."""

    none: tuple[float, ...]
    adapted: tuple[float, ...]

    @cached_property
    def gains(self) -> tuple[float, ...]:
        """Adapted less unadapted, by episode."""
        return tuple(after - before for before, after in zip(self.none, self.adapted, strict=True))

    @cached_property
    def mean_none(self) -> float:
        """Mean over the episodes before adaptation."""
        return mean(self.none)

    @cached_property
    def mean_adapted(self) -> float:
        """Mean over the episodes after it."""
        return mean(self.adapted)

    @cached_property
    def mean_gain(self) -> float:
        """Mean of the gains."""
        return mean(self.gains)


Pairs = dict[int, dict[int, Pair]]  # level -> seed -> pair


def pair_episodes(episodes: Mapping[tuple[Entry, Variant], Episodes]) -> dict[tuple[Entry, Variant], Pairs]:
    """Every adapted run with the unadapted one on the same queries; where either is unknown, so is the pair."""
    pairs: dict[tuple[Entry, Variant], Pairs] = defaultdict(lambda: defaultdict(dict))
    for (entry, variant), adapted in episodes.items():
        if variant.setting != FEW_SHOT or variant.adapter == UNADAPTED:
            continue
        none = episodes.get((entry, variant._replace(adapter=UNADAPTED)), {})
        for level, seeds in adapted.items():
            for seed in sorted(seeds.keys() & none.get(level, {}).keys()):
                pairs[entry, variant][level][seed] = Pair(none[level][seed], seeds[seed])
    return pairs


def gain_episodes(pairs: Pairs) -> Episodes:
    """Gains by level and seed, one per episode."""
    return {level: {seed: pair.gains for seed, pair in seeds.items()} for level, seeds in pairs.items()}
