"""How hard a test side is: exactly the metric, exact predictions, and levels that stay as hard as the default."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from many_classes import Classes, random_classes, two_clouds
from numpy.typing import NDArray

from oodml.errors import LadderError
from oodml.records import Ladder
from oodml.splits import difficulty, make_ladder
from oodml.splits.difficulty import Difficulty, SameDifficulty
from oodml.splits.points import Rows


def with_copies(data: Classes, seed: int) -> Classes:
    """A third of the images become copies of others, of any class, some of them scaled: they tie with their originals.

    Factors are powers of 2, so that a copy has bit for bit the same direction.
    """
    rng = np.random.default_rng(seed)
    n = len(data.labels)
    copies = rng.choice(n, n // 3, replace=False)
    features = data.features.astype(np.float32).astype(np.float64)
    factors = 2.0 ** rng.choice([0, 0, 3, -60], len(copies))
    features[copies] = features[rng.integers(0, n, len(copies))] * factors[:, None]
    return Classes(features, data.labels, data.names)


def subsets(drawn: st.DataObject, classes: int) -> Rows:
    rows = drawn.draw(st.sets(st.integers(0, classes - 1), min_size=1))
    return np.array(sorted(rows), dtype=np.int64)


@given(st.integers(0, 10_000), st.integers(2, 16), st.integers(4, 24), st.booleans(), st.data())
@settings(max_examples=40, deadline=None)
def test_recall_is_that_of_the_metric_for_any_classes(
    seed: int, classes: int, d: int, copies: bool, drawn: st.DataObject
) -> None:
    data = random_classes(seed, classes, d, least=1)  # unequal sizes, some classes with a lone image
    data = with_copies(data.shuffled(seed), seed) if copies else data.shuffled(seed)
    if np.bincount(data.labels).max() < 2:
        return
    ranked = sorted(data.names)
    # the whole table at once, and in blocks of a few images as with thousands: products round equal columns apart
    for values in (difficulty.BLOCK_VALUES, 7 * len(data.labels)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(difficulty, "BLOCK_VALUES", values)
            found = Difficulty(data.table)
            for _ in range(4):
                rows = subsets(drawn, classes)
                expected = data.recall([ranked[row] for row in rows])
                np.testing.assert_equal(found.recall(rows), expected)


@pytest.mark.parametrize("seed", range(6))
def test_copies_tie_also_where_the_images_are_compared_in_blocks(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # the product of a block with all images may round equal columns apart, the last ones above all
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(20), rng.integers(1, 9, 20)))
    features = rng.normal(size=(12, 300)).astype(np.float32)[rng.integers(0, 12, len(labels))]
    data = Classes(features.astype(np.float64), labels, [f"c{row:02d}" for row in range(20)])
    monkeypatch.setattr(difficulty, "BLOCK_VALUES", 1500)
    found = Difficulty(data.table)
    for classes in (20, 11, 5):
        assert found.recall(np.arange(classes)) == data.recall(data.names[:classes])


def test_recall_by_hand() -> None:
    # directions in degrees; a: 0 and 4, b: 3 and 30, c: 90 and 91, d: -1 alone
    degrees = np.radians([0, 4, 3, 30, 90, 91, -1])
    features = np.stack([np.cos(degrees), np.sin(degrees)], axis=1)
    labels = np.array([0, 0, 1, 1, 2, 2, 3])
    found = Difficulty(Classes(features, labels, ["a", "b", "c", "d"]).table)
    assert found.recall(np.array([0, 2])) == 1.0
    assert found.recall(np.array([0, 1])) == 0.0  # a finds b at 3, and b finds a at 4
    assert found.recall(np.array([0, 2, 3])) == 0.75  # only 0 finds d, which asks nothing itself
    assert np.isnan(found.recall(np.array([3])))


def interacting(data: Classes, test: Rows, leaving: int, arriving: int) -> int:
    """Images of the test side and of the class that joins it which have both classes, or each other's, in their way."""
    unit = data.features / np.linalg.norm(data.features, axis=1, keepdims=True)
    similar = unit @ unit.T
    np.fill_diagonal(similar, -np.inf)
    count = 0
    for row in data.images_of([data.names[place] for place in (*test, leaving)]):
        own = data.labels[row]
        others = {leaving, arriving} - {own}
        nearest = similar[row][data.labels == own].max()
        if nearest == -np.inf:
            continue
        count += all(similar[row][data.labels == other].max() > nearest for other in others)
    return count


