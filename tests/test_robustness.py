from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit, logit

from oodml.errors import UsageError
from oodml.rank_correlation import spearman
from oodml.robustness import (
    control_band,
    degradation_slope,
    effective_robustness,
    fall_interval,
    level_rank_correlation,
    measure_correlation,
)
from oodml.statistics import Estimate

Floats = NDArray[np.float64]
NAN = np.nan
SHIFT = [0.0, 0.25, 1.0]


def test_slope_over_seeds_by_hand() -> None:
    # slopes of the seeds -.4, -.3 and -.5 exactly: mean -.4, s = .1
    values = [[0.8 + slope * x for x in SHIFT] for slope in (-0.4, -0.3, -0.5)]
    found = degradation_slope(SHIFT, values)
    assert (found.n, found.made) == (3, "over seeds")
    half = 4.302653 * 0.1 / 3**0.5
    assert (found.value, found.low, found.high) == pytest.approx((-0.4, -0.4 - half, -0.4 + half))


def test_slope_of_one_seed_comes_from_residuals() -> None:
    x, y = [1.0, 2.0, 4.0, 9.0], [0.8, 0.7, 0.65, 0.3]
    peer = stats.linregress(x, y)
    half = stats.t.ppf(0.95, 2) * peer.stderr
    for values in (y, [y]):
        found = degradation_slope(x, values, confidence=0.9)
        assert (found.n, found.made) == (1, "residuals over levels")
        assert (found.value, found.low, found.high) == pytest.approx((peer.slope, peer.slope - half, peer.slope + half))


def test_slopes_that_have_no_interval_or_do_not_exist() -> None:
    two = degradation_slope([0, 1], [0.8, 0.5])
    assert two.value == pytest.approx(-0.3)
    assert two.made == ""
    assert np.isnan([two.low, two.high]).all()
    gap = degradation_slope(SHIFT, [[0.8, NAN, 0.4], [0.7, 0.6, NAN]])
    assert (gap.n, gap.made) == (0, "")
    assert np.isnan(gap.value)
    flat = degradation_slope([3, 3, 3], [0.8, 0.7, 0.6])
    assert np.isnan(flat.value)


def test_seeds_with_a_gap_are_left_out() -> None:
    values = [[0.8, 0.7, 0.4], [0.7, NAN, 0.1], [0.9, 0.7, 0.3]]
    assert degradation_slope(SHIFT, values) == degradation_slope(SHIFT, [values[0], values[2]])


def test_what_is_harder_for_everyone_tilts_no_slope_beyond_the_reference() -> None:
    reference = np.array([0.5, 0.45, 0.2])
    values = reference + np.array([[0.1], [0.3]])
    beyond = degradation_slope(SHIFT, values, reference=reference)
    assert (beyond.value, beyond.low, beyond.high) == pytest.approx((0, 0, 0), abs=1e-12)
    assert degradation_slope(SHIFT, values).value < -0.2
    assert fall_interval(SHIFT, values, reference=reference).value == pytest.approx(0)
    assert fall_interval(SHIFT, values).value == pytest.approx(-0.3)


def test_fall_by_hand_whatever_the_order_of_levels() -> None:
    # levels by shift: second, third, first; falls .4 - .8, .3 - .9, and a seed without the hardest level
    found = fall_interval([9, 2, 4], [[0.4, 0.8, 0.5], [0.3, 0.9, NAN], [NAN, 0.7, 0.6]])
    half = 12.7062 * (0.02) ** 0.5 / 2**0.5
    assert (found.n, found.made) == (2, "over seeds")
    assert (found.value, found.low, found.high) == pytest.approx((-0.5, -0.5 - half, -0.5 + half), abs=1e-5)
    one = fall_interval([0, 1], [0.4, 0.3])
    assert one.value == pytest.approx(-0.1)
    assert (one.n, one.made) == (1, "")
    assert np.isnan(fall_interval([0, 1], [0.4, NAN]).value)


@pytest.mark.parametrize(
    ("shift", "values", "reference"),
    [([0, 1], [0.1, 0.2, 0.3], None), ([0], [0.1], None), ([0, 1], [[[0.1, 0.2]]], None), ([0, 1], [0.1, 0.2], [0.3])],
)
def test_shapes_of_curves_are_checked(shift: list[float], values: list[float], reference: list[float] | None) -> None:
    for function in (degradation_slope, fall_interval):
        with pytest.raises(UsageError, match="got shapes"):
            function(shift, values, reference=reference)


