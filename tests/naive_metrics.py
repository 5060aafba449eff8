"""The metrics as their definitions read: sorted lists and explicit pairs, one at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Hits = list[bool]


def unit(embeddings: Any) -> NDArray[np.float64]:
    rows = np.asarray(embeddings, np.float64)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def cosines(embeddings: Any, gallery: Any = None) -> NDArray[np.float64]:
    """Of all pairs; equal pairs of rows give equal numbers, as no product of matrices does."""
    x, y = unit(embeddings), unit(embeddings if gallery is None else gallery)
    return np.array([[math.fsum(a * b) for b in y] for a in x])


def euclidean(embeddings: Any, gallery: Any = None) -> NDArray[np.float64]:
    x = np.asarray(embeddings, np.float64)
    y = x if gallery is None else np.asarray(gallery, np.float64)
    return np.array([[-math.fsum((a - b) ** 2) for b in y] for a in x])


def naive_hits(similarity: Any, labels: Sequence[Any], gallery_labels: Sequence[Any] | None = None) -> list[Hits]:
    """For every query whether its neighbours, nearest first, share its class."""
    stored = labels if gallery_labels is None else gallery_labels
    found = []
    for i, label in enumerate(labels):
        others = [j for j in range(len(stored)) if gallery_labels is not None or j != i]
        others.sort(key=lambda j: (-similarity[i][j], j))
        found.append([bool(stored[j] == label) for j in others])
    return found


def ranks_of(hits: Hits) -> list[int]:
    return [rank for rank, hit in enumerate(hits, start=1) if hit]


def average_precision(hits: Hits, depth: int, divisor: int) -> float:
    total = 0.0
    for rank in range(1, min(depth, len(hits)) + 1):
        if hits[rank - 1]:
            total += sum(hits[:rank]) / rank
    return total / divisor


def naive_value(name: str, hits: Hits) -> float | None:
    """A retrieval metric of one query; None where it does not count."""
    relevant = sum(hits)
    paper = name in {"map_at_1000_paper", "map_at_c_paper"}
    if not relevant:
        return 0.0 if paper else None
    if name == "map":
        return average_precision(hits, len(hits), relevant)
    if name == "map_at_r":
        return average_precision(hits, relevant, relevant)
    if paper:
        return average_precision(hits, 1000 if "1000" in name else relevant + 1, relevant + 1)
    kind, _, k = name.rpartition("_at_")
    if kind == "recall":
        return float(any(hits[: int(k)]))
    assert kind == "map"
    return average_precision(hits, int(k), min(relevant, int(k)))


def naive_retrieval(name: str, hits: list[Hits], labels: Sequence[Any]) -> float:
    values = [(label, naive_value(name.removesuffix("_macro"), h)) for label, h in zip(labels, hits, strict=True)]
    counted = [(label, value) for label, value in values if value is not None]
    if not name.endswith("_macro"):
        return mean(value for _, value in counted)
    classes = {label for label, _ in counted}
    return mean(mean(value for label, value in counted if label == name) for name in classes)


def mean(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed) if listed else math.nan


def pairs_of(labels: Sequence[Any]) -> list[tuple[int, int]]:
    return list(combinations(range(len(labels)), 2))


def class_pairs(labels: Sequence[Any]) -> list[tuple[int, int]]:
    return [(i, j) for i, j in pairs_of(labels) if labels[i] == labels[j]]


def naive_intra(x: Array, labels: Sequence[Any]) -> float:
    of_class: dict[Any, list[float]] = {}
    for i, j in class_pairs(labels):
        of_class.setdefault(labels[i], []).append(1 - float(x[i] @ x[j]))
    return mean(mean(distances) for distances in of_class.values())


def naive_inter(x: Array, labels: Sequence[Any]) -> float:
    rows = [x[[i for i, label in enumerate(labels) if label == name]] for name in sorted(set(labels))]
    means = [unit(part.mean(axis=0)[None])[0] for part in rows]
    return mean(1 - float(a @ b) for a, b in combinations(means, 2))


def naive_rho(rows: Array, m: int) -> float:
    sigma = np.linalg.svd(rows, compute_uv=False)[abs(m) - 1 :]
    if not len(sigma):
        return math.nan
    q = [max(float(s / sigma.sum()), 2.0**-23) for s in sigma]
    flat = 1 / len(q)
    return mean(math.log(flat / p) for p in q) if m > 0 else math.fsum(p * math.log(p / flat) for p in q)


def naive_f1(classes: Sequence[Any], clusters: Sequence[Any]) -> float:
    same = [(classes[i] == classes[j], clusters[i] == clusters[j]) for i, j in pairs_of(classes)]
    both, one, other = (sum(picked) for picked in zip(*((a and b, a, b) for a, b in same), strict=True))
    return 2 * both / (one + other) if one + other else 1.0


def naive_other(name: str, rows: Any, labels: Sequence[Any], *, raw: bool = False) -> float:
    """Spread, spectrum, uniformity and alignment; the spectrum is that of the raw rows where they are ranked so."""
    x = unit(rows)
    if name.startswith("rho_"):
        m = -1 if name == "rho_minus_1" else int(name.removeprefix("rho_"))
        return naive_rho(np.asarray(rows, np.float64) if raw else x, m)
    if name == "intra_over_inter":
        return naive_intra(x, labels) / max(naive_inter(x, labels), 1e-8)
    if name in {"intra", "inter"}:
        return (naive_intra if name == "intra" else naive_inter)(x, labels)
    if name == "alignment":
        return mean(float(((x[i] - x[j]) ** 2).sum()) for i, j in class_pairs(labels))
    assert name == "uniformity"
    return math.log(mean(math.exp(-2 * float(((x[i] - x[j]) ** 2).sum())) for i, j in pairs_of(labels)))


def rank_bounds(similar: Callable[[int], Any], group: Callable[[int], Any], own: list[int], others: list[int]) -> Array:
    """Least and largest rank of every positive where only ties within a group are promised to go by number.

    Args:
        similar: Exact similarity of the query to a row.
        group: Of rows; equal similarities of two groups may come in either order.
        own: The positives.
        others: All rows but the query, with the positives.
    """
    bounds = []
    for p in own:
        above = sum(similar(j) > similar(p) for j in others)
        tied = [j for j in others if j != p and similar(j) == similar(p)]
        sure = sum(j < p for j in tied if group(j) == group(p))
        bounds.append((above + sure + 1, above + sure + 1 + sum(group(j) != group(p) for j in tied)))
    return np.sort(np.array(bounds), axis=0)


def exact_cosine(x: Sequence[int], y: Sequence[int]) -> Fraction:
    """Orders the rows y of whole numbers by their cosine with x."""
    dot, squares = (sum(int(a) * int(b) for a, b in zip(p, y, strict=True)) for p in (x, y))
    return Fraction(dot * abs(dot), squares)
