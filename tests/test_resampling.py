from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import stats

from oodml import resampling
from oodml.errors import UsageError
from oodml.metrics.bootstrap import class_intervals
from oodml.metrics.bootstrap import paired_differences as paired_queries
from oodml.resampling import both_interval, class_interval, paired_class_difference
from oodml.seeds import numpy_generator

Floats = NDArray[np.float64]
NAN = np.nan


def example(seeds: int = 3, classes: int = 12) -> tuple[Floats, NDArray[np.int64]]:
    """Means of unequal classes, one of which has no query that counts."""
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 9, classes)
    means = np.clip(rng.random(classes) + 0.1 * rng.normal(size=(seeds, classes)), 0, 1)
    counts[4], means[:, 4] = 0, NAN
    return means, counts


def naive_draws(means: list[float], counts: list[int], replicates: int, seed: int) -> list[float]:
    """Metric of every draw, by loops over the queries of the classes drawn."""
    classes = [[mean] * count for mean, count in zip(means, counts, strict=True) if count]
    generator = numpy_generator("resampling", seed)
    drawn = []
    for _ in range(replicates):
        queries = [v for pick in generator.integers(len(classes), size=len(classes)) for v in classes[pick]]
        drawn.append(sum(queries) / len(queries))
    return drawn


@pytest.mark.parametrize("seed", [0, 7])
def test_class_interval_equals_loops_over_queries(seed: int) -> None:
    means, counts = example()
    found = class_interval(means, counts, replicates=200, seed=seed, confidence=0.8)
    drawn = np.mean([naive_draws(row.tolist(), counts.tolist(), 200, seed) for row in means], axis=0)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, [0.1, 0.9])))
    assert found.value == pytest.approx(np.nansum(means * counts) / counts.sum() / 3)
    assert (found.n, found.made) == (11, "over classes")


def test_class_interval_agrees_with_that_of_an_evaluation() -> None:
    # queries of 40 classes as `oodml evaluate` sees them; other draws, so that only their error stands between
    rng = np.random.default_rng(1)
    classes = rng.integers(0, 40, 400)
    values = rng.random(40)[classes] * 0.7 + rng.random(400) * 0.3
    counts = np.bincount(classes, minlength=40)
    means = np.bincount(classes, values, minlength=40) / counts
    (theirs,) = class_intervals(values[:, None], classes, draws=4000).tolist()
    found = class_interval(means, counts, replicates=4000)
    assert (found.low, found.high) == pytest.approx(theirs, abs=0.008)
    assert found.value == pytest.approx(values.mean())
    other = np.clip(values + 0.03 + 0.2 * (rng.random(400) - 0.5), 0, 1)
    pair = paired_queries(values[:, None], other[:, None], classes, draws=4000)
    difference = paired_class_difference(means, np.bincount(classes, other) / counts, counts, replicates=4000)
    assert difference.difference == pytest.approx(pair.difference[0])
    assert (difference.low, difference.high) == pytest.approx((pair.low[0], pair.high[0]), abs=0.002)


def test_a_bootstrap_of_two_classes_by_hand() -> None:
    # draws: both first .2, both second .8, one of each (.2 * 1 + .8 * 3) / 4 = .65
    found = class_interval([0.2, 0.8], [1, 3], replicates=4000, confidence=0.6)
    assert found.value == pytest.approx(0.65)
    assert (found.low, found.high) == pytest.approx((0.2, 0.8))
    assert class_interval([0.2, 0.8], [1, 3], confidence=0.4).low == pytest.approx(0.65)  # .3 > 1/4


def test_both_interval_by_its_parts() -> None:
    means, counts = example()
    found = both_interval(means, counts, replicates=300, seed=2)
    classes = class_interval(means, counts, replicates=300, seed=2)
    metric = np.nansum(means * counts, axis=1) / counts.sum()
    half = stats.t.ppf(0.975, 2) * metric.std(ddof=1) / 3**0.5
    assert found.value == pytest.approx(metric.mean())
    assert found.value - found.low == pytest.approx(((classes.value - classes.low) ** 2 + half**2) ** 0.5)
    assert found.high - found.value == pytest.approx(((classes.high - classes.value) ** 2 + half**2) ** 0.5)
    assert (found.n, found.made) == (3, "over seeds and classes")


def covered(seeds: int, classes: int, spread: tuple[float, float, float], tables: int = 400) -> tuple[float, float]:
    """Share of tables whose interval over both covers the truth, 0, and of those whose interval over classes does.

    Values are the sum of an effect of the seed, a skewed one of the class, and one of both.
    """
    rng, both, alone = np.random.default_rng(seeds), 0, 0
    of_seed, of_class, of_both = spread
    counts = np.full(classes, 10)
    for table in range(tables):
        means = of_seed * rng.normal(size=(seeds, 1)) + of_class * (rng.exponential(size=classes) - 1)
        means = means + of_both * rng.normal(size=(seeds, classes))
        found = both_interval(means, counts, replicates=200, seed=table)
        both += found.low <= 0 <= found.high
        found = class_interval(means, counts, replicates=200, seed=table)
        alone += found.low <= 0 <= found.high
    return both / tables, alone / tables


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("spread", [(0.02, 0.2, 0.1), (0.1, 0.1, 0.1)])
def test_intervals_over_both_cover_the_truth(seeds: int, spread: tuple[float, float, float]) -> None:
    # 95 % intervals; the share of 400 tables has a standard error of .01, and two seeds make them long on purpose
    both, alone = covered(seeds, 40, spread)
    assert 0.92 <= both <= (1.0 if seeds == 2 else 0.985)
    if spread[0] == 0.1:  # what other seeds do is not in the interval over classes
        assert alone < 0.75


