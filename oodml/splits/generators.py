"""The generators by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from oodml.errors import UnknownNameError
from oodml.splits.controls import random
from oodml.splits.searches import matched, search
from oodml.splits.superclasses import superclass
from oodml.splits.swaps import remove
from oodml.splits.swaps import swap as walk
from oodml.splits.task import Course, Task


@dataclass(frozen=True)
class Generator:
    """A way to divide classes at rising shift.

    Attributes:
        name: Its name on the command line.
        summary: One line about it.
        run: Makes the divisions.
        needs_images: Whether it looks at the features of the images, not only at class means.
    """

    name: str
    summary: str
    run: Callable[[Task], Course]
    needs_images: bool = False


def check_generator(name: str) -> None:
    """Raises UnknownNameError unless there is such a generator."""
    if name not in GENERATORS:
        raise UnknownNameError("generator of splits", name, GENERATORS)


def swap(task: Task) -> Course:
    """The published rule: exchanges that part the sides, and from the default again exchanges that mix them."""
    return _published(task, removal=False)


def removal(task: Task) -> Course:
    """The published rule, then removal of classes from the hardest division."""
    return _published(task, removal=True)


def _published(task: Task, removal: bool) -> Course:
    plan, space, start = task.plan, task.space, task.start
    with task.stage("harder", plan.harder.iterations) as tick:
        harder = walk(space, start, plan.harder, tick=tick)
    with task.stage("easier", plan.easier.iterations) as tick:
        easier = walk(space, start, plan.easier, harder=False, tick=tick)
    walks = {"harder swaps": harder, "easier swaps": easier}
    if removal:
        floors = plan.floors(len(start.train), len(start.test))
        with task.stage("removal", plan.removal.iterations) as tick:
            walks["removal"] = remove(
                space, harder.hardest, plan.removal, rule=plan.removal_rule, floors=floors, tick=tick
            )
    task.notes += [f"{stage}: {stage_walk.stopped}" for stage, stage_walk in walks.items() if stage_walk.stopped]
    visited = [start, *(state for stage_walk in walks.values() for state in stage_walk.states[1:])]
    return Course(visited, task.choose(visited))


GENERATORS: dict[str, Generator] = {
    generator.name: generator
    for generator in (
        Generator("swap", "exchanges classes step by step, the study's rule", swap),
        Generator("removal", "swap, then drops classes, as in the study's hardest levels", removal),
        Generator("search", "local search: the largest range, any target", search),
        Generator("matched", "search with the difficulty of the test side held constant", matched, True),
        Generator("random", "control divisions of one difficulty", random),
        Generator("superclass", "whole superclasses change sides", superclass),
    )
}
