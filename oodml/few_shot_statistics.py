"""What a few labelled images add: gains paired by episode, their trend over the ladder, images needed. Free of torch.

An adapter is compared with the network that it started from on the same query images of the same episode, so
that how hard an episode is drops out of the difference. What is measured is therefore the gain of one seed and
episode; episodes are averaged in a seed, seeds in a cell.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from oodml.entries import Entry, Variant, collect, find_entries
from oodml.errors import UnknownNameError
from oodml.gain_pairs import Pair, Pairs, pair_episodes
from oodml.metrics.base import metric_info
from oodml.run_scores import make_episodes, mean
from oodml.statistics import ROUNDING, fit_line, slope_interval, t_interval

if TYPE_CHECKING:
    import pandas as pd

OVER_SEEDS, OVER_EPISODES = "over seeds", "residuals over episodes"
GROWS, FALLS, UNCLEAR = "grows", "falls", "no clear trend"
BEYOND = math.inf  # more labelled images than were tried


class Interval(NamedTuple):
    """A mean with the ends of its 95 % interval, nan where one value has none."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Trend:
    """How the gain changes with the shift.

    Attributes:
        slope: Slope of the least-squares line of the gain on the shift scaled to [0, 1]: the change from the
            easiest to the hardest level.
        low: Lower end of its 95 % interval; nan if it has none.
        high: Upper end.
        made: How the interval was made: from the slopes of the seeds, or for a single seed from the residuals
            of its episodes. The latter takes levels as fixed and is optimistic: one network stands behind all
            episodes of a level.
        levels: Number of levels that the line is fitted to.
        word: "grows" or "falls" where the interval is on one side of zero (in the direction in which the metric
            improves), else "no clear trend"; "" without an interval.
    """

    slope: float
    low: float
    high: float
    made: str
    levels: int
    word: str


@dataclass(frozen=True)
class GainCurve:
    """Gains of one entry by one adapter with one number of shots in one metric, along the ladder.

    Attributes:
        entry: What was adapted.
        variant: Shots, adapter and (plain) metric.
        within: Level to the half-width of the 95 % interval over the episodes of one network, mean of the seeds.
        relative: Level to the gain divided by the unadapted value on the same queries, over seeds.
        line: Intercept and slope of the least-squares line of the relative gain on the shift scaled to [0, 1].
        trend: How the gain changes with the shift; None with fewer than two levels.
    """

    entry: Entry
    variant: Variant
    within: Mapping[int, float]
    relative: Mapping[int, Interval]
    line: tuple[float, float] | None
    trend: Trend | None


@dataclass(frozen=True)
class Needed:
    """Labelled images per class that bring an entry back to its quality at the easiest level.

    Attributes:
        entry: What was adapted.
        adapter: By what.
        metric: In which metric.
        most: Largest number of shots that was tried.
        shots: Level to the number: 0 if the unadapted network is already there, `BEYOND` if `most` are too few,
            None if a value that decides is missing.
    """

    entry: Entry
    adapter: str
    metric: str
    most: int
    shots: Mapping[int, float | None]


@dataclass(frozen=True)
class FewShot:
    """What a leaderboard does not hold about the few-shot rows of a ladder."""

    curves: tuple[GainCurve, ...]
    needed: tuple[Needed, ...]


def summarise_few_shot(
    runs: pd.DataFrame, plan: pd.DataFrame | None, levels: Sequence[tuple[int, float]]
) -> FewShot | None:
    """Gains, trends and images needed of the runs of one ladder.

    Args:
        runs: Rows of `oodml.results.read_runs`.
        plan: Rows of `read_plan`, as for `build_leaderboard`.
        levels: Index and scaled shift of every level of the ladder.

    Returns:
        The summary, sorted; None if nothing was adapted.
    """
    found = collect(runs, plan)
    episodes = make_episodes(runs, found, find_entries(found))
    pairs = pair_episodes(episodes)
    if not pairs:
        return None
    scaled = dict(sorted(levels))
    keys = sorted(pairs, key=_order)
    curves = tuple(_curve(entry, variant, pairs[entry, variant], scaled) for entry, variant in keys)
    groups: dict[tuple[Entry, str, str], dict[int, Pairs]] = defaultdict(dict)
    for entry, variant in keys:
        groups[entry, str(variant.adapter), variant.metric][variant.shots or 0] = pairs[entry, variant]
    easiest = min(scaled, key=lambda level: (scaled[level], level))
    needed = tuple(Needed(*key, max(found), images_needed(found, easiest, key[2])) for key, found in groups.items())
    return FewShot(curves, needed)


