"""Every generator with every measure: what all ladders promise."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from many_classes import Classes, random_classes
from numpy.typing import NDArray

from oodml.errors import UnknownNameError
from oodml.records import Ladder
from oodml.splits import make_ladder
from oodml.splits.generators import GENERATORS
from oodml.splits.kernels import mmd
from oodml.splits.measures import MEASURES

CLASSES, DRAWS, LEVELS = 28, 39, 5
MEASURED = [*((measure, "class-means") for measure in MEASURES), ("fid", "images"), ("kid", "images")]
KEEPS_SIZES = ("swap", "search", "matched", "random")
every_generator = pytest.mark.parametrize("generator", GENERATORS)
every_measure = pytest.mark.parametrize(("measure", "statistics"), MEASURED, ids=" of ".join)


def make(data: Classes, **options: Any) -> Ladder:
    return make_ladder(data.means, data.names, **{"levels": LEVELS, "null_draws": DRAWS, **data.options, **options})


@cache
def example(generator: str, measure: str, statistics: str) -> tuple[Classes, Ladder]:
    data = random_classes(0, CLASSES)
    return data, make(data, generator=generator, measure=measure, statistics=statistics)


def pure_shift(data: Classes, ladder: Ladder, train: tuple[str, ...], test: tuple[str, ...]) -> float:
    """The plain distance of the named classes' own means or images."""
    of_images = ladder.statistics == "images"
    x, y = (data.features[data.images_of(side)] if of_images else data.means_of(side) for side in (train, test))
    if ladder.distance == "mmd":  # its width comes from all classes, also those that a level leaves out
        return mmd(x, y, bandwidth=median_distance(data.features if of_images else data.means))
    return MEASURES[ladder.distance].distance(x, y)


def median_distance(rows: NDArray[np.float64]) -> float:
    return float(np.median([np.linalg.norm(x - y) for place, x in enumerate(rows) for y in rows[:place]]))


def assert_levels(data: Classes, ladder: Ladder) -> None:
    """What holds for the ladder of any generator, measure and data."""
    assert len(ladder.levels) >= 2
    shifts = [level.shift for level in ladder.levels]
    assert all(after > before for before, after in pairwise(shifts))
    scaled = [(shift - shifts[0]) / (shifts[-1] - shifts[0]) for shift in shifts]
    scale = float(np.square(data.means - data.means.mean(axis=0)).sum(axis=1).mean())
    trace = [(origin, shift) for origin, shift in ladder.trace]
    for index, level in enumerate(ladder.levels):
        assert level.index == index
        assert level.name == ("default" if level.origin == "default" else f"level_{index}")
        assert level.shift_scaled == pytest.approx(scaled[index])
        assert (level.origin, level.shift) in trace
        assert list(level.train) == sorted(set(level.train)) and list(level.test) == sorted(set(level.test))
        assert not set(level.train) & set(level.test)
        assert min(len(level.train), len(level.test)) >= 4
        if not level.origin.startswith("removal"):
            assert sorted(level.train + level.test) == sorted(data.names)
        assert set(level.val) < set(level.train)
        assert len(level.val) == len(level.train) - int(0.75 * len(level.train))
        # rounded zeros under square roots show where a side has fewer classes than dimensions
        expected = pure_shift(data, ladder, level.train, level.test)
        assert level.shift == pytest.approx(expected, rel=1e-7, abs=1e-6 * scale)
    assert_null_shifts(ladder)


def assert_null_shifts(ladder: Ladder) -> None:
    """Levels of the same classes in the same sizes share the draws, so that the p-value falls where the shift rises."""
    draws = ladder.generator["null_draws"]
    shared: dict[tuple[object, int], list[Any]] = {}
    for level in ladder.levels:
        assert level.null_p is not None and 0 < level.null_p <= 1
        count = level.null_p * (draws + 1)
        assert count == pytest.approx(round(count)) and round(count) >= 1
        shared.setdefault((tuple(sorted(level.train + level.test)), len(level.train)), []).append(level)
    for group in shared.values():
        assert len({(level.null_mean, level.null_std) for level in group}) == 1
        p_values = [level.null_p for level in group]
        assert p_values == sorted(p_values, reverse=True)


