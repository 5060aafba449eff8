"""What `oodml evaluate` prints: scores by family, the comparison of two embeddings, and what they stand on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from oodml.commands.evaluation_files import NO_INTERVAL, Result
from oodml.metrics.base import MAX_CLASSES_CLUSTERED
from oodml.report import text
from oodml.report.screen import new_table, plain

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

FAMILIES = ("retrieval", "clustering", "spread", "spectrum", "sphere", "verification")
DIGITS = 4
INTERVAL, ERROR = "95 % interval", "error"
PARTS = {"kmeans": "k-means"}


def score_screen(result: Result) -> Table:
    """Every metric with its interval and direction, grouped by family."""
    metrics, scores = result.metrics, result.found.scores
    shown = new_table("")
    shown.add_column("metric", no_wrap=True)
    shown.add_column("value", justify="right", no_wrap=True)
    if result.intervals:
        shown.add_column(INTERVAL, no_wrap=True)
    if result.found.errors:
        shown.add_column(ERROR, justify="right", no_wrap=True)
    shown.add_column("better", justify="center", no_wrap=True)
    families = (*FAMILIES, *dict.fromkeys(m.family for m in metrics if m.family not in FAMILIES))
    for family in families:
        members = [metric for metric in metrics if metric.family == family]
        if members:
            shown.add_row(plain(family, "bold"))
        for metric in members:
            interval = [_interval(*result.intervals.get(metric.name, NO_INTERVAL))] if result.intervals else []
            error = [_error(result, metric.name)] if result.found.errors else []
            words = [f"  {metric.name}", _number(scores[metric.name]), *interval, *error]
            shown.add_row(*map(plain, (*words, _arrow(metric.higher_is_better))))
    return shown


def comparison_screen(comparison: pd.DataFrame) -> Table:
    """Every retrieval metric of two embeddings of the same images."""
    shown = new_table("")
    shown.add_column("metric", no_wrap=True)
    for name in ("first", "second", "difference"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column(INTERVAL, no_wrap=True)
    shown.add_column("p", justify="right", no_wrap=True)
    for row in comparison.to_dict("records"):
        gap = text.EN_DASH if math.isnan(row["difference"]) else text.signed(row["difference"], DIGITS)
        words = [row["metric"], _number(row["first"]), _number(row["second"]), gap]
        shown.add_row(*map(plain, (*words, _interval(row["low"], row["high"]), _number(row["p"], 3))))
    return shown


def legend(result: Result) -> str:
    """What the marks of the scores mean."""
    parts = ["↑ higher is better, ↓ lower"]
    if result.intervals:
        parts.append("interval: classes resampled")
    if result.found.errors:
        parts.append("error: approximate less exact, on a sample of queries")
    if any(math.isnan(score) for score in result.found.scores.values()):
        parts.append(f"{text.EN_DASH} not defined here")
    return "; ".join(parts)


def fact_lines(result: Result) -> list[str]:
    """How much was evaluated, how, and how long it took."""
    facts, scores = result.facts, result.found.scores
    counts = {
        "queries": scores["num_queries"],
        "lone rows": scores["num_lone"],
        "classes": scores["num_classes"],
        "dimensions": facts.dimensions,
    }
    lines = [", ".join(f"{int(count):,} {what}" for what, count in counts.items()) + f", {facts.distance}"]
    if facts.gallery is not None:
        lines.append(f"gallery: {facts.gallery_rows:,} rows of {facts.gallery}")
    times = [f"{PARTS.get(part, part)} {seconds:.2f}" for part, seconds in result.found.seconds.items()]
    return [*lines, f"seconds: {', '.join(times)}"]


def clustering_note(result: Result) -> list[str]:
    """A line if many classes are why there is no clustering."""
    clustered = any(metric.family == "clustering" for metric in result.metrics)
    if clustered or result.found.scores["num_classes"] <= MAX_CLASSES_CLUSTERED:
        return []
    return [f"note: no clustering metrics above {MAX_CLASSES_CLUSTERED:,} classes; `--metrics all` computes them"]


def _number(value: float, digits: int = DIGITS) -> str:
    return text.EN_DASH if math.isnan(value) else text.number(value, digits)


def _interval(low: float, high: float) -> str:
    return "" if math.isnan(low) or math.isnan(high) else f"[{text.number(low, DIGITS)}, {text.number(high, DIGITS)}]"


def _error(result: Result, metric: str) -> str:
    errors = result.found.errors
    return text.signed(errors[metric], DIGITS) if metric in errors else ""


def _arrow(higher_is_better: bool) -> str:
    return "↑" if higher_is_better else "↓"
