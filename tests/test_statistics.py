from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from oodml.errors import UsageError
from oodml.statistics import ags, mean_estimate, t_interval


def test_interval_of_ten_values() -> None:
    mean, std, low, high = t_interval(np.arange(10))
    assert mean == 4.5
    assert std == pytest.approx(3.0277, abs=1e-4)
    assert high - mean == pytest.approx(2.166, abs=5e-4)
    assert mean - low == pytest.approx(high - mean)


@pytest.mark.parametrize(("n", "confidence"), [(2, 0.95), (3, 0.9), (30, 0.99)])
def test_interval_equals_scipy(n: int, confidence: float) -> None:
    x = np.random.default_rng(n).normal(size=n)
    low, high = stats.t.interval(confidence, n - 1, loc=x.mean(), scale=stats.sem(x))
    assert t_interval(x, confidence)[2:] == pytest.approx((low, high))


def test_interval_of_one_value_and_of_none() -> None:
    one, none = t_interval([0.25]), t_interval([])
    assert one[0] == 0.25
    assert np.isnan(one[1:]).all()
    assert np.isnan(none).all()


def test_estimates_say_how_they_were_made() -> None:
    found = mean_estimate(np.arange(10), "over episodes")
    assert (found.value, found.n, found.made) == (4.5, 10, "over episodes")
    assert found.high - found.value == pytest.approx(2.166, abs=5e-4)
    one, none = mean_estimate([0.25]), mean_estimate([])
    assert (one.value, one.n, one.made) == (0.25, 1, "")
    assert np.isnan([one.low, one.high, none.value, none.low]).all()


def test_confidence_is_checked() -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        t_interval([1, 2], confidence=95)


def test_ags_by_hand_and_in_any_order() -> None:
    # .25 * (.8 + .6) / 2 + .75 * (.6 + .2) / 2 = .175 + .3
    assert ags([0, 0.25, 1], [0.8, 0.6, 0.2]) == pytest.approx(0.475)
    assert ags([1, 0, 0.25], [0.2, 0.8, 0.6]) == pytest.approx(0.475)


@given(st.lists(st.floats(0, 1), max_size=8), st.floats(0, 1))
def test_ags_of_a_constant_is_the_constant(inner: list[float], value: float) -> None:
    shift = [0.0, *inner, 1.0]
    assert ags(shift, [value] * len(shift)) == pytest.approx(value, abs=1e-12)


def test_ags_of_an_unknown_value_is_unknown() -> None:
    assert np.isnan(ags([0, 0.5, 1], [0.5, np.nan, 0.5]))


@pytest.mark.parametrize(("shift", "values"), [([0.0], [0.5]), ([0, 1], [0.5]), ([0, 0.9], [1, 1]), ([3, 8], [1, 1])])
def test_ags_needs_a_scaled_ladder(shift: list[float], values: list[float]) -> None:
    with pytest.raises(UsageError, match="AGS needs"):
        ags(shift, values)
