"""Control divisions: as many as asked for, of one size, all different, from the seed alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from many_classes import random_classes

from oodml.errors import LadderError
from oodml.splits import make_ladder


@given(st.integers(0, 10_000), st.integers(30, 50), st.integers(2, 12), st.floats(0.3, 0.7))  # fewer may draw one twice
@settings(max_examples=20, deadline=None)
def test_as_many_different_divisions_of_one_size(seed: int, classes: int, levels: int, share: float) -> None:
    data = random_classes(seed, classes)
    options = {"seed": seed, "sides": share, "null_draws": 9}
    ladder = make_ladder(data.means, data.names, generator="random", levels=levels, **options)  # type: ignore[arg-type]
    assert len({level.train for level in ladder.levels}) == levels == len(ladder.levels)
    sizes = {(len(level.train), len(level.test)) for level in ladder.levels}
    assert sizes == {(math.ceil(share * classes), classes - math.ceil(share * classes))}
    assert all(sorted(level.train + level.test) == data.names for level in ladder.levels)
    assert sorted(level.origin for level in ladder.levels) == sorted(f"random {n + 1}" for n in range(levels))
    assert ladder.default_level is None
    assert len({level.null_mean for level in ladder.levels}) == 1  # one size, so one null shift
    assert any("all of one difficulty" in note for note in ladder.generator["notes"])


def test_the_seed_names_the_divisions_and_more_levels_add_to_them() -> None:
    data = random_classes(0, 30)
    few, again, more = (
        make_ladder(data.means, data.names, generator="random", levels=levels, null_draws=2) for levels in (4, 4, 9)
    )
    other = make_ladder(data.means, data.names, generator="random", levels=4, seed=1, null_draws=2)
    assert few == again
    drawn = [{level.origin: level.train for level in ladder.levels} for ladder in (few, more, other)]
    assert drawn[0].items() <= drawn[1].items()
    assert not set(drawn[0].values()) & set(drawn[2].values())


def test_every_class_trains_as_often_as_its_side_is_large() -> None:
    data = random_classes(0, 20)
    ladder = make_ladder(data.means, data.names, generator="random", levels=400, sides=0.3, null_draws=2)
    assert len(ladder.levels) >= 390  # 38,760 divisions, so that hardly any comes twice
    times = np.array([sum(name in level.train for level in ladder.levels) for name in data.names])
    draws = len(ladder.levels)
    assert times.mean() == pytest.approx(0.3 * draws)
    assert np.abs(times - 0.3 * draws).max() < 4.5 * np.sqrt(0.3 * 0.7 * draws)


def test_their_shifts_are_those_of_chance() -> None:
    data = random_classes(1, 30)
    ladder = make_ladder(data.means, data.names, generator="random", levels=60, null_draws=300)
    shifts = np.array([level.shift for level in ladder.levels])
    null_mean, null_std = ladder.levels[0].null_mean, ladder.levels[0].null_std
    assert shifts.mean() == pytest.approx(null_mean, abs=5 * null_std / np.sqrt(60))
    assert shifts.std() == pytest.approx(null_std, rel=0.5)


def test_fewer_different_divisions_than_asked_for_are_noted() -> None:
    data = random_classes(0, 8)
    ladder = make_ladder(data.means, data.names, generator="random", levels=60, null_draws=2)
    assert len(ladder.levels) <= 35  # 70 divisions of 8 in halves, of which two and two are mirrored
    assert f"60 levels were asked for, only {len(ladder.levels)} distinct" in " ".join(ladder.generator["notes"])


def test_target_shifts_are_refused() -> None:
    data = random_classes(0, 20)
    with pytest.raises(LadderError, match="'random' takes a number of levels and no target shifts"):
        make_ladder(data.means, data.names, generator="random", targets=[1.0, 2.0])