def test_an_exchange_is_predicted_but_for_images_that_both_classes_bear_on() -> None:
    exact = total = 0
    for seed in range(6):
        data = random_classes(seed, 14, 4, most=5, least=1, noise=0.5)
        found = Difficulty(data.table)
        test, train = np.arange(7), np.arange(7, 14)
        predicted = found.after_exchange(test, train, test)
        for i, leaving in enumerate(train):
            for j, arriving in enumerate(test):
                after = np.append(np.setdiff1d(test, [arriving]), leaving)
                queries = sum(int(size) for size in found.counts[after] if size > 1)
                recall = data.recall([data.names[row] for row in after])
                off = abs(predicted[i, j] - recall) * queries
                both = interacting(data, test, int(leaving), int(arriving))
                assert off <= both + 1e-9
                exact += off < 1e-9
                total += 1
    assert total == 294
    assert exact > 0.6 * total


@given(st.integers(0, 10_000), st.data())
@settings(max_examples=15, deadline=None)
def test_counts_carried_over_many_exchanges_equal_fresh_ones(seed: int, drawn: st.DataObject) -> None:
    data = random_classes(seed, 48, 3, most=4, noise=1.0)
    carried, rng = Difficulty(data.table), np.random.default_rng(seed)
    side = rng.permutation(48)[:24]
    for moved in drawn.draw(st.lists(st.integers(1, 20), min_size=3, max_size=8)):  # up to 16 of them are carried over
        new = rng.permutation(np.setdiff1d(np.arange(48), side))[:moved]
        side = np.append(rng.permutation(side)[: 24 - moved], new)
        test, train = np.sort(side), np.setdiff1d(np.arange(48), side)
        fresh = Difficulty(data.table)
        assert carried.recall(test) == fresh.recall(test)
        if drawn.draw(st.booleans()):
            predicted = carried.after_exchange(test, train, test)
            np.testing.assert_array_equal(predicted, fresh.after_exchange(test, train, test))


@pytest.mark.parametrize("times", [1, 3])
def test_the_condition_allows_what_stays_within_its_tolerance(times: int) -> None:
    data = random_classes(0, 20, 4, noise=1.0)
    found = Difficulty(data.table)
    train, test = np.arange(10), np.arange(10, 20)
    now = found.recall(test)
    limit = SameDifficulty(found, now, 0.03)
    change = found.after_exchange(test, train, test) - now
    allowed = limit.allows(test, train, test, times)
    np.testing.assert_array_equal(allowed, np.abs(times * change) <= 0.03)
    assert 0 < allowed.sum() < allowed.size
    assert limit.holds(train, test)
    assert not SameDifficulty(found, now + 0.04, 0.03).holds(train, test)


def test_images_that_cannot_be_compared_are_refused() -> None:
    data = random_classes(0, 12)
    zero = data.features.copy()
    zero[5] = 0.0
    with pytest.raises(LadderError, match="features of length 0"):
        Difficulty(Classes(zero, data.labels, data.names).table)
    with pytest.raises(LadderError, match="no class has two images"):
        Difficulty(random_classes(0, 12, most=1, least=1).table)


def harder_to_one_side(seed: int = 0) -> Classes:
    """Classes that are the easier to tell apart the further they lie on one side of the main axis."""
    data = random_classes(seed, 28, 5, noise=0.0)
    spread = np.linspace(2.0, 0.3, 28)[np.argsort(np.argsort(data.means[:, 0]))]
    return random_classes(seed, 28, 5, noise=spread)


def make(data: Classes, generator: str, **options: float) -> Ladder:
    settings = {"features": data.features, "labels": data.labels, "levels": 4, "null_draws": 2}
    return make_ladder(data.means, data.names, generator=generator, **settings, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("seed", "tolerance"), [(0, 0.02), (1, 0.05), (4, 0.0)])
