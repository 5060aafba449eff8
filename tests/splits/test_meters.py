"""Meters give what the plain functions give of the rows of both sides, along any walk and from sub-samples."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from oodml.splits import frechet_distance, meters
from oodml.splits.features import FeatureTable
from oodml.splits.kernels import median_distance, mmd
from oodml.splits.measures import MEASURES, STATISTICS, measured_space
from oodml.splits.meters import KernelMeter, Meter, RowMeter, SlicedMeter, frechet_meter
from oodml.splits.moment_meter import MomentMeter
from oodml.splits.points import Rows
from oodml.splits.sliced import sliced_wasserstein

Array = NDArray[np.float64]
SEEDS = st.integers(0, 10_000)
SHAPES = [pytest.param(16, 10, id="few-classes"), pytest.param(30, 5, id="many-classes")]


def images(classes: int, d: int, seed: int = 0, most: int = 6) -> tuple[Array, NDArray[np.int64], list[str]]:
    """Images in no order, 1 to `most` a class; class numbers are in the order of the names."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(classes), rng.integers(1, most + 1, classes)))
    labels = np.concatenate([np.arange(classes), labels])
    centres = rng.normal(size=(classes, d)) * 2 + 1
    return centres[labels] + rng.normal(size=(len(labels), d)), labels, [f"c{row:04d}" for row in range(classes)]


def means_of(features: Array, labels: NDArray[np.int64]) -> Array:
    return np.array([features[labels == number].mean(axis=0) for number in range(labels.max() + 1)])


def direct(measure: str, rows: Array, owner: Rows, train: Rows, test: Rows) -> float:
    """The plain function; the Gaussian kernel keeps one width for all divisions of a dataset."""
    distance: Any = partial(mmd, bandwidth=median_distance(rows)) if measure == "mmd" else MEASURES[measure].distance
    return float(distance(rows[np.isin(owner, train)], rows[np.isin(owner, test)]))