def test_effective_robustness_by_hand() -> None:
    # the line through (.2, .1), (.4, .4), (.6, .4), (NAN, .9): slope .06 / .08 = .75, mean (.4, .3)
    found = effective_robustness([0.2, 0.4, NAN, 0.6], [0.1, 0.4, 0.9, 0.4])
    assert (found.slope, found.intercept, found.n) == pytest.approx((0.75, 0.0, 3))
    np.testing.assert_allclose(found.residual, [-0.05, 0.1, NAN, -0.05])


def test_effective_robustness_in_logits() -> None:
    first = np.array([0.6, 0.8, 0.95, 0.99])
    found = effective_robustness(first, expit(0.9 * logit(first) - 1), in_logits=True)
    np.testing.assert_allclose(found.residual, 0, atol=1e-12)
    assert (found.intercept, found.slope) == pytest.approx((-1, 0.9))
    curved = effective_robustness(first, expit(0.9 * logit(first) - 1))
    assert np.abs(curved.residual).max() > 0.01
    better = expit(0.9 * logit(first) - 1) + np.array([0, 0.05, 0, 0])
    fit = stats.linregress(logit(first), logit(better))
    expected = better - expit(fit.intercept + fit.slope * logit(first))
    np.testing.assert_allclose(effective_robustness(first, better, in_logits=True).residual, expected)
    with pytest.raises(UsageError, match="between 0 and 1"):
        effective_robustness([0.5, 0.6, 1.0], [0.1, 0.2, 0.3], in_logits=True)


def test_effective_robustness_needs_three_methods_that_differ() -> None:
    with pytest.raises(UsageError, match="3 methods that have both levels, got 2"):
        effective_robustness([0.2, 0.4, 0.5], [0.1, 0.4, NAN])
    with pytest.raises(UsageError, match="got shapes"):
        effective_robustness([0.2, 0.4, 0.5], [0.1, 0.4])
    assert np.isnan(effective_robustness([0.5, 0.5, 0.5], [0.1, 0.2, 0.3]).residual).all()


values_of_methods = hnp.arrays(np.float64, 6, elements=st.floats(0.05, 0.95).map(lambda v: round(v, 3)))


@settings(deadline=None)
@given(values_of_methods, values_of_methods, st.permutations(range(6)))
def test_residuals_do_not_depend_on_order_or_units(first: Floats, level: Floats, order: list[int]) -> None:
    if np.ptp(first) < 0.01:
        return
    plain = effective_robustness(first, level).residual
    assert plain.sum() == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(effective_robustness(first[order], level[order]).residual, plain[order], atol=1e-9)
    np.testing.assert_allclose(effective_robustness(100 * first + 3, level).residual, plain, atol=1e-9)
    np.testing.assert_allclose(effective_robustness(first, level + 3 * first).residual, plain, atol=1e-9)


def test_correlation_between_levels_by_hand() -> None:
    # third level: the reverse; second: neighbours exchanged, 1 - 6 * 2 / 60 = .8, tau (5 - 1) / 6; the gap is left out
    values = [[0.9, 0.5, 0.1], [0.8, 0.6, 0.2], [0.7, 0.4, 0.3], [0.6, 0.3, 0.4], [0.1, NAN, 0.9]]
    np.testing.assert_allclose(level_rank_correlation(values), [[1, 0.8, -1], [0.8, 1, -0.8], [-1, -0.8, 1]])
    tau = level_rank_correlation(values, kind="kendall")
    np.testing.assert_allclose(tau, [[1, 2 / 3, -1], [2 / 3, 1, -2 / 3], [-1, -2 / 3, 1]])


def test_correlation_between_levels_of_few_methods_is_unknown() -> None:
    assert np.isnan(level_rank_correlation([[0.1, 0.2], [0.3, 0.4], [NAN, 0.4]])).tolist() == [[True] * 2] * 2
    assert np.isnan(level_rank_correlation(np.zeros((0, 3)))).all()
    with pytest.raises(UsageError, match="methods, levels"):
        level_rank_correlation([0.1, 0.2])


