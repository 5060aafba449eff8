"""Feature rows by class: sums, counts, scatter and reading order against loops, origin, thinning, bad input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from oodml.errors import LadderError
from oodml.splits import features as module
from oodml.splits.features import FeatureTable

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
NAMES = ["fox", "ant", "elk", "bee"]  # by name: ant 1, bee 3, elk 2, fox 0
BY_NAME = [1, 3, 2, 0]


def normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


def example(seed: int = 0, n: int = 23, d: int = 3) -> tuple[Array, Labels]:
    """Features and labels in no order, every class of NAMES with a row."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.concatenate([np.arange(4), rng.integers(0, 4, n - 4)]))
    return rng.normal(size=(n, d)) + labels[:, None] * 10 + 3, labels


def read_all(table: FeatureTable, classes: list[int]) -> tuple[list[int], Array]:
    """Everything that `read` gives, about zero."""
    parts = list(table.read(np.array(classes)))
    return [int(one) for owner, _ in parts for one in owner], np.concatenate([rows for _, rows in parts]) + table.origin


def test_a_table_by_hand() -> None:
    # classes by name: ant (rows 1 and 3), bee (row 0); mean of all rows: (3, 4)
    table = FeatureTable.of_images(np.array([[3, 0], [1, 4], [5, 8]]), np.array([0, 1, 1]), ["bee", "ant"])
    assert len(table) == 2 and table.dimension == 2
    assert table.counts.tolist() == [2, 1]
    assert table.order.tolist() == [1, 2, 0]
    assert np.array_equal(table.origin, [3, 4])
    assert table.sums.tolist() == [[0.0, 4.0], [0.0, -4.0]]  # (1, 4) + (5, 8) and (3, 0), each less (3, 4)
    assert table.scatter(np.array([0])).tolist() == [[8.0, 8.0], [8.0, 16.0]]  # of (-2, 0) and (2, 4)


@given(st.integers(0, 10_000), st.integers(4, 40))
def test_counts_sums_and_scatter_are_those_of_loops(seed: int, n: int) -> None:
    features, labels = example(seed, n)
    table = FeatureTable.of_images(features, labels, NAMES)
    np.testing.assert_allclose(table.origin, features.mean(axis=0), rtol=1e-12)
    for place, number in enumerate(BY_NAME):
        rows = [row - features.mean(axis=0) for row, label in zip(features, labels, strict=True) if label == number]
        assert table.counts[place] == len(rows)
        np.testing.assert_allclose(table.sums[place], sum(rows, np.zeros(3)), atol=1e-9)
        scatter = sum((np.outer(row, row) for row in rows), np.zeros((3, 3)))
        np.testing.assert_allclose(table.scatter(np.array([place])), scatter, atol=1e-9)


def test_rows_are_read_by_class_name_and_within_a_class_in_their_order() -> None:
    features, labels = example()
    table = FeatureTable.of_images(features, labels, NAMES)
    owners, rows = read_all(table, [0, 1, 2, 3])
    assert owners == sorted(owners)
    np.testing.assert_allclose(rows, np.concatenate([features[labels == number] for number in BY_NAME]), rtol=1e-12)


def test_only_the_wanted_classes_are_read_in_the_order_asked_for() -> None:
    features, labels = example()
    table = FeatureTable.of_images(features, labels, NAMES)
    owners, rows = read_all(table, [3, 1])
    assert owners == [3] * int(table.counts[3]) + [1] * int(table.counts[1])
    np.testing.assert_allclose(rows, np.concatenate([features[labels == 0], features[labels == 3]]), rtol=1e-12)
    assert list(table.read(np.array([], dtype=np.int64))) == []
    assert not table.scatter(np.array([], dtype=np.int64)).any()


@given(st.integers(0, 10_000))
def test_the_order_of_rows_and_of_names_does_not_matter(seed: int) -> None:
    features, labels = example()
    table = FeatureTable.of_images(features, labels, NAMES)
    rng = np.random.default_rng(seed)
    rows, names = rng.permutation(len(labels)), rng.permutation(4)
    place = np.argsort(names)
    other = FeatureTable.of_images(features[rows], place[labels[rows]], [NAMES[number] for number in names])
    assert np.array_equal(other.counts, table.counts)
    np.testing.assert_allclose(other.sums, table.sums, atol=1e-9)
    np.testing.assert_allclose(other.scatter(np.array([1, 2])), table.scatter(np.array([1, 2])), atol=1e-9)


@pytest.mark.parametrize("chunk", [1, 2, 5, 22, 23, 24])
def test_parts_hold_no_more_than_a_chunk_and_change_nothing(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    features, labels = example()
    whole = FeatureTable.of_images(features, labels, NAMES)
    sums, scatter = whole.sums, whole.scatter(np.arange(4))
    monkeypatch.setattr(module, "CHUNK", chunk)
    table = FeatureTable.of_images(features, labels, NAMES)
    sizes = [len(rows) for _, rows in table.read(np.arange(4))]
    assert sum(sizes) == 23 and max(sizes) == min(chunk, 23)
    np.testing.assert_allclose(table.sums, sums, atol=1e-9)
    np.testing.assert_allclose(table.scatter(np.arange(4)), scatter, atol=1e-9)


def test_class_means_are_rows_of_their_own_about_zero() -> None:
    means = normal(0, 5, 3)
    table = FeatureTable.of_classes(means)
    assert table.counts.tolist() == [1] * 5
    assert np.array_equal(table.sums, means)
    order = np.array([4, 0, 3, 1, 2])
    assert np.array_equal(FeatureTable.of_classes(means, order).sums, means[order])


def test_the_origin_is_taken_off_every_row() -> None:
    features, labels = example()
    table = FeatureTable.of_images(features, labels, NAMES)
    plain, origin = replace(table, origin=0.0), np.asarray(table.origin)
    np.testing.assert_allclose(plain.sums, table.sums + table.counts[:, None] * origin, rtol=1e-9)
    both = np.array([0, 2])
    total, count = table.sums[both].sum(axis=0), table.counts[both].sum()
    shifted = np.outer(total, origin) + np.outer(origin, total) + count * np.outer(origin, origin)
    np.testing.assert_allclose(plain.scatter(both), table.scatter(both) + shifted, rtol=1e-9)


def test_digits_survive_far_from_the_origin() -> None:
    features, labels = example()
    near, far = (FeatureTable.of_images(features + offset, labels, NAMES) for offset in (0, 1e8))
    np.testing.assert_allclose(far.scatter(np.arange(4)), near.scatter(np.arange(4)), rtol=1e-6)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.int32])
