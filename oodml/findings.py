"""What the runs of a ladder say beyond their means: differences, falls, slopes, and what goes with quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from oodml.comparisons import paired_differences
from oodml.metrics.base import metric_info
from oodml.records import Level
from oodml.robustness import (
    LEAST_METHODS,
    MeasureCorrelation,
    degradation_slope,
    effective_robustness,
    fall_interval,
    level_rank_correlation,
    measure_correlation,
)
from oodml.statistics import Estimate

if TYPE_CHECKING:
    from oodml.method_facts import MethodFacts

MEASURES = ("rho_1", "rho_minus_1", "uniformity", "intra", "inter", "intra_over_inter")
NAN = float("nan")
Table = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """A method less the best one: mean over the levels, interval, and p corrected for all pairs (Holm); may be nan."""

    mean: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Robustness:
    """How one method holds up; numbers that need more than there is are nan.

    Attributes:
        difference: To the best method; None for the best itself.
        fall: Hardest level less easiest.
        slope: Change of the metric over the whole ladder along a line.
        beyond: The same of the metric less the untrained reference.
        effective: Value at the hardest level less what the value at the default level lets expect.
    """

    difference: Difference | None
    fall: Estimate
    slope: Estimate
    beyond: Estimate
    effective: float


@dataclass(frozen=True)
class Findings:
    """What the runs of one selection say about one metric.

    Attributes:
        best: The method that others are compared with; "" without a method that has all levels.
        methods: Label to how it holds up, in the order given.
        levels: Indices of the levels, by rising shift.
        rank_correlation: Spearman's between levels over methods, shape (l, l); nan with fewer than three methods.
        measures: Measure of the embedding space to its correlation with the metric, level by level.
    """

    best: str
    methods: Mapping[str, Robustness]
    levels: tuple[int, ...]
    rank_correlation: Table
    measures: Mapping[str, MeasureCorrelation]


def find(methods: Sequence[MethodFacts], levels: Sequence[Level], selection: str, metric: str) -> Findings | None:
    """Computes the findings; None for fewer than two levels or without a run of the metric.

    Args:
        methods: Methods with their runs.
        levels: Levels of the ladder by rising shift.
        selection: Which weights were scored.
        metric: The metric.
    """
    tables = {facts.label: _table(facts, levels, selection, metric) for facts in methods}
    tables = {label: table for label, table in tables.items() if np.isfinite(table).any()}
    if len(levels) < 2 or not tables:
        return None
    means = np.array([_means(table) for table in tables.values()])
    shift = [level.shift_scaled for level in levels]
    best = _best(list(tables), means, shift, metric)
    differences = _to_the_best(tables, best, levels) if best else {}
    reference = np.array([level.reference.get(metric, NAN) for level in levels])
    effective = _effective(means, levels)
    rows = {
        label: Robustness(
            differences.get(label),
            fall_interval(shift, table),
            degradation_slope(shift, table),
            degradation_slope(shift, table, reference=reference),
            float(effective[i]),
        )
        for i, (label, table) in enumerate(tables.items())
    }
    indices = tuple(level.index for level in levels)
    measures = _measures([facts for facts in methods if facts.label in tables], levels, selection, means)
    return Findings(best, rows, indices, level_rank_correlation(means), measures)


def _table(facts: MethodFacts, levels: Sequence[Level], selection: str, metric: str) -> Table:
    """Values by seed and level, shape (s, l); nan where there is none."""
    place = {level.index: i for i, level in enumerate(levels)}
    runs = [run for run in facts.runs if run.selection == selection and run.level in place]
    seeds = {seed: i for i, seed in enumerate(sorted({run.seed for run in runs}))}
    table = np.full((len(seeds), len(levels)), NAN)
    for run in runs:
        table[seeds[run.seed], place[run.level]] = run.values.get(metric, NAN)
    return table


def _means(table: Table) -> Table:
    """Mean over the seeds at every level; nan where there is none."""
    count = np.isfinite(table).sum(axis=0)
    total = np.nansum(table, axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), NAN)


def _best(labels: Sequence[str], means: Table, shift: Sequence[float], metric: str) -> str:
    """The method with the largest area among those that have all levels."""
    sign = 1.0 if metric_info(metric).higher_is_better else -1.0
    area = sign * (means[:, 1:] + means[:, :-1]) @ np.diff(shift) / 2
    return "" if np.isnan(area).all() else labels[int(np.nanargmax(area))]


def _to_the_best(tables: Mapping[str, Table], best: str, levels: Sequence[Level]) -> dict[str, Difference]:
    """Every other method less the best, over the seeds and levels that both have."""
    most = max(len(table) for table in tables.values())
    padded = [np.pad(table, ((0, most - len(table)), (0, 0)), constant_values=NAN) for table in tables.values()]
    blocks = np.array([table.ravel() for table in padded])
    found = paired_differences(blocks, list(tables), levels=np.tile(np.arange(len(levels)), most))
    differences = {}
    for i, (first, second) in enumerate(zip(found.first, found.second, strict=True)):
        if best in (first, second):
            sign, other = (1.0, second) if first == best else (-1.0, first)
            low, high = sorted((sign * float(found.low[i]), sign * float(found.high[i])))
            differences[other] = Difference(sign * float(found.difference[i]), low, high, float(found.p_holm[i]))
    return differences


def _effective(means: Table, levels: Sequence[Level]) -> Table:
    """Residual at the hardest level after regressing on the default one; nan where that is the hardest itself."""
    default = next((i for i, level in enumerate(levels) if level.name == "default"), 0)
    both = np.isfinite(means[:, [default, -1]]).all(axis=1)
    if default == len(levels) - 1 or both.sum() < LEAST_METHODS:
        return np.full(len(means), NAN)
    return effective_robustness(means[:, default], means[:, -1]).residual


def _measures(
    methods: Sequence[MethodFacts], levels: Sequence[Level], selection: str, means: Table
) -> dict[str, MeasureCorrelation]:
    known = {
        measure: np.array([_means(_table(facts, levels, selection, measure)) for facts in methods])
        for measure in MEASURES
    }
    found = measure_correlation(means, {name: table for name, table in known.items() if np.isfinite(table).any()})
    return {name: entry for name, entry in found.items() if np.isfinite(entry.correlation).any()}
