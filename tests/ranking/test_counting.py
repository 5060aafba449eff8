from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oodml.ranking.counting import count_above, sort_rows

LEVELS = [-math.inf, -1.0, -0.5, -0.0, 0.0, 1e-30, 0.5, 1.0]
Case = tuple[list[list[float]], list[list[float]], list[int]]


def naive_counts(similar: Any, number: Any, threshold: Any, at: Any) -> list[list[int]]:
    return [
        [
            sum(s > t or (s == t and n < own) for s, n in zip(row, number, strict=True))
            for t, own in zip(thresholds, numbers, strict=True)
        ]
        for row, thresholds, numbers in zip(similar, threshold, at, strict=True)
    ]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    b, g, m = (draw(st.integers(1, most)) for most in (6, 9, 4))
    level, real = st.sampled_from(LEVELS), st.sampled_from([*LEVELS[1:], math.inf])
    similar = draw(st.lists(st.lists(level, min_size=g, max_size=g), min_size=b, max_size=b))
    threshold = draw(st.lists(st.lists(real, min_size=m, max_size=m), min_size=b, max_size=b))
    return similar, threshold, draw(st.permutations(range(g + b * m)))


@settings(max_examples=150, deadline=None)
@given(cases())
def test_counts_equal_the_naive_ones_whatever_ties(case: Case) -> None:
    similar, threshold, numbers = case
    b, g, m = len(similar), len(similar[0]), len(threshold[0])
    number, at = numbers[:g], np.reshape(numbers[g:], (b, m))
    given_ = torch.tensor(similar)
    found = count_above(given_, torch.tensor(number), torch.tensor(threshold), torch.from_numpy(at), torch.empty(b, g))
    assert found.tolist() == naive_counts(similar, number, threshold, at.tolist())
    assert found.dtype == torch.int32
    assert torch.equal(given_, torch.tensor(similar))


def test_a_transposed_tile_counts_like_a_plain_one() -> None:
    similar = torch.tensor([[0.1, 0.5], [0.5, 0.2], [0.3, 0.5]])
    threshold, at = torch.tensor([[0.3], [0.5]]), torch.tensor([[1], [2]])
    found = count_above(similar.t(), torch.tensor([5, 0, 7]), threshold, at, torch.empty(similar.t().shape))
    assert found.tolist() == [[1], [0]]  # .5 above .3; .5 of number 5 and of 7 come after that of number 2


def test_numbers_up_to_two_to_the_31_decide_ties() -> None:
    high = 2**31 - 1
    similar, number = torch.full((1, 3), 0.25), torch.tensor([high, 3, high - 2])
    threshold, at = torch.full((1, 2), 0.25), torch.tensor([[high - 1, 2]])
    assert count_above(similar, number, threshold, at, torch.empty(similar.shape)).tolist() == [[2, 0]]


def test_rows_are_sorted() -> None:
    values = np.random.default_rng(0).normal(size=(7, 11)).astype(np.float32)
    assert sort_rows(torch.from_numpy(values.copy())).tolist() == [sorted(row) for row in values.tolist()]