def test_matched_levels_stay_as_hard_as_the_default_where_a_free_search_does_not(seed: int, tolerance: float) -> None:
    data = harder_to_one_side(seed)
    free, ladder = make(data, "search"), make(data, "matched", match_tolerance=tolerance)
    assert ladder.default_level is not None
    target = data.recall(ladder.levels[ladder.default_level].test)
    assert max(abs(data.recall(level.test) - target) for level in free.levels) > tolerance + 0.05
    assert max(abs(data.recall(level.test) - target) for level in ladder.levels) <= tolerance + 1e-12
    assert len(ladder.levels) == 4
    assert ladder.levels[-1].shift > 2 * ladder.levels[ladder.default_level].shift
    (note,) = (note for note in ladder.generator["notes"] if "recall@1" in note)
    stated = re.search(
        rf"within {tolerance:g} of ([\d.]+) .* goes from ([\d.]+) to ([\d.]+); .* it reaches ([\d.]+)", note
    )
    assert stated
    reached, unbound = [shift for _, shift in ladder.trace], max(shift for _, shift in free.trace)
    expected = [target, min(reached), max(reached), unbound]
    np.testing.assert_allclose([float(number) for number in stated.groups()], expected, rtol=1e-3)


@pytest.mark.parametrize("seed", [28, 29, 37, 41, 48])
def test_a_loose_condition_reaches_as_far_as_none(seed: int) -> None:
    data = two_clouds(seed, noise=0.6)  # for these seeds the hardest division is not found by climbing anew
    free, ladder = make(data, "search"), make(data, "matched", match_tolerance=0.999)
    assert max(shift for _, shift in ladder.trace) >= max(shift for _, shift in free.trace) * (1 - 1e-9)


def test_matched_hits_targets_too() -> None:
    data = harder_to_one_side(0)
    free = make(data, "matched")
    low, high = free.levels[0].shift, free.levels[-1].shift
    targets = [low + part * (high - low) for part in (0.2, 0.5, 0.8)]
    ladder = make(data, "matched", targets=targets)  # type: ignore[arg-type]
    misses = [abs(level.shift - target) for level, target in zip(ladder.levels, targets, strict=True)]
    assert max(misses) <= 0.03 * (high - low)  # fewer divisions are allowed than without the condition
    recalls = [data.recall(level.test) for level in (*free.levels, *ladder.levels)]
    assert max(recalls) - min(recalls) <= 2 * 0.02 + 1e-12


def test_matched_without_what_it_needs_says_so() -> None:
    data = random_classes(0, 12)
    with pytest.raises(LadderError, match="'matched' needs the features of the images"):
        make_ladder(data.means, data.names, generator="matched")
    with pytest.raises(LadderError, match="features need labels"):
        make_ladder(data.means, data.names, generator="matched", features=data.features)
    lone: NDArray[np.int64] = np.where(np.arange(12) < 6, 4, 1)  # the sorted default tests on the last six
    labels = np.repeat(np.arange(12), lone)
    features = np.random.default_rng(0).normal(size=(len(labels), 4))
    with pytest.raises(LadderError, match="no test class of the default division has two images"):
        make(Classes(features, labels, data.names), "matched")
    with pytest.raises(LadderError, match=r"match_tolerance must be in \[0, 1\), got 1"):
        make(data, "matched", match_tolerance=1.0)


def test_matched_says_so_when_nothing_else_is_as_hard() -> None:
    # every class has two images: those of the test side find each other, those of the training side never do
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(8, 6))
    features = np.repeat(centres, 2, axis=0)
    features[:8] = rng.normal(size=(8, 6))
    features[1:9:2] = -features[0:8:2]
    data = Classes(features, np.repeat(np.arange(8), 2), [f"c{row}" for row in range(8)])
    with pytest.raises(LadderError, match="no exchange of classes keeps recall@1 .* within 0 of 1.000"):
        make(data, "matched", match_tolerance=0.0)