def test_memory_mapped_rows_of_any_type_are_read_as_float64(tmp_path: Path, kind: type[np.generic]) -> None:
    features, labels = example()
    np.save(tmp_path / "features.npy", features.astype(kind))
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    table = FeatureTable.of_images(mapped, labels, NAMES)
    assert isinstance(table.values, np.memmap)
    assert all(rows.dtype == np.float64 for _, rows in table.read(np.arange(4)))
    expected = FeatureTable.of_images(features.astype(kind).astype(np.float64), labels, NAMES)
    np.testing.assert_allclose(table.sums, expected.sums, atol=1e-9)


def sized(counts: list[int]) -> FeatureTable:
    """A table whose only number is the row number, classes of the given sizes in turn."""
    labels = np.repeat(np.arange(len(counts)), counts)
    names = [f"{number:05d}" for number in range(len(counts))]
    return FeatureTable.of_images(np.arange(len(labels), dtype=np.float64)[:, None], labels, names)


def test_a_table_within_the_limits_stays_as_it_is() -> None:
    table = sized([3, 5, 4])
    thin, classes = table.thinned(15, 3)
    assert thin is table
    assert classes.tolist() == [0, 1, 2]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.integers(8, 200))
def test_few_classes_are_all_kept_with_rows_evenly_spaced(counts: list[int], most: int) -> None:
    table = sized(counts)
    thin, classes = table.thinned(most, 8)
    assert classes.tolist() == list(range(len(counts)))
    assert len(thin.order) <= max(most, len(counts))
    for number, have in enumerate(counts):
        kept = thin.order[thin.starts[number] : thin.starts[number + 1]] - table.starts[number]
        assert len(kept) == min(have, most // len(counts))
        assert kept[0] == 0 and kept[-1] == (have - 1 if len(kept) > 1 else 0)
        gaps = np.diff(kept)
        assert len(gaps) == 0 or (gaps.min() >= 1 and gaps.max() - gaps.min() <= 1)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 100))
def test_many_classes_are_drawn_without_repeats_and_keep_their_rows(have: int, most: int, rows: int) -> None:
    table = sized([2] * have)
    thin, classes = table.thinned(rows, most)
    assert len(thin) == len(classes) == min(have, most)
    assert (np.diff(classes) > 0).all()
    owners, kept = read_all(thin, list(range(len(thin))))
    assert (kept.ravel() // 2).astype(int).tolist() == [classes[owner] for owner in owners]
    assert len(kept) <= max(rows, len(classes))


def test_thinning_is_the_same_in_every_call_and_no_run_of_neighbours() -> None:
    table = sized([3] * 500)
    (first, classes), (second, again) = table.thinned(300, 100), table.thinned(300, 100)
    assert np.array_equal(classes, again)
    assert np.array_equal(first.order, second.order)
    assert classes.min() < 50 and classes.max() >= 450


def test_a_thinned_table_keeps_the_origin_of_the_whole() -> None:
    table = sized([40, 80])
    thin, _ = table.thinned(20, 2)
    assert thin.origin is table.origin
    owners, rows = read_all(thin, [0, 1])
    assert owners == [0] * 10 + [1] * 10
    np.testing.assert_allclose(rows.ravel(), thin.order, rtol=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_names_its_class(value: float) -> None:
    features, labels = example()
    features[np.flatnonzero(labels == 3)[-1], 1] = value
    with pytest.raises(LadderError, match="NaN or infinity, first in a row of class 'bee'"):
        FeatureTable.of_images(features, labels, NAMES)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        pytest.param([0, 1, 1, 3], NAMES, id="a-class-without-rows"),
        pytest.param([0, 1, 2, 2], NAMES, id="the-last-class-without-rows"),
        pytest.param([0, 1, 2, 1], NAMES[:2], id="a-row-of-no-class"),
        pytest.param([0, 1, -1, 1], NAMES[:2], id="a-negative-label"),
    ],
)
def test_labels_that_do_not_fit_the_classes_are_refused(labels: list[int], names: list[str]) -> None:
    with pytest.raises(LadderError, match=f"a row of each of the {len(names)} classes and of no other"):
        FeatureTable.of_images(normal(0, 4, 2), np.array(labels), names)


@pytest.mark.parametrize(("shape", "labels"), [((4,), 4), ((4, 2, 2), 4), ((4, 2), 3), ((3, 2), 4)])
def test_shapes_that_do_not_fit_are_named(shape: tuple[int, ...], labels: int) -> None:
    with pytest.raises(LadderError, match=r"should be \(n, d\) and \(n,\)"):
        FeatureTable.of_images(np.zeros(shape), np.zeros(labels, dtype=np.int64), ["only"])
