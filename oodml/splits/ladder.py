"""Makes a ladder: walks from mixed to far-apart divisions and keeps levels at even distances."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Unpack

from numpy.typing import ArrayLike

from oodml.errors import LadderError
from oodml.records import Episode, Ladder, Level, content_hash
from oodml.seeds import numpy_generator
from oodml.splits.distances import ClassSpace
from oodml.splits.division import division_hash, initial_division, validation_classes
from oodml.splits.episodes import draw_episodes
from oodml.splits.levels import distinct_states, null_shift, spread_evenly
from oodml.splits.options import LadderOptions, Plan, Progress, with_defaults, work_out
from oodml.splits.swaps import State, remove, swap


def make_ladder(
    class_means: ArrayLike,
    class_names: Sequence[str],
    *,
    levels: int = 8,
    swaps_per_iteration: int | None = 2,
    seed: int = 0,
    **options: Unpack[LadderOptions],
) -> Ladder:
    """Makes levels of rising shift between training and test classes.

    From the default division, classes are exchanged so that the sides part or mix, then removed (Milbich et
    al., NeurIPS 2021); of all states visited, those that lie most evenly over the reached shift become
    levels, the default division always among them. The order of the classes does not matter.

    Args:
        class_means: Mean vector of every class, shape (C, d), C >= 8.
        class_names: Their unique names.
        levels: Levels wanted, at least 2. Fewer come back when too few distinct states were reached;
            `generator["notes"]` then says so.
        swaps_per_iteration: Classes of each side exchanged in a step, 2 in the study; None: 2 for every 100 of a side.
        seed: Seed of the random half, validation classes, null shifts and episodes.
        options: See `LadderOptions`.

    Raises:
        LadderError: If the input cannot be divided; the message says what is wrong.
        UnknownNameError: If there is no such option.

    Example:
        >>> import numpy as np
        >>> means = np.arange(40.0).reshape(20, 2) ** 2
        >>> ladder = make_ladder(means, [f"class {i:02d}" for i in range(20)], levels=3)
        >>> [level.name for level in ladder.levels]
        ['level_0', 'default', 'level_2']
    """
    if levels < 2:
        raise LadderError(f"a ladder needs at least 2 levels, got {levels}")
    settings = with_defaults(options)
    space = ClassSpace(class_means, class_names)
    root = (settings["dataset_hash"] or content_hash(space.names), seed)
    train, test = initial_division(space.names, settings["initial"], *root)
    plan = work_out(swaps_per_iteration, settings, min(len(train), len(test)))
    start = State("default", train, test, space.shift(space.rows(train), space.rows(test)))
    work = _Work(space, plan, settings, root)
    visited = work.visit(start)
    return work.ladder(visited, work.keep(visited, levels), levels)


@dataclass
class _Work:
    """What the steps of one call share."""

    space: ClassSpace
    plan: Plan
    settings: LadderOptions
    root: tuple[str, int]
    notes: list[str] = field(default_factory=list)

    def _ticker(self, stage: str, total: int) -> Callable[[], None]:
        report: Progress | None = self.settings["progress"]
        done = 0

        def tick() -> None:
            nonlocal done
            done += 1
            if report is not None:
                report(stage, done, total)

        return tick

    def visit(self, start: State) -> list[State]:
        """All states, in the order the generator visits them: default, harder, easier, removal."""
        plan, space = self.plan, self.space
        harder = swap(space, start, plan.harder, tick=self._ticker("harder", plan.harder.iterations))
        easier = swap(space, start, plan.easier, harder=False, tick=self._ticker("easier", plan.easier.iterations))
        removal = remove(
            space,
            harder.hardest,
            plan.removal,
            rule=plan.removal_rule,
            floors=plan.floors(len(start.train), len(start.test)),
            tick=self._ticker("removal", plan.removal.iterations),
        )
        walks = {"harder swaps": harder, "easier swaps": easier, "removal": removal}
        self.notes += [f"{stage}: {walk.stopped}" for stage, walk in walks.items() if walk.stopped]
        return [start, *(state for walk in walks.values() for state in walk.states[1:])]

    def keep(self, visited: list[State], count: int) -> list[State]:
        """The states that become levels, by rising shift."""
        distinct = distinct_states(visited)
        if len(distinct) < 2:
            raise LadderError(
                "swapping classes never changed the shift, so there is nothing to order; "
                "use another embedder, more classes or more iterations"
            )
        if len(distinct) < count:
            self.notes.append(f"{count} levels were asked for, only {len(distinct)} distinct states were reached")
        default = next(place for place, state in enumerate(distinct) if state.origin == "default")
        chosen = spread_evenly([state.shift for state in distinct], min(count, len(distinct)), default)
        return [distinct[place] for place in chosen]

    def ladder(self, visited: list[State], kept: list[State], asked: int) -> Ladder:
        settings = self.settings
        made = self._levels(kept)
        return Ladder(
            name=settings["name"],
            dataset=settings["dataset"],
            dataset_options=dict(settings["dataset_options"] or {}),
            dataset_hash=settings["dataset_hash"],
            embedder=dict(settings["embedder"] or {}),
            distance="fid",
            generator=self._generator(asked),
            levels=made,
            trace=tuple((state.origin, state.shift) for state in visited),
            episodes=self._episodes(made),
            skipped=tuple(settings["skipped"]),
        )

    def _levels(self, kept: list[State]) -> tuple[Level, ...]:
        low, high = kept[0].shift, kept[-1].shift
        nulls: dict[tuple[tuple[str, ...], int], tuple[float, float]] = {}
        reference, tick = self.settings["reference"], self._ticker("levels", len(kept))
        levels = []
        for index, state in enumerate(kept):
            # swapped levels divide the same classes into the same sizes, so they share one null distribution
            population = tuple(sorted(state.train + state.test)), len(state.train)
            if population not in nulls:
                generator = numpy_generator(*self.root, "null shift", content_hash(population))
                rows = self.space.rows(population[0])
                nulls[population] = null_shift(self.space, rows, population[1], self.plan.null_draws, generator)
            parts = (*self.root, division_hash(state.train, state.test))
            level = Level(
                index=index,
                name="default" if state.origin == "default" else f"level_{index}",
                shift=state.shift,
                shift_scaled=(state.shift - low) / (high - low),
                null_mean=nulls[population][0],
                null_std=nulls[population][1],
                reference=_plain(reference(state.test)) if reference else {},
                train=state.train,
                test=state.test,
                val=validation_classes(state.train, self.settings["val_fraction"], *parts),
                origin=state.origin,
            )
            levels.append(level)
            tick()
        return tuple(levels)

    def _episodes(self, levels: tuple[Level, ...]) -> tuple[Episode, ...]:
        settings = self.settings
        images, shots, count = settings["image_ids"], settings["shots"], settings["episodes"]
        if images is None:
            return ()
        drawn: list[Episode] = []
        for level in levels:
            parts = (*self.root, division_hash(level.train, level.test))
            drawn += draw_episodes(level.index, parts, level.test, images, shots, count)
        return tuple(drawn)

    def _generator(self, asked: int) -> dict[str, Any]:
        initial, settings = self.settings["initial"], self.settings
        return {
            "name": "swap_remove",
            "levels": asked,
            "seed": self.root[1],
            "initial": initial if isinstance(initial, str) else "explicit",
            **asdict(self.plan),
            "val_fraction": settings["val_fraction"],
            "shots": list(settings["shots"]),
            "episodes": settings["episodes"],
            "notes": self.notes,
        }


def _plain(values: Mapping[str, float]) -> dict[str, float]:
    return {metric: float(value) for metric, value in values.items()}
