"""Control divisions: how much results differ between divisions of one difficulty."""

from __future__ import annotations

import numpy as np

from oodml.errors import LadderError
from oodml.seeds import numpy_generator
from oodml.splits.states import measure_state
from oodml.splits.task import Course, Task


def random(task: Task) -> Course:
    """As many random divisions as levels were asked for, of the sizes of the default one, which is not among them.

    Raises:
        LadderError: If shifts were asked for.
    """
    if task.targets:
        raise LadderError(
            "the generator 'random' takes a number of levels and no target shifts: chance makes its shifts"
        )
    everything = np.arange(len(task.space))
    size = len(task.start.train)
    states = []
    with task.stage("controls", task.levels) as tick:
        for number in range(task.levels):
            order = numpy_generator(*task.seed_parts, "control division", number).permutation(everything)
            sides = np.sort(order[:size]), np.sort(order[size:])
            states.append(measure_state(task.space, f"random {number + 1}", *sides))
            tick()
    task.notes.append("control divisions: all of one difficulty, ordered by a shift that only chance made")
    distinct = task.distinct(states)
    if len(distinct) < task.levels:
        task.notes.append(f"{task.levels} levels were asked for, only {len(distinct)} distinct divisions were drawn")
    return Course(states, distinct)
