"""What a ladder costs at any number of classes: `python benchmarks/split_scaling.py [--largest 1000000]`.

For C class means of d dimensions (C > 2 d), k iterations of q = C / 100 swaps:

    start      s * 3 C d^2           the scatter of all classes, of the training side, and moving to the origin
    iteration  s * (4 C d + 4 q d^2) + c * d^3    ranking, update of the scatter, Cholesky factor and eigenvalues

s and c are fitted at 10^3 and 10^4 classes; the script prints measured and predicted time at every size.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
from split_generator import class_means

from oodml.splits.space import ClassSpace
from oodml.splits.states import measure_state
from oodml.splits.swaps import Steps, swap
from oodml.splits.threads import threads_for

DIMENSIONS, ITERATIONS = 256, 10


def measured(classes: int) -> float:
    """Seconds of a ladder's walk."""
    means = class_means(classes, DIMENSIONS)
    names = [f"class {row:07d}" for row in range(classes)]
    half = np.arange(classes // 2), np.arange(classes // 2, classes)
    began = time.perf_counter()
    with threads_for(DIMENSIONS):
        space = ClassSpace(means, names)
        swap(space, measure_state(space, "default", *half), Steps(classes // 100, ITERATIONS, classes // 40))
    return time.perf_counter() - began


def linear(classes: int) -> float:
    """Operations that grow with the number of classes."""
    start = 3.0 * classes * DIMENSIONS**2
    return start + ITERATIONS * (4.0 * classes * DIMENSIONS + 0.04 * classes * DIMENSIONS**2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=100_000)
    largest = parser.parse_args().largest
    sizes = [10**power for power in range(3, 8) if 10**power <= largest]
    measured(sizes[0])  # the first call pays for imports
    took = {size: measured(size) for size in sizes}
    cubic = float(ITERATIONS + 1) * DIMENSIONS**3
    s = (took[10_000] - took[1000]) / (linear(10_000) - linear(1000))
    c = (took[1000] - s * linear(1000)) / cubic
    print(f"d = {DIMENSIONS}, {ITERATIONS} iterations; s = {s:.3g} s, c = {c:.3g} s an operation")
    print("   classes   measured s  predicted s  measured / predicted")
    for size, seconds in took.items():
        predicted = s * linear(size) + c * cubic
        print(f"{size:10d} {seconds:12.2f} {predicted:12.2f} {seconds / predicted:12.2f}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
