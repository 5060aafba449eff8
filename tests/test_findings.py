"""Falls, slopes, differences and correlations from the runs behind a leaderboard."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from oodml.findings import find
from oodml.method_facts import MethodFacts, RunNote
from oodml.records import Level

SHIFTS = (2.0, 3.0, 6.0)
RNG = np.random.default_rng(3)


def level(index: int, shift: float) -> Level:
    scaled = (shift - SHIFTS[0]) / (SHIFTS[-1] - SHIFTS[0])
    name = "default" if index == 0 else f"level_{index}"
    reference = {"recall_at_1": 0.5 - 0.1 * index}
    return Level(index, name, shift, scaled, 1.0, 0.1, reference, ("a",), ("b",), ())


LEVELS = tuple(level(i, shift) for i, shift in enumerate(SHIFTS))


def method(label: str, values: np.ndarray, metric: str = "recall_at_1", selection: str = "last") -> MethodFacts:
    """A method from values (seeds, levels); nan is a run that failed."""
    runs = [
        RunNote(f"{label}{s}{i}", i, s, selection, "done", {} if np.isnan(value) else {metric: float(value)})
        for s, row in enumerate(values)
        for i, value in enumerate(row)
    ]
    return MethodFacts(label, runs=tuple(runs))


VALUES = {
    name: 0.9 - 0.1 * rank - 0.05 * np.arange(3) + 0.01 * RNG.normal(size=(3, 3)) for rank, name in enumerate("abcd")
}
METHODS = [method(name, values) for name, values in VALUES.items()]


def test_falls_and_slopes_are_those_of_the_seeds() -> None:
    found = find(METHODS, LEVELS, "last", "recall_at_1")
    assert found is not None and list(found.methods) == ["a", "b", "c", "d"]
    scaled = [level.shift_scaled for level in LEVELS]
    for name, values in VALUES.items():
        row = found.methods[name]
        falls = values[:, 2] - values[:, 0]
        assert row.fall.value == pytest.approx(falls.mean())
        low, high = stats.t.interval(0.95, 2, falls.mean(), falls.std(ddof=1) / 3**0.5)
        assert (row.fall.low, row.fall.high) == pytest.approx((low, high))
        slopes = [np.polyfit(scaled, seed, 1)[0] for seed in values]
        assert row.slope.value == pytest.approx(np.mean(slopes))
        beyond = [np.polyfit(scaled, seed - [0.5, 0.4, 0.3], 1)[0] for seed in values]
        assert row.beyond.value == pytest.approx(np.mean(beyond))


def test_others_are_held_against_the_best_seed_by_seed() -> None:
    found = find(METHODS, LEVELS, "last", "recall_at_1")
    assert found is not None and found.best == "a" and found.methods["a"].difference is None
    for name in "bcd":
        difference = found.methods[name].difference
        gap = VALUES[name] - VALUES["a"]
        assert difference is not None and difference.mean == pytest.approx(gap.mean())
        spread = gap - gap.mean(axis=0)
        error = ((spread**2).sum() / 6 / 3 / 3) ** 0.5  # pooled over levels, three seeds at each of three
        half = stats.t.ppf(0.975, 6) * error
        assert (difference.low, difference.high) == pytest.approx((gap.mean() - half, gap.mean() + half))
        assert difference.p < 0.01


def test_the_best_is_the_lowest_where_lower_is_better() -> None:
    methods = [method(name, values, "intra") for name, values in VALUES.items()]
    found = find(methods, LEVELS, "last", "intra")
    assert found is not None and found.best == "d"


def test_the_residual_at_the_hardest_level_is_that_of_a_line_over_methods() -> None:
    found = find(METHODS, LEVELS, "last", "recall_at_1")
    assert found is not None
    first, last = (np.array([VALUES[name][:, i].mean() for name in "abcd"]) for i in (0, 2))
    slope, intercept = np.polyfit(first, last, 1)
    assert [row.effective for row in found.methods.values()] == pytest.approx(last - intercept - slope * first)


def test_levels_and_measures_are_correlated_over_methods() -> None:
    spread = {name: RNG.random((3, 3)) for name in "abcd"}
    both = []
    for facts in METHODS:
        extra = method(facts.label, spread[facts.label], "uniformity")
        runs = [replace(a, values={**a.values, **b.values}) for a, b in zip(facts.runs, extra.runs, strict=True)]
        both.append(replace(facts, runs=tuple(runs)))
    found = find(both, LEVELS, "last", "recall_at_1")
    assert found is not None and list(found.measures) == ["uniformity"]
    means = np.array([VALUES[name].mean(axis=0) for name in "abcd"])
    measured = np.array([spread[name].mean(axis=0) for name in "abcd"])
    for i in range(3):
        expected = stats.spearmanr(measured[:, i], means[:, i])
        assert found.measures["uniformity"].correlation[i] == pytest.approx(expected.statistic)
        assert found.rank_correlation[i, 0] == pytest.approx(stats.spearmanr(means[:, i], means[:, 0]).statistic)


def test_a_method_with_a_gap_is_no_best_and_has_no_residual_at_the_gap() -> None:
    holed = VALUES["a"].copy()
    holed[:, 2] = np.nan
    found = find([method("a", holed), *METHODS[1:]], LEVELS, "last", "recall_at_1")
    assert found is not None and found.best == "b"
    assert np.isnan(found.methods["a"].effective) and np.isnan(found.methods["a"].fall.value)
    difference = found.methods["a"].difference
    assert difference is not None and np.isnan(difference.mean)


def test_a_method_with_one_seed_is_held_against_that_seed() -> None:
    found = find([*METHODS[:3], method("d", VALUES["d"][:1])], LEVELS, "last", "recall_at_1")
    assert found is not None
    difference = found.methods["d"].difference
    assert difference is not None and difference.mean == pytest.approx((VALUES["d"][0] - VALUES["a"][0]).mean())
    assert np.isnan(difference.p)


def test_other_selections_and_single_levels_have_no_findings() -> None:
    assert find(METHODS, LEVELS, "oracle", "recall_at_1") is None
    assert find(METHODS, LEVELS[:1], "last", "recall_at_1") is None
    assert find(METHODS, LEVELS, "last", "nmi") is None