def mean_half_width(samples: Sequence[Sequence[float]]) -> float:
    """Mean over samples of half the 95 % interval of their mean, t(.975, n - 1) s / sqrt(n); nan for n = 1.

    Args:
        samples: Samples of n values each.

    Example:
        >>> round(mean_half_width([range(10)]), 3)
        2.166
    """
    table = np.asarray(samples, dtype=np.float64)
    n = table.shape[1]
    if n < 2:
        return math.nan
    return float(table.std(axis=1, ddof=1).mean() * stdtrit(n - 1, 0.975) / n**0.5)


def relative_gain(seeds: Mapping[int, Pair]) -> Interval:
    """Mean gain divided by the mean unadapted value, seed by seed; nan where the latter is zero."""
    parts = [pair.mean_gain / pair.mean_none if pair.mean_none else math.nan for pair in seeds.values()]
    average, _, low, high = t_interval(parts)
    return Interval(average, low, high)


def gain_trend(pairs: Pairs, scaled: Mapping[int, float], *, higher_is_better: bool = True) -> Trend | None:
    """The trend of the gain over the levels that have one.

    Args:
        pairs: Level to seed to values.
        scaled: Level to its shift scaled to [0, 1].
        higher_is_better: Direction of the metric.

    Returns:
        The trend over the seeds that have all of these levels; None without two levels of different shift or
        without such a seed.
    """
    levels = sorted(level for level, seeds in pairs.items() if seeds)
    complete = sorted(set.intersection(*(set(pairs[level]) for level in levels))) if levels else []
    x = [scaled[level] for level in levels]
    if not complete or len(set(x)) < 2:
        return None
    if len(complete) > 1:
        slopes = [fit_line(x, [pairs[level][seed].mean_gain for level in levels])[1] for seed in complete]
        slope, _, low, high = t_interval(slopes)
        made = OVER_SEEDS
    else:
        gains = [pairs[level][complete[0]].gains for level in levels]
        at = np.repeat(x, [len(values) for values in gains])
        slope, low, high = slope_interval(at, np.concatenate(gains))
        made = OVER_EPISODES
    return Trend(slope, low, high, made, len(levels), _word(low, high, higher_is_better))


def images_needed(pairs: Mapping[int, Pairs], easiest: int, metric: str) -> dict[int, float | None]:
    """The smallest numbers of shots that reach the unadapted value of the easiest level.

    Every mean is over seeds. What is compared has as many query images taken out: an adapted mean at k shots
    with the unadapted one of the easiest level at k shots.

    Args:
        pairs: Shots to level to seed to values, of one entry, adapter and metric.
        easiest: Index of the easiest level.
        metric: Decides the direction.

    Returns:
        Level to what `Needed.shots` holds.
    """
    sign = 1 if _higher_is_better(metric) else -1

    def reaches(level: int, shots: int, adapted: bool) -> bool | None:
        seeds, first = (list(pairs[shots].get(place, {}).values()) for place in (level, easiest))
        if not seeds or not first:
            return None
        value = mean(pair.mean_adapted if adapted else pair.mean_none for pair in seeds)
        return sign * (value - mean(pair.mean_none for pair in first)) >= -ROUNDING

    def smallest(level: int) -> float | None:
        steps = [(0, min(pairs), False), *((shots, shots, True) for shots in sorted(pairs))]
        for answer, shots, adapted in steps:
            there = reaches(level, shots, adapted)
            if there is None or there:
                return None if there is None else answer
        return BEYOND

    return {level: smallest(level) for level in sorted({level for found in pairs.values() for level in found})}


def _order(key: tuple[Entry, Variant]) -> tuple[Any, ...]:
    entry, variant = key
    return [str(part) for part in entry], variant.shots or 0, str(variant.adapter), variant.metric


def _curve(entry: Entry, variant: Variant, pairs: Pairs, scaled: Mapping[int, float]) -> GainCurve:
    within = {level: mean_half_width([pair.gains for pair in seeds.values()]) for level, seeds in pairs.items()}
    relative = {level: relative_gain(seeds) for level, seeds in pairs.items()}
    known = [level for level, part in relative.items() if not math.isnan(part.mean)]
    line = fit_line([scaled[n] for n in known], [relative[n].mean for n in known])
    trend = gain_trend(pairs, scaled, higher_is_better=_higher_is_better(variant.metric))
    return GainCurve(entry, variant, within, relative, None if math.isnan(line[1]) else line, trend)


def _word(low: float, high: float, higher_is_better: bool) -> str:
    if math.isnan(low):
        return ""
    if low <= 0 <= high:
        return UNCLEAR
    return GROWS if (low > 0) == higher_is_better else FALLS


def _higher_is_better(metric: str) -> bool:
    try:
        return metric_info(metric).higher_is_better
    except UnknownNameError:
        return True
