"""Which superclasses lie on which side: how many of their classes train and how many test at every level."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from oodml.records import Ladder, Level

UNKNOWN = "(no superclass)"


@dataclass(frozen=True)
class Group:
    """A superclass, or several together.

    Attributes:
        name: Its name.
        counts: Per level its number of classes in training (validation included) and in test.
    """

    name: str
    counts: tuple[tuple[int, int], ...]

    @property
    def size(self) -> int:
        """Its largest number of classes over the levels."""
        return max(train + test for train, test in self.counts)

    def share(self, place: int) -> float | None:
        """Share of its classes that train at a level; None where it has no classes."""
        train, test = self.counts[place]
        return train / (train + test) if train + test else None

    @property
    def moved(self) -> float:
        """About how many of its classes change sides over the ladder: the range of its share times its size."""
        shares = [share for place in range(len(self.counts)) if (share := self.share(place)) is not None]
        return (max(shares) - min(shares)) * self.size


@dataclass(frozen=True)
class Composition:
    """The superclasses of a ladder, those first that move most between the sides."""

    levels: tuple[Level, ...]
    groups: tuple[Group, ...]

    def whole(self, place: int) -> int:
        """Superclasses of at least two classes that lie on one side at a level."""
        return sum(min(group.counts[place]) == 0 and max(group.counts[place]) > 1 for group in self.groups)

    @property
    def divisible(self) -> int:
        """Superclasses of at least two classes."""
        return sum(group.size > 1 for group in self.groups)


def composition(ladder: Ladder, superclasses: Mapping[str, str]) -> Composition:
    """Counts the classes of every superclass on both sides of every level.

    Args:
        ladder: The ladder.
        superclasses: Class name to superclass; classes that it lacks are counted together.
    """
    sides = [
        tuple(Counter(superclasses.get(name, UNKNOWN) for name in side) for side in (level.train, level.test))
        for level in ladder.levels
    ]
    names = sorted({name for train, test in sides for name in (*train, *test)})
    groups = [Group(name, tuple((train[name], test[name]) for train, test in sides)) for name in names]
    return Composition(ladder.levels, tuple(sorted(groups, key=lambda g: (-g.moved, -g.size, g.name))))


def together(name: str, groups: tuple[Group, ...]) -> Group:
    """Several superclasses as one."""
    columns = zip(*(group.counts for group in groups), strict=True)
    return Group(name, tuple((sum(train for train, _ in c), sum(test for _, test in c)) for c in columns))
