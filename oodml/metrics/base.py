"""What a metric is: its name, direction, bounds and definition. Tables use it, so it imports no engine."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from oodml.errors import UnknownNameError, UsageError

INF = math.inf
MACRO = "_macro"
MAX_CLASSES_CLUSTERED = 2000
"""Above so many classes "default" leaves the clustering metrics out: k-means takes the longest by far."""


@dataclass(frozen=True)
class Metric:
    """A registered metric.

    Attributes:
        name: Name in results, e.g. "recall_at_1".
        summary: One-line definition.
        family: "retrieval", "clustering", "spread", "spectrum", "sphere" or "verification".
        k: The number in a name such as "recall_at_<k>"; None for a metric without one.
        higher_is_better: Direction.
        bounds: Smallest and largest possible value.
        by_default: Whether "default" asks for it.
    """

    name: str
    summary: str
    family: str = "retrieval"
    k: int | None = None
    higher_is_better: bool = True
    bounds: tuple[float, float] = (0.0, 1.0)
    by_default: bool = True

    @property
    def macro(self) -> bool:
        """Whether queries are averaged by class first."""
        return self.name.endswith(MACRO)


def _recall(k: int) -> Metric:
    words = "whose nearest row is of their class" if k == 1 else f"with their class among the {k} nearest"
    return Metric(f"recall_at_{k}", f"share of queries {words}", k=k)


def _map(k: int) -> Metric:
    summary = f"mean average precision among the {k} nearest, over min(positives, {k})"
    return Metric(f"map_at_{k}", summary, k=k)


def _rho(m: int) -> Metric:
    without = f" without the {m - 1} largest" if m > 1 else ""
    summary = f"spectral decay: divergence of uniform from the singular values{without}"
    return Metric(f"rho_{m}", summary, "spectrum", m, False, (0, INF))


def _fnmr(power: int) -> Metric:
    summary = f"share of equal pairs refused where 1e-{power} of the others pass"
    return Metric(f"fnmr_at_fmr_1e-{power}", summary, "verification", power, False, by_default=False)


def _macro(metric: Metric) -> Metric:
    return replace(metric, name=metric.name + MACRO, summary=f"{metric.summary}; mean of the classes' means")


_PATTERNS = {
    r"recall_at_([1-9]\d{0,8})": _recall,
    r"map_at_([1-9]\d{0,8})": _map,
    r"rho_([1-9]\d{0,5})": _rho,
    r"fnmr_at_fmr_1e-([1-6])": _fnmr,
}
_AT_R = Metric("map_at_r", "mean average precision among the R nearest, R = positives of the query")
_LISTED = (
    *map(_recall, (1, 2, 4, 8)),
    _AT_R,
    Metric("map", "mean average precision over the whole gallery"),
    _map(1000),
    Metric("map_at_1000_paper", "as the study computed it: the 1000 nearest, over positives + 1, lone queries 0"),
    Metric("map_at_c_paper", "as the study computed it: as many nearest as the class has images, over as many"),
    _macro(_recall(1)),
    _macro(_AT_R),
    Metric("nmi", "normalised mutual information of classes and as many k-means clusters", "clustering"),
    Metric("ami", "the same adjusted for chance", "clustering", bounds=(-1, 1)),
    Metric("f1", "F1 of pairs: same cluster against same class", "clustering"),
    Metric("nmi_paper", "nmi with as many clusters as training classes", "clustering", by_default=False),
    Metric("f1_paper", "f1 with as many clusters as training classes", "clustering", by_default=False),
    Metric("intra", "mean cosine distance within a class, mean of the classes", "spread", None, False, (0, 2)),
    Metric("inter", "mean cosine distance between class means", "spread", None, True, (0, 2)),
    Metric("intra_over_inter", "intra divided by inter", "spread", None, False, (0, INF)),
    *map(_rho, (1, 2, 10)),
    Metric("rho_minus_1", "spectral decay the other way: divergence from uniform", "spectrum", -1, False, (0, INF)),
    Metric("uniformity", "log of the mean of exp(-2 |x - y|^2) over all pairs", "sphere", None, False, (-8, 0)),
    Metric("alignment", "mean |x - y|^2 over pairs of a class", "sphere", None, False, (0, 4)),
    replace(
        Metric("opis", "variance over classes of the utility at common thresholds", "verification", None, False),
        bounds=(0, 0.25),
        by_default=False,
    ),
    *map(_fnmr, (2, 3)),
)
METRICS: dict[str, Metric] = {metric.name: metric for metric in _LISTED}
HEADLINE_METRICS = ("recall_at_1", "recall_at_2", "recall_at_4", "recall_at_8", "map_at_r")


def metric_info(name: str) -> Metric:
    """The record of a metric; "recall_at_<k>", "map_at_<k>", "rho_<m>" exist for every k, m >= 1.

    Every metric of the retrieval family has a variant "<name>_macro".

    Raises:
        UnknownNameError: If there is no such metric.
    """
    if name in METRICS:
        return METRICS[name]
    base = name.removesuffix(MACRO)
    for pattern, make in _PATTERNS.items():
        if match := re.fullmatch(pattern, base):
            found = make(int(match[1]))
            break
    else:
        if base not in METRICS or METRICS[base].macro:
            raise UnknownNameError("metric", name, [*METRICS, "recall_at_16"])
        found = METRICS[base]
    if base == name:
        return found
    if found.family != "retrieval":
        raise UnknownNameError("metric", name, METRICS, f"; only retrieval metrics have a variant {MACRO}")
    return _macro(found)


def metric_names(metrics: str | Sequence[str], num_classes: int, neighbours_only: bool = False) -> list[str]:
    """The metrics that are asked for, each once.

    Args:
        metrics: "default", "all", another name, or a list of them.
        num_classes: Classes of the evaluated set: many leave the clustering metrics out of "default".
        neighbours_only: Leave out of "default" and "all" what lists of neighbours do not tell.

    Raises:
        UnknownNameError: If there is no such metric.
        UsageError: If lists of neighbours do not tell a metric that is named.
    """
    few = num_classes <= MAX_CLASSES_CLUSTERED
    groups = {
        "default": [m for m in _LISTED if m.by_default and (few or m.family != "clustering")],
        "all": [m for m in _LISTED if not (m.family == "clustering" and m.name.endswith("_paper"))],
    }
    names: dict[str, None] = {}
    for name in [metrics] if isinstance(metrics, str) else metrics:
        chosen = groups.get(name) or [metric_info(name)]
        kept = [m.name for m in chosen if not (neighbours_only and _needs_all_pairs(m))]
        if not kept:
            raise UsageError(
                f"{name} needs all pairs of rows, an approximate search has a part of them; ask for one only"
            )
        names |= dict.fromkeys(kept)
    return list(names)


def _needs_all_pairs(metric: Metric) -> bool:
    return metric.family == "verification" or metric.name.removesuffix(MACRO) in ("map", "uniformity")
