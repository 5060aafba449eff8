"""Moments: numpy's mean and covariance, sums over any division of the rows, streams that hold little, files."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from oodml.errors import LadderError
from oodml.splits import frechet_distance
from oodml.splits.moments import CHUNK, Moments

Array = NDArray[np.float64]


def normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


def assert_same(found: Moments, expected: Moments, rel: float = 1e-9) -> None:
    assert found.count == expected.count
    np.testing.assert_allclose(found.mean, expected.mean, rtol=rel, atol=rel)
    np.testing.assert_allclose(found.scatter, expected.scatter, rtol=rel, atol=rel)


def test_a_table_by_hand() -> None:
    # rows (0, 1), (2, 1), (4, 4): mean (2, 2); deviations (-2, -1), (0, -1), (2, 2)
    # scatter: 4 + 0 + 4 = 8, 2 + 0 + 4 = 6, 1 + 1 + 4 = 6; covariance: half of it
    moments = Moments.of([[0, 1], [2, 1], [4, 4]])
    assert moments.count == 3
    assert moments.mean.tolist() == [2.0, 2.0]
    assert moments.scatter.tolist() == [[8.0, 6.0], [6.0, 6.0]]
    assert moments.covariance.tolist() == [[4.0, 3.0], [3.0, 3.0]]


@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(2, 6))
def test_they_are_numpys_mean_and_covariance(seed: int, n: int, d: int) -> None:
    rows = normal(seed, n, d) * 3 + 50
    moments = Moments.of(rows)
    assert moments.count == n
    np.testing.assert_allclose(moments.mean, np.mean(rows, axis=0), rtol=1e-12)
    np.testing.assert_allclose(moments.covariance, np.cov(rows.T), rtol=1e-9, atol=1e-12)


@given(st.integers(0, 10_000), st.lists(st.integers(0, 5), min_size=1, max_size=40))
def test_the_parts_of_any_partition_add_up_to_the_whole(seed: int, owners: list[int]) -> None:
    rows, owner = normal(seed, len(owners), 3) + 2, np.array(owners)
    parts = [Moments.of(rows[owner == part]) for part in set(owners)]
    assert_same(reduce(add, parts), Moments.of(rows))


@given(st.integers(0, 10_000), st.tuples(*[st.integers(1, 12)] * 3))
def test_addition_does_not_depend_on_order_or_brackets(seed: int, sizes: tuple[int, int, int]) -> None:
    a, b, c = (Moments.of(normal(seed + n, n, 4) * 2 + n) for n in sizes)
    assert_same(a + b, b + a)
    assert_same((a + b) + c, a + (b + c))


def test_digits_survive_far_from_the_origin() -> None:
    rows = normal(0, 60, 3)
    far = rows + 1e7
    added = Moments.of(far[:7]) + Moments.of(far[7:])
    np.testing.assert_allclose(added.covariance, np.cov(rows.T), rtol=1e-6, atol=1e-7)


@given(st.integers(0, 10_000), st.lists(st.integers(0, 9), min_size=1, max_size=12).filter(any))
def test_a_stream_of_parts_of_any_size_is_the_whole(seed: int, sizes: list[int]) -> None:
    rows = normal(seed, sum(sizes), 3)
    parts = np.split(rows, np.cumsum(sizes)[:-1])  # empty parts are passed over
    assert_same(Moments.stream(parts), Moments.of(rows))


def test_a_stream_may_be_a_generator_that_runs_once() -> None:
    rows = normal(1, 100, 4)

    def batches() -> Iterator[Array]:
        for start in range(0, 100, 30):
            yield rows[start : start + 30]

    assert_same(Moments.stream(batches()), Moments.of(rows))


def test_a_stream_of_memory_mapped_files_is_the_whole(tmp_path: Path) -> None:
    rows = (normal(2, 2 * CHUNK + 77, 3) + 4).astype(np.float32)
    np.save(tmp_path / "first.npy", rows[: CHUNK + 50])
    np.save(tmp_path / "second.npy", rows[CHUNK + 50 :])
    files = (np.load(tmp_path / name, mmap_mode="r") for name in ("first.npy", "second.npy"))
    assert_same(Moments.stream(files), Moments.of(rows))


class Watched(np.ndarray[Any, Any]):
    """An array that notes how many rows are taken of it at once."""

    taken: list[int]

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key).view(np.ndarray)
        self.taken.append(len(part))
        return part


def test_a_stream_never_takes_more_than_a_chunk_of_rows_at_once() -> None:
    rows = normal(3, 2 * CHUNK + 77, 2).astype(np.float32)
    watched = rows.view(Watched)
    watched.taken = []
    assert_same(Moments.stream([watched]), Moments.of(rows))
    assert watched.taken == [CHUNK, CHUNK, 77]


def test_what_is_saved_is_read_back_to_the_bit(tmp_path: Path) -> None:
    moments = Moments.of(normal(4, 9, 5))
    moments.save(tmp_path / "new" / "moments.npz")
    found = Moments.load(tmp_path / "new" / "moments.npz")
    assert found.count == moments.count and type(found.count) is int
    assert np.array_equal(found.mean, moments.mean)
    assert np.array_equal(found.scatter, moments.scatter)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["moments.npz"]


def test_parts_computed_apart_and_saved_give_the_distance_of_the_whole(tmp_path: Path) -> None:
    sides = normal(5, 90, 6), normal(6, 70, 6) * 2 + 1
    totals = []
    for name, side in zip("xy", sides, strict=True):
        files = [tmp_path / f"{name}{part}.npz" for part in range(3)]
        for file, rows in zip(files, np.array_split(side, 3), strict=True):
            Moments.of(rows).save(file)
        totals.append(reduce(add, map(Moments.load, reversed(files))))
    assert frechet_distance(*totals) == pytest.approx(frechet_distance(*sides), rel=1e-9)


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_file_that_was_cut_short_is_refused(tmp_path: Path, part: float) -> None:
    path = tmp_path / "moments.npz"
    Moments.of(normal(7, 9, 5)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(LadderError, match=r"moments\.npz holds no moments \(cut short\?\)"):
        Moments.load(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", embeddings=np.zeros((3, 2)))
    np.save(tmp_path / "array.npy", np.zeros((3, 2)))
    (tmp_path / "text.npz").write_text("no array at all")
    for name in ("other.npz", "array.npy", "text.npz", "missing.npz"):
        with pytest.raises(LadderError, match=f"{name} holds no moments"):
            Moments.load(tmp_path / name)


def test_moments_of_other_dimensions_do_not_add_up() -> None:
    with pytest.raises(LadderError, match="moments of 3 and 2 dimensions do not add up"):
        Moments.of(normal(8, 4, 3)) + Moments.of(normal(8, 4, 2))
    with pytest.raises(LadderError, match="moments of 3 and 2 dimensions do not add up"):
        Moments.stream([normal(8, 4, 3), normal(8, 4, 2)])


@pytest.mark.parametrize("chunks", [[], [np.empty((0, 3))]])
def test_an_empty_stream_is_named(chunks: list[Array]) -> None:
    with pytest.raises(LadderError, match="no rows to take moments of"):
        Moments.stream(chunks)


def test_one_row_has_a_mean_but_no_covariance() -> None:
    one = Moments.of([[3.0, 4.0]])
    assert one.mean.tolist() == [3.0, 4.0]
    assert not one.scatter.any()
    with pytest.raises(LadderError, match="a covariance needs at least 2 rows, got 1"):
        _ = one.covariance
    with pytest.raises(LadderError, match="at least 2 rows, got 1"):
        frechet_distance(one, Moments.of(normal(9, 4, 2)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_counted(value: float) -> None:
    rows = normal(10, 5, 3)
    rows[[1, 4], 2] = value
    with pytest.raises(LadderError, match="2 of 5 rows hold NaN or infinity"):
        Moments.of(rows)
    with pytest.raises(LadderError, match="2 of 5 rows hold NaN or infinity"):
        Moments.stream([normal(11, 5, 3), rows])


@pytest.mark.parametrize("rows", [np.zeros(4), np.zeros((0, 3)), np.zeros((3, 0)), np.zeros((2, 2, 2)), [["a"], ["b"]]])
def test_what_is_no_matrix_of_numbers_is_refused(rows: Any) -> None:
    with pytest.raises(LadderError, match=r"moments need rows of numbers, shape \(n, d\)"):
        Moments.of(rows)
