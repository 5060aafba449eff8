"""The split generator against the direct form of its distance: `python benchmarks/split_generator.py`.

The direct form is a matrix square root of the product of both covariances (d x d) for every division, as in the
original. It is timed on one division of the same run and multiplied by the number of divisions that ours measured.
"""

from __future__ import annotations

import argparse
import resource
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import sqrtm

from oodml.splits.points import Rows
from oodml.splits.space import ClassSpace
from oodml.splits.states import measure_state
from oodml.splits.swaps import Steps, remove, swap
from oodml.splits.threads import threads_for


def class_means(classes: int, dimensions: int, groups: int = 12) -> NDArray[np.float64]:
    """Means of classes in groups, variance falling with the dimension as that of real features does."""
    rng = np.random.default_rng(0)
    scale = np.arange(1, dimensions + 1) ** -0.5
    centres = 2 * rng.normal(size=(groups, dimensions))
    means = rng.normal(size=(classes, dimensions))
    means += centres[rng.integers(0, groups, classes)]
    means *= scale
    return means


class Counted(ClassSpace):
    """Counts the divisions that are measured."""

    measured = 0

    def shift(self, train: Rows, test: Rows) -> float:
        """As its parent, counted."""
        self.measured += 1
        return super().shift(train, test)


@dataclass(frozen=True)
class Case:
    """What is generated."""

    classes: int
    dimensions: int
    swaps: int
    iterations: int
    removals: int


CASES = (Case(200, 2048, 2, 25, 35), Case(22_634, 2048, 1000, 20, 30))


def direct(means: NDArray[np.float64]) -> float:
    """Seconds of one distance by the matrix square root."""
    half = len(means) // 2
    began = time.perf_counter()
    first, second = (np.cov(side, rowvar=False) for side in (means[:half], means[half:]))
    gap = means[:half].mean(axis=0) - means[half:].mean(axis=0)
    ridge = 1e-8 * np.eye(means.shape[1])
    root = np.real(np.trace(sqrtm((first + ridge) @ (second + ridge))))
    value = gap @ gap + np.trace(first) + np.trace(second) - 2 * root
    assert np.isfinite(value)
    return time.perf_counter() - began


def run(case: Case) -> None:
    means = class_means(case.classes, case.dimensions)
    names = [f"class {row:06d}" for row in range(case.classes)]
    steps = Steps(case.swaps, case.iterations, round(2.5 * case.swaps))
    began = time.perf_counter()
    with threads_for(min(case.dimensions, case.classes // 2)):
        space = Counted(means, names)
        half = np.arange(case.classes // 2), np.arange(case.classes // 2, case.classes)
        harder = swap(space, measure_state(space, "default", *half), steps)
        removed = remove(space, harder.hardest, Steps(case.swaps, case.removals, steps.history))
    took = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    one = direct(means)
    print(f"{case.classes} class means x {case.dimensions}, {case.swaps} swaps an iteration")
    print(f"  swaps: {len(harder.states) - 1} of {case.iterations} iterations  {harder.stopped}")
    print(f"  removal: {len(removed.states) - 1} of {case.removals} iterations  {removed.stopped}")
    print(f"  oodml: {took:.2f} s for {space.measured} divisions, peak memory {peak:.2f} GiB")
    print(f"  direct: {one:.2f} s a division, {one * space.measured:.0f} s for as many")
    print(f"  ratio direct / oodml: {one * space.measured / took:.0f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="only the 200 class means")
    for each in CASES[: 1 if parser.parse_args().small else None]:
        run(each)
