"""Makes a ladder: divisions of the classes from a generator, measured, with validation classes and episodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from oodml.errors import LadderError
from oodml.records import Episode, Ladder, Level, content_hash
from oodml.seeds import numpy_generator
from oodml.splits.division import division_hash, initial_division, validation_classes
from oodml.splits.episodes import draw_episodes
from oodml.splits.features import FeatureTable
from oodml.splits.generators import GENERATORS, check_generator
from oodml.splits.measures import measured_space
from oodml.splits.null import NullShift, null_shift
from oodml.splits.options import LadderOptions, with_defaults, work_out
from oodml.splits.states import State, measure_state
from oodml.splits.task import Course, Task
from oodml.splits.threads import threads_for


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

    The default generator is the study's (Milbich et al., NeurIPS 2021): from the default division, classes are
    exchanged so that the sides part or mix; of all states visited, those that lie most evenly over the reached
    shift become levels, the default division always among them. The order of the classes does not matter.

    Args:
        class_means: Mean vector of every class, shape (C, d), C >= 8.
        class_names: Their unique names.
        levels: Levels wanted, at least 2. Fewer come back when too few distinct states were reached;
            `generator["notes"]` then says so.
        swaps_per_iteration: Classes of each side exchanged in a step, 2 in the study; None: 2 for every 100 of a side.
        seed: Seed of the random division, validation classes, null shifts and episodes.
        options: See `LadderOptions`.

    Raises:
        LadderError: If the input cannot be divided or a target is out of reach; the message says what is wrong.
        UnknownNameError: If there is no such option, generator or measure.

    Example:
        >>> import numpy as np
        >>> means = np.arange(40.0).reshape(20, 2) ** 2
        >>> ladder = make_ladder(means, [f"class {i:02d}" for i in range(20)], levels=3)
        >>> [level.name for level in ladder.levels]
        ['level_0', 'level_1', 'default']
    """
    if levels < 2:
        raise LadderError(f"a ladder needs at least 2 levels, got {levels}")
    settings = with_defaults(options)
    if len(settings["targets"]) == 1:
        raise LadderError("a ladder needs at least 2 target shifts, got 1")
    generator = settings["generator"]
    check_generator(generator)
    names = [str(name) for name in class_names]
    dimension = np.shape(class_means)[-1] if np.ndim(class_means) else 0
    with threads_for(dimension if settings["statistics"] == "images" else min(dimension, len(names) // 2)):
        task = _task(class_means, names, levels, swaps_per_iteration, seed, settings)
        course = GENERATORS[generator].run(task)
        made = _levels(task, list(course.kept), settings)
    return _ladder(task, course, made, settings)


def _ladder(task: Task, course: Course, made: tuple[Level, ...], settings: LadderOptions) -> Ladder:
    return Ladder(
        name=settings["name"],
        dataset=settings["dataset"],
        dataset_options=dict(settings["dataset_options"] or {}),
        dataset_hash=settings["dataset_hash"],
        embedder=dict(settings["embedder"] or {}),
        distance=settings["measure"],
        statistics=settings["statistics"],
        generator=_describe(task, settings),
        levels=made,
        trace=tuple((state.origin, state.shift) for state in course.visited),
        episodes=_episodes(task, made, settings),
        skipped=tuple(settings["skipped"]),
    )


def _task(
    class_means: ArrayLike, names: list[str], levels: int, swaps: int | None, seed: int, settings: LadderOptions
) -> Task:
    images = None
    needed = settings["statistics"] == "images" or GENERATORS[settings["generator"]].needs_images
    if needed and settings["features"] is not None:
        if settings["labels"] is None:
            raise LadderError("features need labels: the class of every image, as an index into class_names")
        labels = np.asarray(settings["labels"], dtype=np.int64)
        images = FeatureTable.of_images(np.asanyarray(settings["features"]), labels, names)
    space = measured_space(
        class_means, names, measure=settings["measure"], statistics=settings["statistics"], images=images
    )
    seed_parts = (settings["dataset_hash"] or content_hash(space.names), seed)
    train, test = initial_division(space.names, settings["initial"], *seed_parts, share=settings["sides"])
    task = Task(
        space=space,
        plan=work_out(swaps, settings, min(len(train), len(test))),
        levels=levels,
        targets=tuple(settings["targets"]),
        start=measure_state(space, "default", space.rows(train), space.rows(test)),
        share=settings["sides"],
        seed_parts=seed_parts,
        superclasses=settings["superclasses"] or {},
        images=images,
        progress=settings["progress"],
    )
    if space.meter.note:
        task.notes.append(space.meter.note)
    return task


def _levels(task: Task, kept: list[State], settings: LadderOptions) -> tuple[Level, ...]:
    low, high = kept[0].shift, kept[-1].shift
    null = _nulls(task)
    reference = settings["reference"] or (lambda _: {})

    def level(index: int, state: State) -> Level:
        parts = (*task.seed_parts, division_hash(state.train, state.test))
        drawn = null(state)
        return Level(
            index=index,
            name="default" if state.origin == "default" else f"level_{index}",
            shift=state.shift,
            shift_scaled=(state.shift - low) / (high - low),
            null_mean=drawn.mean,
            null_std=drawn.std,
            null_p=drawn.p_value(state.shift),
            reference=_plain(reference(state.test)),
            train=state.train,
            test=state.test,
            val=validation_classes(state.train, settings["val_fraction"], *parts),
            origin=state.origin,
        )

    levels = []
    with task.stage("levels", len(kept)) as tick:
        for index, state in enumerate(kept):
            levels.append(level(index, state))
            tick()
    return tuple(levels)


def _nulls(task: Task) -> Callable[[State], NullShift]:
    """The null shift of a division; those of the same classes in the same sizes share one."""
    known: dict[tuple[tuple[str, ...], int], NullShift] = {}

    def null(state: State) -> NullShift:
        population = tuple(sorted(state.train + state.test)), len(state.train)
        if population not in known:
            generator = numpy_generator(*task.seed_parts, "null shift", content_hash(population))
            rows = task.space.rows(population[0])
            known[population] = null_shift(task.space, rows, population[1], task.plan.null_draws, generator)
        return known[population]

    return null


def _episodes(task: Task, levels: tuple[Level, ...], settings: LadderOptions) -> tuple[Episode, ...]:
    images, shots, count = settings["image_ids"], settings["shots"], settings["episodes"]
    if images is None:
        return ()
    drawn: list[Episode] = []
    for level in levels:
        parts = (*task.seed_parts, division_hash(level.train, level.test))
        drawn += draw_episodes(level.index, parts, level.test, images, shots, count)
    return tuple(drawn)


def _describe(task: Task, settings: LadderOptions) -> dict[str, Any]:
    """The generator and its parameters as the ladder keeps them."""
    initial = settings["initial"]
    return {
        "name": settings["generator"],
        "levels": task.levels,
        "targets": list(task.targets),
        "seed": task.seed_parts[1],
        "initial": initial if isinstance(initial, str) else "explicit",
        "sides": task.share,
        **asdict(task.plan),
        "val_fraction": settings["val_fraction"],
        "shots": list(settings["shots"]),
        "episodes": settings["episodes"],
        "notes": task.notes,
    }


def _plain(values: Mapping[str, float]) -> dict[str, float]:
    return {metric: float(value) for metric, value in values.items()}
