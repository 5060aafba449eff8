"""make_ladder: levels, validation classes, null shift, determinism, options, bad input."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import oodml
from oodml.errors import LadderError, UnknownNameError
from oodml.records import Ladder
from oodml.splits import frechet_distance, make_ladder
from oodml.splits.options import DEFAULTS, LadderOptions, work_out

VECTORS = Path(__file__).parents[3] / "shared" / "data" / "grocery96_mobilenetv2.npz"


def example(classes: int = 40, d: int = 8, seed: int = 0) -> tuple[NDArray[np.float64], list[str]]:
    means = np.random.default_rng(seed).normal(size=(classes, d)) * np.linspace(3, 0.2, d)
    return means, [f"class {row:03d}" for row in range(classes)]


def assert_valid(ladder: Ladder, means: NDArray[np.float64], names: list[str]) -> None:
    mean_of = dict(zip(names, means, strict=True))
    shifts = [level.shift for level in ladder.levels]
    assert all(after > before for before, after in pairwise(shifts))
    assert [level.shift_scaled for level in ladder.levels] == pytest.approx(
        [(shift - shifts[0]) / (shifts[-1] - shifts[0]) for shift in shifts]
    )
    labels = [level.name for level in ladder.levels]
    assert labels.count("default") == 1
    assert all(name in ("default", f"level_{index}") for index, name in enumerate(labels))
    trace = dict(ladder.trace)
    for index, level in enumerate(ladder.levels):
        assert level.index == index
        assert not set(level.train) & set(level.test)
        assert set(level.train + level.test) <= set(names)
        if "removal" not in level.origin:
            assert sorted(level.train + level.test) == sorted(names)
        sides = [[mean_of[name] for name in side] for side in (level.train, level.test)]
        assert level.shift == pytest.approx(frechet_distance(*sides), rel=1e-8)
        assert trace[level.origin] == level.shift
        assert len(level.val) == len(level.train) - int(0.75 * len(level.train))
        assert set(level.val) < set(level.train)


@given(st.integers(0, 500), st.integers(8, 40), st.integers(1, 60), st.integers(2, 9))
@settings(max_examples=20, deadline=None)
def test_every_ladder_keeps_its_promises(seed: int, classes: int, d: int, levels: int) -> None:
    means, names = example(classes, d, seed)
    ladder = make_ladder(means, names, levels=levels, null_draws=2, seed=seed)
    assert_valid(ladder, means, names)
    assert len(ladder.levels) == levels or any("distinct states" in note for note in ladder.generator["notes"])


@given(st.integers(0, 500), st.sampled_from(["sorted", "random"]))
@settings(max_examples=6, deadline=None)
def test_order_of_the_classes_does_not_matter(seed: int, initial: str) -> None:
    means, names = example(20, 6)
    order = np.random.default_rng(seed).permutation(20)
    images = {name: [f"{name}.{row}" for row in range(4)] for name in names}
    options: LadderOptions = {"initial": initial, "image_ids": images, "shots": (2,), "episodes": 2}
    there = make_ladder(means, names, **options)
    assert there == make_ladder(means[order], [names[row] for row in order], **options)


def test_seed_changes_draws_but_not_the_sorted_divisions() -> None:
    means, names = example()
    zero, again, one = (make_ladder(means, names, seed=seed) for seed in (0, 0, 1))
    assert zero == again
    assert zero.ladder_hash != one.ladder_hash
    assert [level.train for level in zero.levels] == [level.train for level in one.levels]
    assert [level.val for level in zero.levels] != [level.val for level in one.levels]
    assert [level.null_mean for level in zero.levels] != [level.null_mean for level in one.levels]


def test_global_random_state_is_left_alone() -> None:
    means, names = example(16)
    np.random.seed(1)  # noqa: NPY002 - the global state is what this test watches
    before = np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
    make_ladder(means, names, initial="random")
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index]  # noqa: NPY002


def test_default_division_is_the_given_one() -> None:
    means, names = example(20)
    sides = names[::2], names[1::2]
    ladder = make_ladder(means, names, initial=sides)
    assert ladder.default_level is not None
    level = ladder.levels[ladder.default_level]
    assert (level.train, level.test) == (tuple(sides[0]), tuple(sides[1]))
    assert ladder.generator["initial"] == "explicit"


def test_null_shift_is_the_distance_of_random_sides() -> None:
    means, names = example(60, 30)
    ladder = make_ladder(means, names, null_draws=200)
    generator = np.random.default_rng(9)
    swapped = [level for level in ladder.levels if "removal" not in level.origin]
    orders = [generator.permutation(60) for _ in range(400)]
    values = [frechet_distance(means[order[:30]], means[order[30:]]) for order in orders]
    for level in swapped:  # the same classes in the same sizes share one distribution
        assert level.null_mean == swapped[0].null_mean
        assert level.null_mean == pytest.approx(np.mean(values), abs=5 * np.std(values) / np.sqrt(130))
        assert level.null_std == pytest.approx(np.std(values), rel=0.25)
    assert ladder.levels[-1].shift > ladder.levels[-1].null_mean + 5 * ladder.levels[-1].null_std


def test_removal_leaves_the_share_that_was_asked() -> None:
    means, names = example(60, 6)
    sizes = {
        share: smallest(make_ladder(means, names, generator="removal", min_share=share)) for share in (0.6, 0.9, 1.0)
    }
    assert sizes[0.6] >= 18
    assert sizes[0.9] >= 27
    assert sizes[1.0] == 30
    assert sizes[0.6] < 27  # it does remove where it may


def smallest(ladder: Ladder) -> int:
    return min(min(len(level.train), len(level.test)) for level in ladder.levels)


def test_defaults_for_a_hundred_classes_a_side_are_the_published_ones() -> None:
    plan = work_out(None, DEFAULTS, 100)
    assert [(s.swaps, s.iterations, s.history) for s in (plan.harder, plan.easier, plan.removal)] == [
        (2, 25, 5),
        (2, 15, 30),
        (2, 35, 5),
    ]
    assert plan.null_draws == 400


@pytest.mark.parametrize("classes", [4, 5, 12, 40, 400, 10_000])
def test_default_iterations_never_swap_more_than_all_classes_but_for_the_rest(classes: int) -> None:
    plan = work_out(None, DEFAULTS, classes)
    assert plan.harder.swaps == max(1, round(0.02 * classes))
    for steps in (plan.harder, plan.easier):
        assert (steps.iterations - 1) * steps.swaps < classes


def test_the_smallest_input_works_and_says_what_it_lacks() -> None:
    means, names = example(8, 3)
    ladder = make_ladder(means, names, levels=30, generator="removal")
    assert 2 <= len(ladder.levels) < 30
    assert any("30 levels were asked for" in note for note in ladder.generator["notes"])
    assert any("8 + 8 classes must stay" in note for note in ladder.generator["notes"])


def test_reference_is_measured_on_the_test_side_of_each_level() -> None:
    means, names = example(20)
    seen = []

    def reference(classes: Any) -> dict[str, float]:
        seen.append(tuple(classes))
        return {"recall_at_1": np.float32(0.5)}  # type: ignore[dict-item]  # what numpy hands over

    ladder = make_ladder(means, names, levels=4, reference=reference)
    assert seen == [level.test for level in ladder.levels]
    assert [dict(level.reference) for level in ladder.levels] == [{"recall_at_1": 0.5}] * 4
    assert type(ladder.levels[0].reference["recall_at_1"]) is float


def test_progress_reports_every_stage() -> None:
    means, names = example(30)
    seen: list[tuple[str, int, int]] = []
    ladder = make_ladder(means, names, levels=5, generator="removal", progress=lambda *step: seen.append(step))
    assert {stage for stage, _, _ in seen} == {"harder", "easier", "removal", "levels"}
    assert seen[-1] == ("levels", len(ladder.levels), len(ladder.levels))
    assert all(1 <= done <= total for _, done, total in seen)


def test_episodes_cover_the_test_classes_of_every_level() -> None:
    means, names = example(20)
    images = {name: [f"{name}/{row}" for row in range(6)] for name in names}
    ladder = make_ladder(means, names, levels=3, image_ids=images, shots=(2, 5, 10), episodes=3)
    assert [(e.level, e.shots, e.episode) for e in ladder.episodes] == [
        (level, shots, episode) for level in range(3) for shots in (2, 5) for episode in range(3)
    ]
    assert all(tuple(e.support) == ladder.levels[e.level].test for e in ladder.episodes)


def test_the_package_exports_it() -> None:
    assert oodml.make_ladder is make_ladder


BAD: list[tuple[dict[str, Any], str]] = [
    ({"levels": 1}, "at least 2 levels, got 1"),
    ({"swaps_per_iteration": 0}, "swaps_per_iteration must be at least 1"),
    ({"iterations": -1}, "iterations must be at least 0"),
    ({"null_draws": 1}, "null_draws must be at least 2"),
    ({"min_share": 0}, r"min_share must be in \(0, 1\]"),
    ({"iterations": 0, "easier_iterations": 0, "removal_iterations": 0}, "never changed the shift"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    means, names = example(12)
    with pytest.raises(LadderError, match=message):
        make_ladder(means, names, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"removal_rule": "saturate"}, "did you mean 'saturated'"),
        ({"itertions": 3}, "did you mean 'iterations'"),
    ],
)
def test_unknown_names_offer_the_closest(options: dict[str, Any], message: str) -> None:
    means, names = example(12)
    with pytest.raises(UnknownNameError, match=message):
        make_ladder(means, names, **options)


def test_bad_class_means_are_named() -> None:
    means, names = example(12)
    broken = means.copy()
    broken[5, 1] = np.inf
    with pytest.raises(LadderError, match=r"NaN or infinity in 1 of 12 rows, first in row 5 \(class 'class 005'\)"):
        make_ladder(broken, names)
    with pytest.raises(LadderError, match="constant features"):
        make_ladder(np.full((12, 4), 0.3), names)
    with pytest.raises(LadderError, match="'class 000' occurs twice"):
        make_ladder(means, [*names[:-1], names[0]])
    with pytest.raises(LadderError, match="12 rows but there are 11 class names"):
        make_ladder(means, names[:-1])
    with pytest.raises(LadderError, match="at least 8 classes, got 7"):
        make_ladder(means[:7], names[:7])
    with pytest.raises(LadderError, match=r"must have shape \(n, d\)"):
        make_ladder(means[:, 0], names)
    with pytest.raises(LadderError, match="no class names"):
        make_ladder(means, [])


def test_real_vectors_part_far_beyond_the_null_shift() -> None:
    if not VECTORS.exists():
        pytest.skip(f"{VECTORS} is not there")
    with np.load(VECTORS) as stored:
        vectors, labels = stored["embeddings"].astype(np.float64), stored["labels"]
        names = [str(name) for name in stored["class_names"]]
    means = np.array([vectors[labels == label].mean(axis=0) for label in range(len(names))])
    ladder = make_ladder(means, names, null_draws=20)
    assert_valid(ladder, means, names)
    assert len(ladder.levels) == 8
    hardest, easiest = ladder.levels[-1], ladder.levels[0]
    assert easiest.shift < easiest.null_mean + 2 * easiest.null_std
    assert hardest.shift > 5 * hardest.null_mean
    gaps = np.diff([level.shift_scaled for level in ladder.levels])
    assert gaps.max() < 0.25
