"""What a generator is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from oodml.errors import LadderError
from oodml.splits.features import FeatureTable
from oodml.splits.options import Plan, Progress
from oodml.splits.space import ClassSpace
from oodml.splits.states import State, distinct_states, nearest_to, spread_evenly


@dataclass(frozen=True)
class Course:
    """What a generator made.

    Attributes:
        visited: All divisions, in order, the default one first.
        kept: Those that become levels, by strictly rising shift.
    """

    visited: Sequence[State]
    kept: Sequence[State]


@dataclass
class Task:
    """The classes to divide and the wishes of the user.

    Attributes:
        space: The class means and their meter.
        plan: Parameters with their defaults worked out.
        levels: Levels wanted, evenly spaced.
        targets: Shifts wanted instead, or empty.
        start: The default division.
        share: Part of the classes that trains.
        seed_parts: Name the dataset and the seed.
        superclasses: Class name to superclass.
        images: Features of all images by class, where the caller has them.
        progress: Called with (stage, done, total).
        notes: What the user should know; generators add to it.
    """

    space: ClassSpace
    plan: Plan
    levels: int
    targets: Sequence[float]
    start: State
    share: float
    seed_parts: tuple[str, int]
    superclasses: Mapping[str, str]
    images: FeatureTable | None
    progress: Progress | None
    notes: list[str] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str, total: int = 0) -> Iterator[Callable[[], None]]:
        """Yields a callback for every step of a stage; total 0 means that nobody knows how many there will be."""
        report, done = self.progress or (lambda *_: None), 0

        def tick() -> None:
            nonlocal done
            done += 1
            report(name, done, total)

        yield tick
        if done and done != total:
            report(name, done, done)

    def choose(self, visited: Sequence[State]) -> list[State]:
        """Of the divisions visited those nearest to the targets, or those that lie most evenly, the default among them.

        Raises:
            LadderError: If the shift never changed, or a target is out of reach.
        """
        distinct = self.distinct(visited)
        if self.targets:
            return nearest_to(distinct, self.targets)
        if len(distinct) < self.levels:
            self.notes.append(f"{self.levels} levels were asked for, only {len(distinct)} distinct states were reached")
        default = next(place for place, state in enumerate(distinct) if state.origin == "default")
        chosen = spread_evenly([state.shift for state in distinct], min(self.levels, len(distinct)), default)
        return [distinct[place] for place in chosen]

    def distinct(self, visited: Sequence[State]) -> list[State]:
        """Divisions of different shift, rising.

        Raises:
            LadderError: If there are fewer than two.
        """
        distinct = distinct_states(visited)
        if len(distinct) < 2:
            raise LadderError(
                "swapping classes never changed the shift, so there is nothing to order; "
                "use another embedder, more classes, or fewer swaps in more iterations"
            )
        return distinct
