"""Where the states that a generator visited lie on an axis of progress."""

from __future__ import annotations

import re
from dataclasses import dataclass

from oodml.records import Ladder

Point = tuple[float, float]
REMOVAL, LEVELS = "removal", "levels"
WALKS = {"swap", REMOVAL, LEVELS}
_SIGNED = re.compile(r"(\w+) ([+-]\d+)")
_REMOVED = re.compile(rf"{REMOVAL} (\d+)")


@dataclass(frozen=True)
class Course:
    """What the generator visited in one way.

    Attributes:
        kind: What it did, e.g. "swap", "search", "removal"; "levels" for levels in their order.
        points: (progress, shift), by rising progress.
    """

    kind: str
    points: tuple[Point, ...]

    @property
    def connected(self) -> bool:
        """Whether each point came from the one before; a search turns back and tries again."""
        return self.kind in WALKS


def positions(ladder: Ladder) -> dict[str, float]:
    """Where each visited state and each level lies on the axis of progress, by origin.

    Steps from the default division (at 0) carry a sign: "swap +12", "search -8", to the left where they mix
    the sides. Removal starts at the hardest state before it, which is where the generator branched off.

    Returns:
        Origin to position; empty if some origin has no place there ("random 3"): levels then stand in their
        order.
    """
    entries = _states(ladder)
    found: dict[str, float] = {}
    for origin, _ in entries:
        signed = _SIGNED.fullmatch(origin)
        if origin in ("", "default"):
            found[origin] = 0.0
        elif signed:
            found[origin] = float(signed[2])
    apart = [(shift, -place, origin) for place, (origin, shift) in enumerate(entries) if origin in found]
    ahead = [entry for entry in apart if found[entry[2]] >= 0]
    start = found[max(ahead or apart)[2]] if apart else 0.0
    for origin, _ in entries:
        removed = _REMOVED.fullmatch(origin)
        if removed:
            found[origin] = start + float(removed[1])
    return found if all(origin in found for origin, _ in entries) else {}


def courses(ladder: Ladder, where: dict[str, float]) -> list[Course]:
    """The walks of the generator, each with the state that it started from.

    Args:
        ladder: The ladder.
        where: From `positions`.
    """
    if not where:
        return [Course(LEVELS, tuple((float(level.index), level.shift) for level in ladder.levels))]
    walks: dict[str, list[Point]] = {}
    anchor: list[Point] = []
    for origin, shift in _states(ladder):
        point = (where[origin], shift)
        if origin in ("", "default"):
            anchor.append(point)
        else:
            walks.setdefault(origin.split()[0], []).append(point)
    stepped = [point for kind, points in walks.items() if kind != REMOVAL for point in points] + anchor
    branch = max(stepped, key=lambda point: (point[1], -point[0]), default=None)
    for kind, points in walks.items():
        points += ([branch] if branch else []) if kind == REMOVAL else anchor
    if not walks:
        walks[LEVELS] = anchor
    return [Course(kind, tuple(sorted(points))) for kind, points in walks.items()]


def _states(ladder: Ladder) -> list[tuple[str, float]]:
    """(origin, shift) of every state that was visited, or of the levels where no other is known."""
    levels = [(level.origin, level.shift) for level in ladder.levels]
    seen = {origin for origin, _ in ladder.trace}
    return [*ladder.trace, *(entry for entry in levels if entry[0] not in seen)]
