from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from naive_metrics import cosines, euclidean

from oodml.errors import DatasetError, UnknownNameError
from oodml.ranking import rows as rows_module
from oodml.ranking.layout import by_class
from oodml.ranking.rows import Rows, survey
from oodml.ranking.space import Space, check_distance, has_few_bits, power_scaled

RNG = np.random.default_rng(0)


def similar(values: Any, distance: Any, keep: bool = True) -> Any:
    values = np.asarray(values)
    numbers = np.arange(len(values))
    rows = Rows(values, numbers, survey({"embedding": (values, numbers)}, distance), "cpu", keep)
    block = rows.block(0, len(rows))
    return rows.space.similarity(block, block).numpy()


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("values", [RNG.normal(size=(9, 5)), RNG.integers(-3, 4, (9, 40)), RNG.random((9, 4)) > 0.4])
def test_similarities_are_cosines_and_squared_distances(values: Any, keep: bool) -> None:
    values[~values.any(axis=1)] = 1
    np.testing.assert_allclose(similar(values, "cosine", keep), cosines(values), atol=1e-6)
    moved = similar(values + 5, "euclidean", keep)
    np.testing.assert_allclose(moved / moved.min(), euclidean(values) / euclidean(values).min(), atol=2e-6)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_similarities_are_symmetric_to_the_last_bit(distance: str) -> None:
    for values in (RNG.normal(size=(33, 7)), RNG.integers(0, 2, (33, 40)) + 1):
        found = similar(values, distance)
        np.testing.assert_array_equal(found, found.T)


@pytest.mark.parametrize("power", [-1060, -600, -30, 0, 30, 600, 1020])
def test_no_scale_overflows_or_underflows(power: int) -> None:
    values = RNG.integers(-7, 8, (12, 3)).astype(np.float64)
    values[~values.any(axis=1)] = 1
    scaled = np.ldexp(values, power)
    np.testing.assert_array_equal(similar(scaled, "cosine"), similar(values, "cosine"))
    found, plain = similar(scaled, "euclidean"), similar(values, "euclidean")
    np.testing.assert_array_equal(found / found.min(), plain / plain.min())


@pytest.mark.parametrize(("offset", "tolerance"), [(0, 1e-6), (10, 1e-6), (1000, 2e-3)])
def test_euclidean_keeps_digits_away_from_the_origin(offset: int, tolerance: float) -> None:
    # float32 holds squares of 1000 to a tenth: without a centre the error would be ten times the largest allowed here
    values = RNG.normal(size=(20, 6))
    found, exact = similar(values + offset, "euclidean"), euclidean(values)
    np.testing.assert_allclose(found / found.min(), exact / exact.min(), atol=tolerance)


def test_equal_values_in_a_column_of_all_zeros_are_no_problem() -> None:
    np.testing.assert_array_equal(similar(np.zeros((3, 2)), "euclidean"), np.zeros((3, 3)))


@pytest.mark.parametrize(
    ("values", "few"),
    [
        (np.array([[1, -1, 0]]), True),
        (np.array([[3.0, 0.25, 1e300 * 0]]), True),
        (np.full((1, 64), 127), True),
        (np.full((1, 64), 255), True),
        (np.array([[1.0, 2.0**-30]]), False),
        (np.array([[1 / 3, 1.0]]), False),
        (np.array([[1.0, 255 / 256, 0.0]]), True),
        (np.array([[1.0, 1023 / 1024] + [0.0] * 998]), False),
    ],
)
def test_few_bits_are_recognised(values: Any, few: bool) -> None:
    assert has_few_bits(values) == few


def test_products_of_rows_with_few_bits_are_exact() -> None:
    for d in (3, 8, 100, 1000, 2048):
        bits = max(b for b in range(12) if has_few_bits(np.full((1, d), 2.0**b - 1)))
        rows = np.full((2, d), 2**bits - 1)
        rows[1, ::2] *= -1
        rows[1, 0] -= 1
        scaled = power_scaled(rows)
        product = torch.mm(*(torch.tensor(m, dtype=torch.float32) for m in (scaled, scaled.T)))
        assert product.tolist() == [[math.fsum(a * b) for b in scaled] for a in scaled]


def test_a_survey_names_the_row_also_beyond_the_first_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "CHUNK", 4)
    values = RNG.normal(size=(20, 3))
    values[[13, 17], 1] = np.nan, np.inf
    numbers = np.array([2, 3, 5, 7, 11, 13, 17, 19])
    with pytest.raises(DatasetError, match=r"gallery row 13 has a value that is not finite \(2 such rows\)"):
        survey({"embedding": (values, numbers[:3]), "gallery": (values, numbers)}, "euclidean")
    values[[13, 17]] = 0
    with pytest.raises(DatasetError, match="embedding row 13 is all zeros"):
        survey({"embedding": (values, numbers)}, "cosine")
    assert survey({"embedding": (values, numbers)}, "euclidean").centre is not None
    assert not survey({"embedding": (values, numbers[:4])}, "cosine").coarse


def test_rows_that_are_not_asked_for_are_not_read() -> None:
    values = np.full((6, 2), np.nan)
    values[[1, 4]] = [[1.0, 0], [0, 1]]
    assert survey({"embedding": (values, np.array([1, 4]))}, "cosine").coarse


def test_blocks_are_the_rows_in_the_given_order() -> None:
    values, order = RNG.normal(size=(9, 4)).astype(np.float32), np.array([8, 0, 3, 3, 5])
    for keep in (True, False):
        rows = Rows(values, order, Space(lambda x, y: x @ y.t()), "cpu", keep)
        blocks = [block.rows.numpy() for block in rows.blocks(2)]
        assert [len(block) for block in blocks] == [2, 2, 1]
        np.testing.assert_array_equal(np.concatenate(blocks), values[order])
        copies = rows.first_copies()
        assert copies is not None
        assert copies.tolist() == [0, 1, 2, 2, 4]


def test_a_distance_is_a_known_name_or_a_function() -> None:
    def function(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x @ y.t()

    assert check_distance(function) is function
    for unknown in ("cosin", 3, None):
        with pytest.raises(UnknownNameError, match="unknown distance"):
            check_distance(unknown)  # type: ignore[arg-type]


def test_the_layout_has_small_classes_first_and_rows_in_order() -> None:
    layout, new = by_class(np.array([4, 0, 4, 2, 0, 4]))
    assert layout.order.tolist() == [3, 1, 4, 0, 2, 5]
    assert layout.group.tolist() == [0, 1, 1, 2, 2, 2]
    assert layout.starts.tolist() == [0, 1, 3, 6]
    assert layout.sizes.tolist() == [1, 2, 3]
    assert new.tolist() == [1, -1, 0, -1, 2]
