from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_metrics import Hits, naive_retrieval, naive_value, ranks_of

from oodml.evaluation import Evaluation
from oodml.metrics import Metric, metric_info
from oodml.metrics.retrieval import counts_lone, query_values

DEPTHS = (1, 2, 3, 8, 1000)
NAMES = (
    *(f"recall_at_{k}" for k in DEPTHS),
    *(f"map_at_{k}" for k in DEPTHS),
    "map_at_r",
    "map",
    "map_at_1000_paper",
    "map_at_c_paper",
)


def infos(*names: str) -> tuple[Metric, ...]:
    return tuple(map(metric_info, names))


def values_of(hits: list[Hits], *names: str) -> Any:
    """As the engine asks for them: one table of ranks, meaningless beyond a query's own."""
    relevant = np.array([sum(own) for own in hits])
    ranks = np.full((len(hits), relevant.max()), 5, np.int64)
    for row, own in zip(ranks, hits, strict=True):
        row[: sum(own)] = ranks_of(own)
    return query_values(ranks, relevant, infos(*names))


hit_lists = st.lists(st.lists(st.booleans(), min_size=1, max_size=20).filter(any), min_size=1, max_size=8)


@settings(max_examples=100, deadline=None)
@given(hit_lists)
def test_values_equal_the_naive_ones(hits: list[Hits]) -> None:
    expected = np.array([[naive_value(name, own) for name in NAMES] for own in hits], np.float64)
    np.testing.assert_allclose(values_of(hits, *NAMES), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["map_at_1000", "map_at_1000_paper", "map", "recall_at_1000"])
def test_depth_1000_is_a_depth(name: str) -> None:
    hits = [[rank in (1, 900, 1000, 1001, 1200) for rank in range(1, 1300)], [rank == 1001 for rank in range(1, 1300)]]
    expected = np.array([[naive_value(name, own)] for own in hits], np.float64)
    np.testing.assert_allclose(values_of(hits, name), expected, rtol=1e-12)


def test_hand_table() -> None:
    # hits at ranks 1, 3, 6 of 6: precisions 1/1, 2/3, 3/6
    hits = [[True, False, True, False, False, True]]
    expected = {
        "recall_at_1": 1.0,
        "map": (1 + 2 / 3 + 1 / 2) / 3,
        "map_at_r": (1 + 2 / 3) / 3,
        "map_at_1": 1.0,
        "map_at_2": 1 / 2,
        "map_at_4": (1 + 2 / 3) / 3,
        "map_at_1000_paper": (1 + 2 / 3 + 1 / 2) / 4,
        "map_at_c_paper": (1 + 2 / 3) / 4,
    }
    np.testing.assert_allclose(values_of(hits, *expected)[0], list(expected.values()), rtol=1e-12)


@pytest.mark.parametrize("size", [2, 5, 40])
def test_perfect_retrieval_is_one_and_less_as_the_study_has_it(size: int) -> None:
    hits = [[True] * (size - 1) + [False] * 7]
    found = dict(zip(NAMES, values_of(hits, *NAMES)[0], strict=True))
    for name, value in found.items():
        assert value == pytest.approx((size - 1) / size if name.endswith("_paper") else 1.0), name


def test_a_macro_variant_has_the_values_of_its_metric() -> None:
    hits = [[False, True, True], [True, False, False]]
    for name in NAMES:
        assert values_of(hits, f"{name}_macro").tolist() == values_of(hits, name).tolist()
        assert counts_lone(metric_info(f"{name}_macro")) == counts_lone(metric_info(name)) == name.endswith("_paper")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.lists(st.booleans(), min_size=3, max_size=3)), min_size=1, max_size=9))
def test_means_are_over_queries_or_over_classes_first(rows: list[tuple[int, Hits]]) -> None:
    labels, hits = [label for label, _ in rows], [own for _, own in rows]
    names = [*NAMES, *(f"{name}_macro" for name in NAMES)]
    found = Evaluation(retrieval=infos(*names), classes=np.array(labels))
    listed = [[naive_value(name.removesuffix("_macro"), own) for name in names] for own in hits]
    found.values = np.array(listed, np.float64)
    if not any(map(any, hits)):
        return  # the engine refuses these
    for name, value in found.means().items():
        assert value == pytest.approx(naive_retrieval(name, hits, labels), rel=1e-12), name


def test_lone_queries_count_as_the_study_has_it_and_else_not() -> None:
    hits = [[True, False], [False, False]]
    assert naive_retrieval("map_at_c_paper", hits, [0, 1]) == 1 / 4
    assert naive_retrieval("map_at_r", hits, [0, 1]) == 1.0
    assert math.isnan(naive_retrieval("map_at_r", hits[1:], [1]))
