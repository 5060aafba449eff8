"""Default division, validation classes and the choice of levels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oodml.errors import LadderError
from oodml.splits.division import division_hash, initial_division, validation_classes
from oodml.splits.states import State, distinct_states, spread_evenly

NAMES = [f"c{row:03d}" for row in range(21)]


def test_sorted_division_trains_on_the_first_half_and_the_odd_class() -> None:
    train, test = initial_division(NAMES[::-1], "sorted", "seed")
    assert train == tuple(NAMES[:11])
    assert test == tuple(NAMES[11:])


def test_random_division_depends_on_the_seed_only() -> None:
    divisions = [initial_division(names, "random", seed) for names in (NAMES, NAMES[::-1]) for seed in (0, 1)]
    assert divisions[0] == divisions[2] != divisions[1] == divisions[3]
    train, test = divisions[0]
    assert (len(train), sorted(train + test)) == (11, NAMES)


@pytest.mark.parametrize(
    ("initial", "message"),
    [
        ((NAMES[:10], NAMES[11:]), "leaves out 'c010'"),
        ((NAMES[:11], [*NAMES[10:20], "c020"]), "has 'c010' twice"),
        (([*NAMES[:11], "dog"], NAMES[11:]), "names the class 'dog'"),
        ((NAMES[:3], NAMES[3:]), "3 training and 18 test"),
        ("alphabetic", "'sorted', 'random' or"),
    ],
)
def test_bad_initial_division_is_named(initial: str | tuple[list[str], list[str]], message: str) -> None:
    with pytest.raises(LadderError, match=message):
        initial_division(NAMES, initial, 0)


@pytest.mark.parametrize(
    ("classes", "share", "training"),
    [
        (20, 0.5, 10),
        (21, 0.5, 11),
        (10, 0.6, 6),
        (25, 0.28, 7),
        (100, 0.55, 55),
        (10, 0.41, 5),
        (30, 0.8, 24),
        (50, 0.08, 4),
    ],
)
@pytest.mark.parametrize("initial", ["sorted", "random"])
def test_a_share_of_the_classes_trains_rounded_up_but_not_for_rounding(
    classes: int, share: float, training: int, initial: str
) -> None:
    names = [f"c{row:03d}" for row in range(classes)]
    train, test = initial_division(names, initial, "seed", share=share)
    assert len(train) == training
    assert sorted(train + test) == names
    assert (train == tuple(names[:training])) is (initial == "sorted")


@given(st.integers(8, 400), st.integers(1, 399))
def test_every_exact_share_gives_its_number_of_classes(classes: int, training: int) -> None:
    names = [f"c{row:03d}" for row in range(classes)]
    if 4 <= training <= classes - 4:
        assert len(initial_division(names, "sorted", share=training / classes)[0]) == training


@pytest.mark.parametrize(
    ("share", "sizes"),
    [(0.1, "3 training and 18 test"), (0.9, "19 training and 2 test"), (0.0, "0 training and 21 test"),
     (1.0, "0 training and 21 test"), (-0.5, "0 training"), (1.5, "0 training"), (float("nan"), "sides=nan")],
)  # fmt: skip
def test_a_share_that_leaves_a_side_too_small_is_refused(share: float, sizes: str) -> None:
    with pytest.raises(LadderError, match=sizes) as refused:
        initial_division(NAMES, "sorted", 0, share=share)
    assert "at least 4" in str(refused.value) and "between 0 and 1" in str(refused.value)


def test_a_share_does_not_touch_sides_that_are_given() -> None:
    train, test = initial_division(NAMES, (NAMES[5:], NAMES[:5]), 0, share=0.5)
    assert (train, test) == (tuple(NAMES[5:]), tuple(NAMES[:5]))


def test_too_few_classes() -> None:
    with pytest.raises(LadderError, match="at least 8 classes, got 7"):
        initial_division(NAMES[:7], "sorted", 0)


@pytest.mark.parametrize(("classes", "held_out"), [(98, 25), (86, 22), (74, 19), (62, 16), (4, 1)])
def test_a_quarter_validates_as_in_the_published_files(classes: int, held_out: int) -> None:
    names = [f"z{row % 7}_{row:02d}" for row in range(classes)]  # not sorted: the order must stay
    val = validation_classes(names, 0.25, "ladder", 3)
    assert len(val) == held_out
    assert list(val) == [name for name in names if name in set(val)]
    assert val == validation_classes(names, 0.25, "ladder", 3)
    if classes > 4:
        assert val != validation_classes(names, 0.25, "ladder", 4)


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.3, 0.5, 0.7, 0.9])
def test_a_part_of_ten_is_exact(fraction: float) -> None:
    assert len(validation_classes(NAMES[:10], fraction, 0)) == round(10 * fraction)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 0.99, float("nan")])
def test_val_fraction_must_leave_training_classes(fraction: float) -> None:
    with pytest.raises(LadderError, match="val_fraction"):
        validation_classes(NAMES[:8], fraction, 0)


def test_no_validation_classes_on_request() -> None:
    assert validation_classes(NAMES, 0, 0) == ()


def test_division_hash_ignores_order_but_not_sides() -> None:
    assert division_hash(["b", "a"], ["c"]) == division_hash(["a", "b"], ["c"])
    assert division_hash(["a", "b"], ["c"]) != division_hash(["c"], ["a", "b"])


@given(st.integers(0, 1000), st.integers(2, 9), st.integers(1, 6), st.data())
@settings(max_examples=60, deadline=None)
def test_levels_are_the_most_even_choice(seed: int, size: int, count: int, data: st.DataObject) -> None:
    count = min(count, size)
    must = data.draw(st.integers(0, size - 1))
    shifts = np.sort(np.random.default_rng(seed).random(size)) * 40
    targets = np.linspace(shifts[0], shifts[-1], count)

    def cost(choice: tuple[int, ...]) -> float:
        return float(((shifts[list(choice)] - targets) ** 2).sum())

    choices = [choice for choice in itertools.combinations(range(size), count) if must in choice]
    chosen = tuple(spread_evenly(shifts.tolist(), count, must))
    assert chosen in choices
    assert cost(chosen) == pytest.approx(min(map(cost, choices)), rel=1e-9, abs=1e-9)


def test_states_of_equal_shift_count_once_and_the_default_stays() -> None:
    visited = [
        ("default", 2.0),
        ("swap +1", 3.0),
        ("swap +2", 2.0),
        ("swap +3", 3.0 + 1e-12),
        ("swap -1", 2.0),
    ]
    states = [State(origin, (origin,), ("b",), shift) for origin, shift in visited]
    assert [state.origin for state in distinct_states(states)] == ["default", "swap +1"]
    assert [state.origin for state in distinct_states(states[::-1])] == ["default", "swap +3"]