@settings(deadline=None, max_examples=50)
@given(hnp.arrays(np.float64, (5, 3), elements=st.sampled_from([0.1, 0.2, 0.5, 0.9])), st.permutations(range(5)))
def test_only_the_order_of_methods_correlates(values: Floats, order: list[int]) -> None:
    for kind in ("spearman", "kendall"):
        plain = level_rank_correlation(values, kind=kind)
        moved = level_rank_correlation(np.exp(values[order]) * [1, 5, 100], kind=kind)
        np.testing.assert_allclose(moved, plain, atol=1e-12)
        np.testing.assert_allclose(plain, plain.T)


def test_measures_that_go_with_quality() -> None:
    rng = np.random.default_rng(0)
    quality = rng.random((12, 3))
    measures = {"same": 2 * quality + 1, "reverse": -quality, "noise": rng.random((12, 3))}
    measures["noise"][[1, 4], 1] = NAN
    found = measure_correlation(quality, measures)
    assert list(found) == ["same", "reverse", "noise"]
    np.testing.assert_allclose(found["same"].correlation, 1)
    np.testing.assert_allclose(found["reverse"].correlation, -1)
    assert found["noise"].n.tolist() == [12, 10, 12]
    for level in range(3):
        kept = ~np.isnan(measures["noise"][:, level])
        x, y = measures["noise"][kept, level], quality[kept, level]
        peer = stats.spearmanr(x, y)
        assert found["noise"].correlation[level] == pytest.approx(peer.statistic)
        assert found["noise"].p[level] == pytest.approx(peer.pvalue)


def test_measures_of_few_methods() -> None:
    quality = np.array([[0.1, 0.9], [0.2, 0.8], [0.3, NAN]])
    found = measure_correlation(quality, {"m": [[5, 1], [6, 2], [7, 3]]})["m"]
    np.testing.assert_allclose(found.correlation, [1, NAN])
    np.testing.assert_allclose(found.p, [spearman([1, 2, 3], [1, 2, 3])[1], NAN])
    assert found.p[0] == pytest.approx(1 / 3)
    assert found.n.tolist() == [3, 2]
    with pytest.raises(UsageError, match="'m' needs a value per method and level"):
        measure_correlation(quality, {"m": [[5, 1], [6, 2]]})


def test_control_band_by_hand_and_its_coverage() -> None:
    # .4, .5, .6: s = .1, t(2) = 4.302653, sqrt(1 + 1/3)
    half = 4.302653 * 0.1 * (4 / 3) ** 0.5
    found = control_band([0.4, NAN, 0.5, 0.6])
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.5 - half, 0.5 + half), abs=1e-6)
    assert (found.n, found.made) == (3, "prediction of one more")
    draws = np.random.default_rng(0).normal(size=(2000, 6))
    bands = [control_band(row[:5], confidence=0.9) for row in draws]
    inside = [band.low <= row[5] <= band.high for band, row in zip(bands, draws, strict=True)]
    assert np.mean(inside) == pytest.approx(0.9, abs=0.02)


def test_control_bands_of_too_few_divisions() -> None:
    one, none = control_band([0.5]), control_band([NAN])
    assert (one.value, one.n, one.made) == (0.5, 1, "")
    assert np.isnan([one.low, one.high, none.value]).all()
    with pytest.raises(UsageError, match="confidence"):
        control_band([0.5, 0.6], confidence=2)


@settings(deadline=None, max_examples=50)
@given(hnp.arrays(np.float64, (3, 4), elements=st.floats(0, 1).map(lambda v: round(v, 3))), st.permutations(range(4)))
def test_slopes_and_falls_do_not_depend_on_order_or_level_of_values(values: Floats, order: list[int]) -> None:
    shift = np.array([0.0, 1.0, 2.5, 4.0])
    for function in (degradation_slope, fall_interval):
        plain = function(shift, values)
        for moved in (function(shift[order], values[:, order]), function(shift, values[::-1] + 5)):
            assert numbers(moved) == pytest.approx(numbers(plain), abs=1e-9)
    stretched = degradation_slope(10 * shift, values)
    assert 10 * stretched.value == pytest.approx(degradation_slope(shift, values).value, abs=1e-9)


def numbers(estimate: Estimate) -> tuple[float, ...]:
    return estimate.value, estimate.low, estimate.high, estimate.n