def divisions(classes: int, seed: int) -> list[tuple[Rows, Rows]]:
    """Divisions of all classes, of some, and of unequal sizes."""
    rng, half = np.random.default_rng(seed), classes // 2
    orders = [rng.permutation(classes) for _ in range(3)]
    cuts = [(half, classes), (half, classes - 2), (classes // 3, classes - 1)]
    return [
        (np.sort(order[:first]), np.sort(order[first:last])) for order, (first, last) in zip(orders, cuts, strict=True)
    ]


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("statistics", STATISTICS)
@pytest.mark.parametrize(("classes", "d"), SHAPES)
def test_every_meter_is_the_plain_function_of_both_sides(statistics: str, measure: str, classes: int, d: int) -> None:
    features, labels, names = images(classes, d)
    means = means_of(features, labels)
    rows, owner = (features, labels) if statistics == "images" else (means, np.arange(classes))
    table = FeatureTable.of_images(features, labels, names)
    space = measured_space(means, names, measure=measure, statistics=statistics, images=table)
    assert space.meter.note == ""
    for train, test in divisions(classes, 1):
        expected = direct(measure, rows, owner, train, test)
        assert space.shift(train, test) == pytest.approx(expected, rel=1e-9, abs=1e-9)
        assert space.shift(test, train) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_the_cheaper_form_measures_class_means() -> None:
    points = np.random.default_rng(2).normal(size=(21, 10))
    assert isinstance(frechet_meter(points[:20]), RowMeter)
    assert isinstance(frechet_meter(points), MomentMeter)
    train, test = np.arange(11), np.arange(11, 21)
    forms: list[Meter] = [RowMeter(points), MomentMeter(FeatureTable.of_classes(points))]
    values = [form.shift(train, test) for form in forms]
    assert values == pytest.approx([frechet_distance(points[:11], points[11:])] * 2, rel=1e-6)  # 10 rows: rank 9


def test_images_fewer_than_dimensions_are_measured_too() -> None:
    features, labels, names = images(8, 60, most=3)
    meter = MomentMeter(FeatureTable.of_images(features, labels, names))
    train, test = np.arange(4), np.arange(4, 8)
    expected = frechet_distance(features[labels < 4], features[labels >= 4])
    assert meter.shift(train, test) == pytest.approx(expected, rel=1e-6)


class Walk:
    """A division that is changed step by step; every side keeps at least four classes."""

    def __init__(self, classes: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.out: list[int] = []
        self.jump(classes)

    def jump(self, classes: int) -> None:
        order = self.rng.permutation(classes)
        cut = int(self.rng.integers(4, classes - 3))
        self.out, self.sides = [], [order[:cut].tolist(), order[cut:].tolist()]

    def step(self, kind: str, classes: int) -> tuple[Rows, Rows]:
        one, other = self.sides if self.rng.random() < 0.5 else self.sides[::-1]
        if kind == "exchange":
            i, j = self.rng.integers(len(one)), self.rng.integers(len(other))
            one[i], other[j] = other[j], one[i]
        elif kind == "remove" and len(one) > 4:
            self.out.append(one.pop(int(self.rng.integers(len(one)))))
        elif kind == "return" and self.out:
            one.append(self.out.pop())
        elif kind == "jump":
            self.jump(classes)
        return np.sort(self.sides[0]), np.sort(self.sides[1])


STEPS = st.lists(st.sampled_from(["exchange", "remove", "return", "jump", "stay"]), min_size=1, max_size=25)


@given(SEEDS, STEPS)
@settings(max_examples=40)
def test_moments_follow_any_walk_exactly(seed: int, steps: list[str]) -> None:
    features, labels, names = images(14, 3, seed)
    of_images = MomentMeter(FeatureTable.of_images(features, labels, names))
    of_means = MomentMeter(FeatureTable.of_classes(means_of(features, labels)))
    walk = Walk(14, seed)
    for kind in steps:
        train, test = walk.step(kind, 14)
        expected = direct("fid", features, labels, train, test)
        assert of_images.shift(train, test) == pytest.approx(expected, rel=1e-9)
        expected = direct("fid", means_of(features, labels), np.arange(14), train, test)
        assert of_means.shift(train, test) == pytest.approx(expected, rel=1e-9)


@given(SEEDS, st.permutations(range(12)))
@settings(max_examples=20)
def test_the_order_of_visits_does_not_matter(seed: int, order: list[int]) -> None:
    features, labels, names = images(14, 3, seed)
    table = FeatureTable.of_images(features, labels, names)
    walk = Walk(14, seed)
    visits = [walk.step(kind, 14) for kind in ["exchange", "remove", "exchange", "jump"] * 3]
    values = [MomentMeter(table).shift(*visit) for visit in visits]
    meter = MomentMeter(table)
    for number in [*order, *order]:
        assert meter.shift(*visits[number]) == pytest.approx(values[number], rel=1e-9)


def test_a_long_walk_far_from_the_origin_does_not_drift() -> None:
    features, labels, names = images(14, 3)
    meter = MomentMeter(FeatureTable.of_images(features + 1000, labels, names))
    walk = Walk(14, 5)
    for _ in range(1500):
        train, test = walk.step("exchange", 14)
        value = meter.shift(train, test)
    assert value == pytest.approx(direct("fid", features, labels, train, test), rel=1e-9)


def test_an_exchange_reads_only_the_classes_that_move(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels, names = images(20, 3)
    meter, read = MomentMeter(FeatureTable.of_images(features, labels, names)), []
    original = FeatureTable.scatter

    def scatter(table: FeatureTable, classes: Rows) -> Array:
        read.extend(classes.tolist())
        return original(table, classes)

    monkeypatch.setattr(FeatureTable, "scatter", scatter)
    train, test = np.arange(10), np.arange(10, 20)
    meter.shift(train, test)
    assert set(read) == set(range(20))
    read.clear()
    moved = np.append(train[1:], 15), np.sort(np.append(np.delete(test, 5), 0))
    meter.shift(*moved)
    assert sorted(read) == [0, 15]
    read.clear()
    meter.shift(train, test)  # still remembered
    assert read == []


@pytest.mark.parametrize("block", [1, 3, 7, 1000])
def test_blocks_do_not_change_the_sums_of_a_kernel(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    features, labels, names = images(12, 4, most=9)
    table = FeatureTable.of_images(features, labels, names)
    expected = KernelMeter(table, "kid").sums
    monkeypatch.setattr(meters, "BLOCK", block)
    np.testing.assert_allclose(KernelMeter(table, "kid").sums, expected, rtol=1e-9)


def parted(classes: int, each: int) -> tuple[FeatureTable, Rows, Rows]:
    """Images of classes on a line, and the division of its two halves."""
    rng = np.random.default_rng(6)
    labels = np.repeat(np.arange(classes), each + np.arange(classes) % 3)
    features = rng.normal(size=(len(labels), 4)) + labels[:, None] / classes * [3, 1, 0, 0]
    table = FeatureTable.of_images(features, labels, [f"c{row:04d}" for row in range(classes)])
    half = classes // 2
    return table, np.arange(half), np.arange(half, classes)


@pytest.mark.parametrize("measure", ["kid", "mmd", "sliced_wasserstein"])
def test_a_sub_sample_of_images_is_noted_and_measures_nearly_the_same(
    monkeypatch: pytest.MonkeyPatch, measure: str
) -> None:
    table, train, test = parted(20, 100)

    def meter() -> Meter:
        return SlicedMeter(table) if measure == "sliced_wasserstein" else KernelMeter(table, measure)

    whole = meter()
    assert whole.note == ""
    monkeypatch.setattr(meters, "KERNEL_ROWS", 600)
    monkeypatch.setattr(meters, "SLICED_ROWS", 600)
    thin = meter()
    assert thin.note == "shift measured on 600 of 2,019 rows, 20 of 20 classes (a fixed sub-sample)"
    assert thin.shift(train, test) == pytest.approx(whole.shift(train, test), rel=0.15)
    assert meter().shift(train, test) == thin.shift(train, test)


@pytest.mark.parametrize("measure", ["kid", "mmd"])
def test_a_sub_sample_of_classes_is_noted_and_has_no_bias(monkeypatch: pytest.MonkeyPatch, measure: str) -> None:
    means = np.random.default_rng(7).normal(size=(300, 3))
    whole = KernelMeter(FeatureTable.of_classes(means), measure)
    monkeypatch.setattr(meters, "KERNEL_CLASSES", 100)
    thin = KernelMeter(FeatureTable.of_classes(means), measure)
    assert thin.note == "shift measured on 100 of 300 rows, 100 of 300 classes (a fixed sub-sample)"
    along = np.argsort(means[:, 0])
    halves = np.sort(along[:150]), np.sort(along[150:])
    assert thin.shift(*halves) == pytest.approx(whole.shift(*halves), rel=0.3)
    rng = np.random.default_rng(8)
    values = [thin.shift(order[:150], order[150:]) for order in (rng.permutation(300) for _ in range(400))]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))


def test_a_sub_sample_of_classes_keeps_whose_projections_are_whose(monkeypatch: pytest.MonkeyPatch) -> None:
    means = np.random.default_rng(10).normal(size=(300, 3))
    table = FeatureTable.of_classes(means)
    along = np.argsort(means[:, 0])
    halves = np.sort(along[:150]), np.sort(along[150:])
    monkeypatch.setattr(meters, "SLICED_ROWS", 100)
    thin = SlicedMeter(table)
    assert thin.note == "shift measured on 100 of 300 rows, 100 of 300 classes (a fixed sub-sample)"
    kept = table.thinned(100, 100)[1]
    x, y = (means[np.intersect1d(half, kept)] for half in halves)
    assert len(x) + len(y) == 100
    assert thin.shift(*halves) == pytest.approx(sliced_wasserstein(x, y), rel=1e-9)


def test_classes_outside_the_sub_sample_do_not_change_what_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters, "KERNEL_CLASSES", 30)
    meter = KernelMeter(FeatureTable.of_classes(np.random.default_rng(9).normal(size=(60, 3))), "kid")
    inside, outside = np.flatnonzero(meter.place >= 0), np.flatnonzero(meter.place < 0)
    assert len(inside) == len(outside) == 30
    value = meter.shift(inside[:15], inside[15:])
    assert meter.shift(np.sort(np.append(inside[:15], outside[:20])), inside[15:]) == pytest.approx(value, rel=1e-12)
    assert meter.shift(inside[:14], inside[14:]) != value