@every_measure
@every_generator
def test_a_ladder_keeps_its_promises(generator: str, measure: str, statistics: str) -> None:
    data, ladder = example(generator, measure, statistics)
    assert (ladder.distance, ladder.statistics, ladder.generator["name"]) == (measure, statistics, generator)
    assert len(ladder.levels) == LEVELS
    assert_levels(data, ladder)
    assert ladder.generator["name"] != "random" or ladder.default_level is None
    if generator != "random":
        assert ladder.default_level is not None
        assert ladder.trace[0] == ("default", ladder.levels[ladder.default_level].shift)
    if generator in KEEPS_SIZES:
        assert {(len(level.train), len(level.test)) for level in ladder.levels} == {(CLASSES // 2, CLASSES // 2)}
    origins = {level.origin.split()[0] for level in ladder.levels}
    assert origins <= {"default", generator} | ({"swap"} if generator in ("search", "matched", "removal") else set())


@every_generator
def test_a_seed_gives_the_same_ladder_again(generator: str) -> None:
    data, ladder = example(generator, "fid", "images")
    assert make(data, generator=generator, statistics="images") == ladder


@every_measure
@every_generator
def test_the_order_of_classes_and_images_does_not_matter(generator: str, measure: str, statistics: str) -> None:
    data, ladder = example(generator, measure, statistics)
    other = make(data.shuffled(1), generator=generator, measure=measure, statistics=statistics)
    for level, again in zip(ladder.levels, other.levels, strict=True):
        assert (again.origin, again.train, again.test) == (level.origin, level.train, level.test)
        assert (again.val, again.null_p) == (level.val, level.null_p)
        figures = [level.shift, level.null_mean, level.null_std]
        np.testing.assert_allclose([again.shift, again.null_mean, again.null_std], figures, rtol=1e-9, atol=1e-9)


@given(st.integers(0, 10_000), st.integers(8, 24), st.integers(1, 8), st.integers(2, 6), st.data())
@settings(max_examples=10, deadline=None)
@pytest.mark.parametrize("generator", ["swap", "search"])
def test_promises_hold_for_any_class_means_and_sides(
    generator: str, seed: int, classes: int, d: int, levels: int, drawn: st.DataObject
) -> None:
    data = random_classes(seed, classes, d)
    num_train = drawn.draw(st.integers(4, classes - 4))
    measure = drawn.draw(st.sampled_from(sorted(MEASURES)))
    options = {"measure": measure, "sides": num_train / classes, "null_draws": 5}
    ladder = make(data, generator=generator, levels=levels, **options)
    assert_levels(data, ladder)
    assert {(len(level.train), len(level.test)) for level in ladder.levels} == {(num_train, classes - num_train)}
    assert ladder.default_level is not None
    assert len(ladder.levels) == levels or any("distinct" in note for note in ladder.generator["notes"])


@pytest.mark.parametrize("generator", ["swap", "removal", "search", "matched"])
def test_the_default_division_starts_it_and_is_a_level(generator: str) -> None:
    data = random_classes(3, CLASSES)
    sides = data.names[::2], data.names[1::2]
    ladder = make(data, generator=generator, initial=sides)
    assert ladder.default_level is not None
    level = ladder.levels[ladder.default_level]
    assert (level.train, level.test) == (tuple(sides[0]), tuple(sides[1]))
    assert ladder.generator["initial"] == "explicit"


def test_an_unknown_generator_offers_the_closest() -> None:
    data = random_classes(0, 12)
    with pytest.raises(UnknownNameError, match="unknown generator of splits 'match'; did you mean 'matched'"):
        make(data, generator="match")


def test_the_table_names_every_generator_by_its_own_name() -> None:
    assert list(GENERATORS) == ["swap", "removal", "search", "matched", "random", "superclass"]
    assert all(generator.name == name and generator.summary for name, generator in GENERATORS.items())
