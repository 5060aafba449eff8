from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from few_shot_case import LADDER, few_shot_frame, few_shot_row, few_shot_rows, gain, run_row, unadapted

from oodml import few_shot_statistics as few
from oodml.few_shot_statistics import BEYOND, FewShot, GainCurve, summarise_few_shot
from oodml.gain_pairs import Pair
from oodml.statistics import fit_line, slope_interval

LEVELS = [(level.index, level.shift_scaled) for level in LADDER]
T9, T2 = 2.262157, 4.302653  # t(.975) with 9 and 2 degrees of freedom


def summary(rows: list[dict[str, Any]]) -> FewShot:
    found = summarise_few_shot(few_shot_frame(rows), None, LEVELS)
    assert found is not None
    return found


def curve(
    found: FewShot, method: str, shots: int = 5, adapter: str = "linear", metric: str = "recall_at_1"
) -> GainCurve:
    wanted = (method, shots, adapter, metric)
    (one,) = [
        c for c in found.curves if (c.entry.method, c.variant.shots, c.variant.adapter, c.variant.metric) == wanted
    ]
    return one


def test_the_half_width_of_zero_to_nine_is_that_of_the_protocol() -> None:
    assert few.mean_half_width([range(10)]) == pytest.approx(2.166, abs=5e-4)
    assert math.isnan(few.mean_half_width([[1.0]]))


def test_gains_are_paired_by_episode_whatever_the_order_of_the_rows() -> None:
    run = run_row("margin", 0, 0, "recall_at_1", 0.5)
    before, after = [0.5, 0.1, 0.9], [0.6, 0.4, 0.8]  # gains .1 .3 -.1: mean .1, s .2
    rows = [few_shot_row(run, 5, "none", e, v) for e, v in enumerate(before)]
    rows += [few_shot_row(run, 5, "linear", e, v) for e, v in reversed(list(enumerate(after)))]
    (found,) = summary(rows).curves
    assert found.within[0] == pytest.approx(T2 * 0.2 / 3**0.5, abs=1e-6)  # unpaired it would be twice as wide
    assert found.relative[0].mean == pytest.approx(0.1 / 0.5)
    assert found.trend is None and found.line is None


@pytest.mark.parametrize("adapter", ["none", "linear"])
def test_a_missing_episode_makes_the_seed_unknown(adapter: str) -> None:
    def lacks(row: dict[str, Any]) -> bool:
        where = (row["level"], row["seed"], row.get("adapter"), row.get("episode"))
        return where == (1, 0, adapter, 4)

    rows = few_shot_rows(("margin",), shots=(5,), metrics=("recall_at_1",))
    whole, torn = (summary([row for row in rows if not drop or not lacks(row)]) for drop in (False, True))
    others = [np.mean([gain(0, 0.25, s, 5, 1, e) for e in range(10)]) for s in (1, 2)]
    bases = [np.mean([unadapted(0, 0.25, s, 5, e) for e in range(10)]) for s in (1, 2)]
    part = curve(torn, "margin").relative[1]
    assert part.mean == pytest.approx(np.mean(np.divide(others, bases)))
    assert part.mean != pytest.approx(curve(whole, "margin").relative[1].mean)
    assert curve(torn, "margin").relative[2] == curve(whole, "margin").relative[2]


def test_the_trend_over_seeds_is_that_of_the_formula() -> None:
    found = summary(few_shot_rows())
    # even ranks: slope .1 sqrt(k) for every seed; odd ones: .004 (seed - 1) sqrt(k), so -.004 0 .004 times sqrt(k)
    grown, flat = (curve(found, method).trend for method in ("contrastive", "margin"))
    assert grown and flat
    assert grown.slope == pytest.approx(0.1 * 5**0.5)
    assert (grown.word, grown.made) == ("grows", "over seeds")
    assert flat.slope == pytest.approx(0, abs=1e-12)
    assert flat.high == pytest.approx(T2 * 0.004 * 5**0.5 / 3**0.5, abs=1e-6)
    assert (flat.word, flat.levels) == ("no clear trend", 5)


def test_a_single_seed_takes_the_residuals_of_its_episodes() -> None:
    found = curve(summary(few_shot_rows(seeds=1)), "contrastive").trend
    x = np.array([level.shift_scaled for level in LADDER for _ in range(10)])
    y = np.array([gain(0, level.shift_scaled, 0, 5, 1, e) for level in LADDER for e in range(10)])
    (slope, _), covariance = np.polyfit(x, y, 1, cov="unscaled")
    residual = y - np.polyval(np.polyfit(x, y, 1), x)
    error = (residual @ residual / 48 * covariance[0, 0]) ** 0.5
    assert found and found.made == "residuals over episodes"
    assert found.slope == pytest.approx(slope)
    assert found.high - found.slope == pytest.approx(2.010635 * error, rel=1e-6)  # t(.975) at 48