def test_one_class_or_one_seed_has_no_interval() -> None:
    lone = class_interval([0.3, NAN], [4, 0])
    assert (lone.value, lone.n, lone.made) == (0.3, 1, "")
    none = class_interval([NAN, NAN], [0, 0])
    assert (none.n, none.made) == (0, "")
    assert np.isnan([lone.low, lone.high, none.value, none.low]).all()
    seed = both_interval([[0.3, 0.5]], [4, 4])
    assert (seed.value, seed.n, seed.made) == (0.4, 1, "")
    both = both_interval([[0.3, NAN], [0.5, NAN]], [4, 0])
    assert (both.value, both.n, both.made) == (0.4, 2, "")
    assert np.isnan([seed.low, seed.high, both.low, both.high]).all()
    pair = paired_class_difference([0.3, NAN], [0.5, NAN], [4, 0])
    assert (pair.difference, pair.n) == pytest.approx((0.2, 1))
    assert np.isnan([pair.low, pair.high, pair.p]).all()


def test_paired_difference_by_loops() -> None:
    means, counts = example(seeds=4)
    first, second = means[:1], means[1:] + 0.02
    found = paired_class_difference(first, second, counts, replicates=300, seed=3)
    drawn = np.array(naive_draws((second.mean(axis=0) - first[0]).tolist(), counts.tolist(), 300, 3))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))
    assert found.p == pytest.approx(2 * (1 + min((drawn <= 0).sum(), (drawn >= 0).sum())) / 301)
    assert found.n == 11


def test_equal_methods_differ_by_nothing_and_a_shift_is_certain() -> None:
    means, counts = example()
    same = paired_class_difference(means, means[::-1], counts)  # the same seeds in another order
    assert (same.difference, same.low, same.high) == pytest.approx((0, 0, 0), abs=1e-12)
    assert same.p == 1.0
    moved = paired_class_difference(means, means + 0.25, counts, replicates=99)
    assert (moved.difference, moved.low, moved.high, moved.p) == pytest.approx((0.25, 0.25, 0.25, 2 / 100))


def test_pairing_takes_out_what_makes_classes_hard() -> None:
    rng = np.random.default_rng(2)
    ease, counts = rng.random(60), np.full(60, 5)
    found = paired_class_difference(ease, ease + 0.02 + 0.02 * rng.normal(size=60), counts)
    alone = class_interval(ease, counts)
    assert found.high - found.low < (alone.high - alone.low) / 5
    assert found.p < 0.01


def test_the_same_draws_again_whatever_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    means, counts = example()
    before = both_interval(means, counts, replicates=50)
    assert both_interval(means, counts, replicates=50) == before
    assert both_interval(means, counts, replicates=50, seed=1) != before
    monkeypatch.setattr(resampling, "CACHED_VALUES", 30)
    monkeypatch.setattr(resampling, "WEIGHT_VALUES", 30)
    after = both_interval(means, counts, replicates=50)
    assert (after.low, after.high) == pytest.approx((before.low, before.high))


@pytest.mark.parametrize(
    ("means", "counts", "options", "message"),
    [
        ([0.1, 0.2], [1], {}, "got shapes"),
        ([[[0.1]]], [1], {}, "got shapes"),
        ([0.1, NAN], [1, 1], {}, "has no mean"),
        ([0.1, 0.2], [1, -1], {}, "0 or more"),
        ([0.1, 0.2], [1, 1], {"replicates": 0}, "replicates"),
        ([0.1, 0.2], [1, 1], {"confidence": 95}, "confidence"),
    ],
)
def test_input_is_checked(means: list[Any], counts: list[int], options: dict[str, Any], message: str) -> None:
    for function in (class_interval, both_interval):
        with pytest.raises(UsageError, match=message):
            function(means, counts, **options)
    with pytest.raises(UsageError, match=message):
        paired_class_difference([0.5] * len(counts), means, counts, **options)


tables = st.integers(1, 8).flatmap(
    lambda c: st.tuples(
        hnp.arrays(np.float64, (2, c), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])),
        hnp.arrays(np.int64, c, elements=st.integers(0, 5)),
    )
)


@settings(deadline=None, max_examples=60)
@given(tables, st.sampled_from([-2.0, 0.3, 100.0]))
def test_a_constant_moves_the_bounds_and_classes_without_queries_do_nothing(
    table: tuple[Floats, NDArray[np.int64]], constant: float
) -> None:
    means, counts = table
    for function in (class_interval, both_interval):
        plain = function(means, counts, replicates=40)
        moved = function(np.c_[means + constant, [9, 9]], np.r_[counts, 0], replicates=40)
        expected = [v + constant for v in (plain.value, plain.low, plain.high)]
        assert [moved.value, moved.low, moved.high] == pytest.approx(expected, abs=1e-9, nan_ok=True)
        assert (moved.n, moved.made) == (plain.n, plain.made)
    forth = paired_class_difference(means[0], means[1], counts, replicates=40)
    back = paired_class_difference(means[1], means[0], counts, replicates=40)
    turned = [-back.difference, -back.high, -back.low, back.p]
    assert [forth.difference, forth.low, forth.high, forth.p] == pytest.approx(turned, abs=1e-9, nan_ok=True)
