"""The null shift: p-values by hand, exact under exchangeable divisions, bias, sizes, the same draws for a seed."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from oodml.splits import frechet_distance
from oodml.splits.measures import measured_space
from oodml.splits.null import NullShift, null_shift
from oodml.splits.points import Rows
from oodml.splits.space import ClassSpace

Array = NDArray[np.float64]
ALL = np.arange(24)


def space_of(measure: str = "fid", d: int = 4, seed: int = 0) -> ClassSpace:
    means = np.random.default_rng(seed).normal(size=(24, d)) + 1
    return measured_space(means, [f"c{row:02d}" for row in range(24)], measure=measure)


def drawn(space: ClassSpace, draws: int, seed: int = 0) -> NullShift:
    return null_shift(space, ALL, 12, draws, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("shift", "expected"),
    [
        (0.5, 6 / 6),  # all five and itself
        (1.0, 6 / 6),  # equal counts as at least as far
        (1.5, 5 / 6),
        (2.0, 5 / 6),
        (2.5, 3 / 6),
        (4.0, 2 / 6),
        (4.1, 1 / 6),  # the smallest there is
        (math.inf, 1 / 6),
    ],
)
def test_p_values_by_hand(shift: float, expected: float) -> None:
    assert NullShift(np.array([4.0, 1.0, 2.0, 2.0, 3.0])).p_value(shift) == pytest.approx(expected, rel=1e-12)


def test_mean_and_spread_by_hand() -> None:
    null = NullShift(np.array([1.0, 2.0, 6.0]))  # mean 3; deviations -2, -1, 3: 14 / 2 = 7
    assert null.mean == 3.0
    assert null.std == pytest.approx(math.sqrt(7), rel=1e-12)
    assert type(null.mean) is type(null.std) is type(null.p_value(2.0)) is float


def test_shifts_that_differ_by_rounding_count_as_equal() -> None:
    null = NullShift(np.array([0.1 + 0.2, -0.1 - 0.2, 1.0]))
    assert null.p_value(0.3) == null.p_value(np.nextafter(0.3, 1)) == 3 / 4
    assert null.p_value(-0.3) == null.p_value(np.nextafter(-0.3, 0)) == 4 / 4
    assert null.p_value(0.3 + 1e-6) == 2 / 4


@pytest.mark.parametrize("d", [2, 6])
@pytest.mark.parametrize("measure", ["fid", "kid", "mmd", "sliced_wasserstein"])
def test_few_classes_draw_the_observed_division_itself(measure: str, d: int) -> None:
    # of the C(8, 4) = 70 divisions the one that lies farthest apart and its mirror image: p is about 2 / 70
    space = measured_space(np.random.default_rng(8).normal(size=(8, d)), list("abcdefgh"), measure=measure)
    sides = [(np.array(train), np.setdiff1d(np.arange(8), train)) for train in combinations(range(8), 4)]
    farthest = max(sides, key=lambda pair: space.shift(*pair))
    null = null_shift(space, np.arange(8), 4, 2000, np.random.default_rng(9))
    for pair in (farthest, farthest[::-1]):
        assert null.p_value(space.shift(*pair)) == pytest.approx(2 / 70, abs=0.01)


@given(st.lists(st.floats(-9, 9), min_size=2, max_size=30), st.floats(-10, 10), st.floats(0, 5))
def test_p_values_lie_in_their_range_and_never_rise_with_the_shift(
    draws: list[float], shift: float, more: float
) -> None:
    null = NullShift(np.array(draws))
    assert 1 / (len(draws) + 1) <= null.p_value(shift + more) <= null.p_value(shift) <= 1


@given(st.lists(st.integers(-99, 99), min_size=3, max_size=30, unique=True))
def test_each_of_many_divisions_that_differ_by_chance_alone_takes_another_p_value(values: list[int]) -> None:
    # so that a share of at most alpha of them has p <= alpha: the test is exact
    p_values = [
        NullShift(np.array(values[:i] + values[i + 1 :], dtype=float)).p_value(value) for i, value in enumerate(values)
    ]
    assert sorted(p_values) == pytest.approx([(rank + 1) / len(values) for rank in range(len(values))])


@pytest.mark.parametrize("measure", ["fid", "kid", "mmd", "sliced_wasserstein"])
def test_p_values_of_random_divisions_are_uniform(measure: str) -> None:
    space = space_of(measure)
    null, others = drawn(space, 400, seed=1), drawn(space, 400, seed=2)
    p_values = [null.p_value(value) for value in others.values]
    shares = np.histogram(p_values, bins=4, range=(0, 1))[0] / 400
    assert shares == pytest.approx([0.25] * 4, abs=0.1)
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("measure", ["kid", "mmd"])
def test_measures_without_bias_have_a_null_about_zero(measure: str) -> None:
    null = drawn(space_of(measure), 1000)
    assert abs(null.mean) < 4 * null.std / math.sqrt(1000)


def test_the_null_of_the_frechet_distance_is_its_bias() -> None:
    # many dimensions and few rows: about twice the trace of the covariance, the sides being nowhere apart
    space = space_of(d=2000)
    trace = float(space.squares.sum() / 23)
    assert drawn(space, 20).mean == pytest.approx(2 * trace, rel=0.1)


def test_parted_classes_take_the_smallest_p_value() -> None:
    means = np.random.default_rng(3).normal(size=(24, 4))
    means[12:, 0] += 8
    space = ClassSpace(means, [f"c{row:02d}" for row in range(24)])
    null = drawn(space, 99)
    shift = space.shift(ALL[:12], ALL[12:])
    assert shift == pytest.approx(frechet_distance(means[:12], means[12:]), rel=1e-9)
    assert null.p_value(shift) == 1 / 100


def test_a_seed_gives_the_same_draws_and_another_one_others() -> None:
    space = space_of()
    first, again, other = drawn(space, 10, seed=4), drawn(space_of(), 10, seed=4), drawn(space, 10, seed=5)
    assert np.array_equal(first.values, again.values)
    assert not np.isin(first.values, other.values).any()
    more = drawn(space, 25, seed=4)  # goes on from there
    np.testing.assert_allclose(more.values[:10], first.values, rtol=1e-9)


class Recorder:
    """A meter that notes what it is asked."""

    note = ""

    def __init__(self) -> None:
        self.asked: list[tuple[Rows, Rows]] = []

    def shift(self, train: Rows, test: Rows) -> float:
        self.asked.append((train, test))
        return float(len(self.asked))


@pytest.mark.parametrize(("classes", "num_train"), [(24, 12), (24, 5), (11, 9)])
def test_every_draw_divides_the_same_classes_into_the_same_sizes(classes: int, num_train: int) -> None:
    meter = Recorder()
    space = ClassSpace(np.random.default_rng(6).normal(size=(24, 3)), [f"c{row:02d}" for row in range(24)], meter)
    rows = np.arange(24)[::-1][:classes]  # those of a level after removal
    null = null_shift(space, rows, num_train, 200, np.random.default_rng(7))
    assert null.values.tolist() == list(range(1, 201))
    for train, test in meter.asked:
        assert (len(train), len(test)) == (num_train, classes - num_train)
        assert np.array_equal(np.sort(np.concatenate([train, test])), np.sort(rows))
        assert np.array_equal(train, np.sort(train)) and np.array_equal(test, np.sort(test))
    often = np.bincount(np.concatenate([train for train, _ in meter.asked]), minlength=24)[rows] / 200
    assert often == pytest.approx([num_train / classes] * classes, abs=0.15)