def test_a_seed_that_lacks_a_level_takes_no_part_in_the_trend() -> None:
    rows = [row for row in few_shot_rows(("a", "b"), shots=(5,)) if (row["level"], row["seed"]) != (3, 2)]
    found = curve(summary(rows), "b").trend
    assert found and found.slope == pytest.approx(-0.002 * 5**0.5)  # mean of -.004 and 0
    assert found.levels == 5


@pytest.mark.parametrize(("upward", "word"), [(True, "grows"), (False, "falls")])
def test_a_trend_is_named_in_the_direction_of_the_metric(upward: bool, word: str) -> None:
    pairs = {level: {s: Pair((0.5,), (0.5 + 0.1 * level + 0.001 * s * level,)) for s in range(3)} for level in range(3)}
    found = few.gain_trend(pairs, {0: 0.0, 1: 0.5, 2: 1.0}, higher_is_better=upward)
    assert found and found.word == word


def test_a_trend_needs_two_levels_and_two_values_of_freedom() -> None:
    one = {0: {0: Pair((0.5,), (0.6,))}}
    assert few.gain_trend(one, {0: 0.0}) is None
    assert few.gain_trend({}, {}) is None
    two = few.gain_trend({**one, 1: {0: Pair((0.5,), (0.7,))}}, {0: 0.0, 1: 1.0})
    assert two and two.slope == pytest.approx(0.1) and math.isnan(two.low) and two.word == ""
    apart = {0: {0: Pair((0.5,), (0.6,))}, 1: {1: Pair((0.5,), (0.6,))}}
    assert few.gain_trend(apart, {0: 0.0, 1: 1.0}) is None


# shots 2: unadapted level 0 .80   level 1 .81   level 2 .70   level 3 .60   level 4 .50
#          adapted                       .70           .79           .70           .60
# shots 5: unadapted         .82         .78           .70           .60           .50
#          adapted                       .90           .82           .819          -
def test_images_needed_by_hand() -> None:
    def pair(none: float, adapted: float) -> dict[int, Pair]:
        return {0: Pair((none - 0.1, none + 0.1), (adapted - 0.2, adapted + 0.2))}

    two = {0: pair(0.8, 0.8), 1: pair(0.81, 0.7), 2: pair(0.7, 0.79), 3: pair(0.6, 0.7), 4: pair(0.5, 0.6)}
    five = {0: pair(0.82, 0.9), 1: pair(0.78, 0.9), 2: pair(0.7, 0.82), 3: pair(0.6, 0.819)}
    assert few.images_needed({5: five, 2: two}, 0, "recall_at_1") == {0: 0, 1: 0, 2: 5, 3: BEYOND, 4: None}
    # where lower is better, level 1 is not yet there unadapted, and all but it stay below
    assert few.images_needed({2: two}, 0, "intra") == {0: 0, 1: 2, 2: 0, 3: 0, 4: 0}


def test_the_relative_gain_of_nothing_is_unknown() -> None:
    assert math.isnan(few.relative_gain({0: Pair((0.0, 0.0), (0.1, 0.2))}).mean)


def test_nothing_adapted_gives_no_summary() -> None:
    rows = [row for row in few_shot_rows(("a",)) if row.get("adapter") in (None, "none")]
    assert summarise_few_shot(few_shot_frame(rows), None, LEVELS) is None


def test_a_copy_of_a_run_counts_once_and_order_does_not_matter() -> None:
    rows = few_shot_rows(("a", "b"))
    frame = few_shot_frame(rows)
    again = pd.concat([frame, frame]).sample(frac=1, random_state=0)
    assert summarise_few_shot(again, None, LEVELS) == summarise_few_shot(frame, None, LEVELS)


def test_lines_equal_polyfit() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 9))
    slope, intercept = np.polyfit(x, y, 1)
    assert fit_line(x, y) == pytest.approx((intercept, slope))
    assert slope_interval(x, 2 * x + 1) == pytest.approx((2, 2, 2))
    assert all(math.isnan(v) for v in (*fit_line([1, 1], [0, 1]), *fit_line([], [])))
    assert np.isnan(slope_interval([0, 1], [0, 1])).tolist() == [False, True, True]
