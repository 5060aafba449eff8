from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_metrics import naive_other
from ranked import side

from oodml import summaries
from oodml.errors import DatasetError
from oodml.metrics.spread import Spread
from oodml.ranking.search import Side
from oodml.summaries import class_spread

NAMES = ("intra", "inter", "intra_over_inter", "alignment")


def spread_of(rows: Any, labels: Any) -> dict[str, float]:
    found = class_spread(side(rows, labels))
    return {name: getattr(found, name)() for name in NAMES}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(1, 7), st.sampled_from([1, 2, 3, 5, 1024]))
def test_spread_equals_that_of_explicit_pairs_in_chunks_of_every_size(seed: int, n: int, k: int, chunk: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, n).tolist()
    rows = rng.normal(size=(n, 4)) + np.array(labels)[:, None]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summaries, "CHUNK", chunk)
        found = spread_of(rows, labels)
    for name, value in found.items():
        assert value == pytest.approx(naive_other(name, rows, labels), rel=1e-5, abs=1e-6, nan_ok=True), name


def test_hand_table() -> None:
    # class 0 has rows at 0 and 90 degrees, class 1 twice the same at 180, class 2 a lone row at 225
    rows, labels = [[3, 0], [0, 2], [-1, 0], [-5, 0], [-1, -1]], [0, 0, 1, 1, 2]
    found = spread_of(rows, labels)
    assert found["intra"] == pytest.approx((1 + 0) / 2)
    means = [1 - math.cos(math.radians(angle)) for angle in (180 - 45, 225 - 45, 225 - 180)]
    assert found["inter"] == pytest.approx(sum(means) / 3)
    assert found["intra_over_inter"] == pytest.approx(0.5 / (sum(means) / 3))
    assert found["alignment"] == pytest.approx((2 + 0) / 2)


def test_alignment_is_of_pairs_and_intra_of_classes() -> None:
    # three pairs at squared distance 0 in one class, one at 2 in the other
    found = spread_of([[1, 0], [1, 0], [1, 0], [1, 0], [0, 1]], [0, 0, 0, 1, 1])
    assert found["alignment"] == pytest.approx(2 / 4)
    assert found["intra"] == pytest.approx(1 / 2)


def test_what_is_not_defined_is_nan() -> None:
    alone = spread_of(np.eye(3), [0, 1, 2])
    assert math.isnan(alone["intra"]) and math.isnan(alone["alignment"]) and alone["inter"] == 1.0
    single = spread_of(np.eye(3), [4, 4, 4])
    assert math.isnan(single["inter"]) and math.isnan(single["intra_over_inter"])
    assert single["intra"] == pytest.approx(1.0)
    assert math.isnan(Spread().intra())


def test_a_class_whose_rows_cancel_has_no_direction() -> None:
    rows = [[0.1, 0.7], [-0.1, -0.7], [1, 0], [0, 1]]
    assert spread_of(rows, [0, 0, 1, 2])["inter"] == pytest.approx(1.0)
    assert math.isnan(spread_of(rows, [0, 0, 1, 1])["inter"])


def test_the_ratio_stays_finite_where_classes_coincide() -> None:
    found = spread_of([[1, 0], [0, 1], [1, 0], [0, 1]], [0, 0, 1, 1])
    assert found["inter"] < 1e-12
    assert found["intra_over_inter"] == pytest.approx(1e8)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 9), st.sampled_from([1.0, -1.0]))
def test_rounding_never_leaves_the_bounds(seed: int, n: int, sign: float) -> None:
    row = np.random.default_rng(seed).normal(size=(1, 7))
    rows = np.concatenate([row] * n + [sign * row])
    for labels in ([0] * n + [1], [0] * (n + 1)):
        found = spread_of(rows, labels)
        assert not found["intra"] < 0 and not found["alignment"] < 0 and not found["inter"] < 0
        assert not found["intra"] > 2 and not found["alignment"] > 4 and not found["inter"] > 2


@pytest.mark.parametrize("chunk", [2, 1024])
def test_bad_rows_are_named_in_their_own_numbers(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summaries, "CHUNK", chunk)
    rows = np.ones((9, 3))
    rows[7] = 0
    chosen = Side(rows, np.array([1, 3, 5, 7, 8]), np.array([2, 0, 0, 1, 2]))
    with pytest.raises(DatasetError, match="embedding row 7 is all zeros"):
        class_spread(chosen)
    rows[7], rows[8, 2] = 1, np.inf
    with pytest.raises(DatasetError, match="embedding row 8 has a value that is not finite"):
        class_spread(chosen)
