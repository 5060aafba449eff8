from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from oodml.errors import UsageError
from oodml.metrics import bootstrap
from oodml.metrics.bootstrap import PairedDifferences, class_intervals, paired_differences
from oodml.seeds import numpy_generator

Floats = NDArray[np.float64]


def naive_metric(values: list[float], classes: list[int], picked: list[int], macro: bool) -> float:
    """Metric of the picked classes, each with all its queries, by loops; nan if no query counts."""
    used = []
    for name in picked:
        own = [v for v, c in zip(values, classes, strict=True) if c == name and math.isfinite(v)]
        used += [sum(own) / len(own)] if own and macro else own
    return sum(used) / len(used) if used else math.nan


def naive_draws(values: Floats, classes: NDArray[Any], macro: bool, draws: int) -> Floats:
    """Metric of every draw that has one, for one column of values."""
    names = sorted(set(classes.tolist()))
    generator = numpy_generator("bootstrap", draws, len(names))
    picks = [[names[i] for i in generator.integers(len(names), size=len(names))] for _ in range(draws)]
    found = [naive_metric(values.tolist(), classes.tolist(), picked, macro) for picked in picks]
    return np.array([value for value in found if not math.isnan(value)])


def naive_interval(drawn: Floats, confidence: float) -> list[float]:
    """Percentiles with linear interpolation between the sorted draws."""
    places = [level * (len(drawn) - 1) for level in ((1 - confidence) / 2, (1 + confidence) / 2)]
    return [float(np.interp(place, np.arange(len(drawn)), np.sort(drawn))) for place in places]


def example(seed: int) -> tuple[Floats, NDArray[np.int64]]:
    """Hits, precisions and an unbounded value of unequal classes with gaps in their numbers; some do not count."""
    rng = np.random.default_rng(seed)
    label = 7 * rng.integers(0, 9, 60) ** 2 - 20
    ease = rng.random(60) * 0.5 + (label % 3) * 0.2
    values = np.stack([(ease > 0.4).astype(float), ease, rng.normal(size=60) * 50], axis=1)
    values[rng.random((60, 3)) < 0.15] = np.nan
    values[label == -20, 1], values[0, 2] = np.nan, np.inf
    return values, label


def assert_same(first: PairedDifferences, second: PairedDifferences) -> None:
    for name in ("difference", "low", "high", "p"):
        np.testing.assert_allclose(getattr(first, name), getattr(second, name), atol=1e-9)


@pytest.mark.parametrize("macro", [False, True])
@pytest.mark.parametrize(("draws", "confidence"), [(200, 0.95), (37, 0.5), (1, 0.9)])
def test_intervals_equal_loops_over_draws(macro: bool, draws: int, confidence: float) -> None:
    values, classes = example(draws)
    found = class_intervals(values, classes, macro=macro, draws=draws, confidence=confidence)
    drawn = [naive_draws(column, classes, macro, draws) for column in values.T]
    np.testing.assert_allclose(found, [naive_interval(d, confidence) for d in drawn], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("macro", [False, True])
def test_paired_differences_equal_loops_over_draws(macro: bool) -> None:
    first, classes = example(1)
    second = example(2)[0] * 0.3 + 0.7 * first[:, [1, 0, 2]]
    found = paired_differences(first, second, classes, macro=macro, draws=150, confidence=0.8)
    for metric in range(3):
        a, b = (np.where(np.isnan(first + second), np.nan, v)[:, metric] for v in (first, second))
        drawn = naive_draws(b, classes, macro, 150) - naive_draws(a, classes, macro, 150)
        point = [naive_metric(v.tolist(), classes.tolist(), list(set(classes.tolist())), macro) for v in (a, b)]
        assert found.difference[metric] == pytest.approx(point[1] - point[0], abs=1e-12)
        assert [found.low[metric], found.high[metric]] == pytest.approx(naive_interval(drawn, 0.8), abs=1e-12)
        below, above = sum(d <= 0 for d in drawn), sum(d >= 0 for d in drawn)
        assert found.p[metric] == pytest.approx(min(1, 2 * (1 + min(below, above)) / (1 + len(drawn))))


def test_macro_and_micro_of_a_hand_table() -> None:
    # class 3 holds 1, 1, 1, 0 (mean .75), class 8 holds 0; a draw of two classes is one of
    #   3 3: micro 6/8, macro .75     3 8: micro 3/5, macro .375     8 8: micro 0, macro 0
    values, classes = np.array([[1.0], [1], [0], [1], [0]]), np.array([3, 3, 8, 3, 3])
    for macro, mixed in ((False, 0.6), (True, 0.375)):
        drawn = bootstrap._draws(*bootstrap._parts(values, classes, macro), 200)
        assert set(np.round(drawn.ravel(), 9)) == {0.0, mixed, 0.75}
        bounds = class_intervals(values, classes, macro=macro, draws=200, confidence=1 - 1e-9)
        np.testing.assert_allclose(bounds, [[0, 0.75]], atol=1e-6)
        assert paired_differences(values, values * 0, classes, macro=macro).difference == pytest.approx([-mixed])


def test_intervals_cover_the_true_mean_as_often_as_they_claim() -> None:
    # 40 classes of 5 queries that share most of their value: 90 % intervals, a little short for so few classes
    rng, classes = np.random.default_rng(5), np.repeat(np.arange(40), 5)
    values = rng.normal(size=(40, 400))[classes] + 0.3 * rng.normal(size=(200, 400))
    low, high = class_intervals(values, classes, draws=400, confidence=0.9).T
    assert 0.84 <= np.mean((low <= 0) & (high >= 0)) <= 0.94
    single = class_intervals(values, np.arange(200), draws=400, confidence=0.9)  # overconfident: half as wide
    assert np.mean(high - low) > 1.7 * np.mean(single[:, 1] - single[:, 0])


@pytest.mark.parametrize("macro", [False, True])
def test_fewer_than_two_classes_that_count_give_no_interval(macro: bool) -> None:
    # metric 0 counts in both classes, metric 1 in one, metric 2 in none
    values, classes = np.array([[0.1, 0.2, np.nan], [0.3, np.inf, np.nan], [0.4, np.nan, np.nan]]), np.array([0, 0, 1])
    assert np.isnan(class_intervals(values, classes, macro=macro)).tolist() == [[False] * 2, [True] * 2, [True] * 2]
    found = paired_differences(values, values + 0.5, classes, macro=macro)
    np.testing.assert_allclose(found.difference, [0.5, 0.5, np.nan])
    assert np.isnan([found.low, found.high, found.p]).tolist() == [[False, True, True]] * 3
    for rows in (2, 0):
        assert np.isnan(class_intervals(values[:rows], classes[:rows], macro=macro)).all()
    assert class_intervals(values[:, :0], classes, macro=macro).shape == (0, 2)


def test_draws_without_a_query_are_left_out() -> None:
    values = np.full((30, 1), np.nan)
    values[[4, 20], 0] = [0.0, 1.0]  # one draw in eight holds neither of these two classes
    drawn = bootstrap._draws(*bootstrap._parts(values, np.arange(30), False), 300)
    assert 0 < np.isnan(drawn).sum() < 150
    assert class_intervals(values, np.arange(30), draws=300).tolist() == [[0.0, 1.0]]


def test_the_same_numbers_again_and_whatever_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    values, classes = example(3)
    before = class_intervals(values, classes, draws=50)
    assert np.array_equal(before, class_intervals(values, classes, draws=50))
    for size in (1, 20):
        monkeypatch.setattr(bootstrap, "WEIGHT_VALUES", size)
        np.testing.assert_allclose(class_intervals(values, classes, draws=50), before, rtol=1e-12)


def test_equal_values_differ_by_nothing_and_a_shift_is_certain() -> None:
    values, classes = example(4)
    found = paired_differences(values, values.copy(), classes)
    assert not np.stack([found.difference, found.low, found.high]).any()
    assert found.p.tolist() == [1.0, 1.0, 1.0]
    found = paired_differences(values, values - 0.25, classes, draws=99)
    np.testing.assert_allclose([found.difference, found.low, found.high], np.full((3, 3), -0.25))
    np.testing.assert_allclose(found.p, 2 / 100)


def test_differences_that_cancel_are_zero_and_not_rounding() -> None:
    # every class has the same values in both embeddings, but in another order: their sums differ by rounding
    first = np.random.default_rng(0).random((50, 2))
    found = paired_differences(first.reshape(100, 1), np.roll(first, 1, axis=0).reshape(100, 1), np.arange(100) % 2)
    assert 0 < abs(found.difference[0]) < 1e-15
    assert found.p.tolist() == [1.0]


def test_shapes_are_checked() -> None:
    for first, second, classes in (((4, 2), (4, 1), 4), ((4, 2), (4, 2), 3), ((4,), (4,), 4)):
        with pytest.raises(UsageError, match="got shapes"):
            paired_differences(np.zeros(first), np.zeros(second), np.arange(classes))


@pytest.mark.parametrize("options", [{"draws": 0}, {"confidence": 0.0}, {"confidence": 1.0}, {"confidence": np.nan}])
def test_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="draws must|confidence must"):
        class_intervals(np.eye(3), np.arange(3), **options)


cases = st.integers(1, 25).flatmap(
    lambda q: st.tuples(
        *[hnp.arrays(np.float64, (q, 2), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0, np.nan]))] * 2,
        hnp.arrays(np.int64, q, elements=st.integers(-3, 6)),
        st.permutations(range(q)),
        st.booleans(),
    )
)
Case = tuple[Floats, Floats, NDArray[np.int64], list[int], bool]


@settings(max_examples=60, deadline=None)
@given(cases)
def test_the_order_of_queries_and_the_names_of_classes_do_not_matter(case: Case) -> None:
    first, second, classes, order, macro = case
    plain = class_intervals(first, classes, macro=macro, draws=40)
    moved = class_intervals(first[order], classes[order] * 3 + 10**12, macro=macro, draws=40)
    np.testing.assert_allclose(moved, plain, atol=1e-12)
    assert not (plain[:, 0] > plain[:, 1]).any()
    pair = paired_differences(first, second, classes, macro=macro, draws=40)
    assert_same(paired_differences(first[order], second[order], classes[order], macro=macro, draws=40), pair)


@settings(max_examples=60, deadline=None)
@given(cases, st.sampled_from([-3.0, 0.1, 1000.0]))
def test_a_constant_moves_the_bounds_and_an_exchange_turns_them(case: Case, constant: float) -> None:
    first, second, classes, _, macro = case
    plain = class_intervals(first, classes, macro=macro, draws=40)
    moved = class_intervals(first + constant, classes, macro=macro, draws=40)
    np.testing.assert_allclose(moved, plain + constant, atol=1e-9)
    pair = paired_differences(first, second, classes, macro=macro, draws=40)
    turned = paired_differences(second + constant, first + constant, classes, macro=macro, draws=40)
    assert_same(PairedDifferences(-turned.difference, -turned.high, -turned.low, turned.p), pair)
