"""Measures by name, and the levels of a ladder measured anew with other features or another measure."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from oodml.errors import LadderError, UnknownNameError
from oodml.records import Ladder
from oodml.splits import frechet_distance, make_ladder
from oodml.splits.features import FeatureTable
from oodml.splits.kernels import kid, median_distance, mmd
from oodml.splits.measures import MEASURES, STATISTICS, check_measure, level_shifts, measured_space
from oodml.splits.sliced import sliced_wasserstein

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
CLASSES = 20
NAMES = [f"class {row:02d}" for row in range(CLASSES)]


def example() -> tuple[Array, Labels]:
    """Images in no order, 2 to 6 a class."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.concatenate([np.repeat(np.arange(CLASSES), 2), rng.integers(0, CLASSES, 40)]))
    centres = rng.normal(size=(CLASSES, 5)) * [3, 2, 1, 1, 0.5] + 1
    return centres[labels] + rng.normal(size=(len(labels), 5)), labels


def means_of(features: Array, labels: Labels) -> Array:
    return np.array([features[labels == number].mean(axis=0) for number in range(CLASSES)])


def ladder_of(features: Array, labels: Labels, **options: Any) -> Ladder:
    settings = {"levels": 4, "null_draws": 2, "generator": "removal", "features": features, "labels": labels, **options}
    return make_ladder(means_of(features, labels), NAMES, **settings)


def directly(ladder: Ladder, features: Array, labels: Labels, measure: str, statistics: str) -> list[float]:
    """The plain function of the rows of both sides, one level after the other."""
    rows, owner = (features, labels) if statistics == "images" else (means_of(features, labels), np.arange(CLASSES))
    distance: Any = partial(mmd, bandwidth=median_distance(rows)) if measure == "mmd" else MEASURES[measure].distance
    number = {name: place for place, name in enumerate(NAMES)}
    shifts = []
    for level in ladder.levels:
        x, y = (rows[np.isin(owner, [number[name] for name in side])] for side in (level.train, level.test))
        shifts.append(float(distance(x, y)))
    return shifts


def test_the_measures_are_named_after_their_functions() -> None:
    assert {name: measure.distance for name, measure in MEASURES.items()} == {
        "fid": frechet_distance,
        "kid": kid,
        "mmd": mmd,
        "sliced_wasserstein": sliced_wasserstein,
    }
    assert all(measure.name == name and measure.summary for name, measure in MEASURES.items())


def test_the_measures_that_are_called_biased_are() -> None:
    rng = np.random.default_rng(1)
    pairs = [rng.normal(size=(2, 20, 8)) for _ in range(200)]
    for measure in MEASURES.values():
        values = [measure.distance(x, y) for x, y in pairs]
        error = np.std(values) / np.sqrt(len(values))
        assert (abs(np.mean(values)) > 5 * error) == measure.biased, measure.name


@pytest.mark.parametrize(
    ("measure", "statistics", "message"),
    [
        ("fids", "class-means", "unknown measure of shift 'fids'; did you mean 'fid'"),
        ("sliced", "images", "did you mean 'sliced_wasserstein'"),
        ("entropy", "images", "known: fid, kid, mmd, sliced_wasserstein"),
        ("fid", "class_means", "unknown statistics 'class_means'; did you mean 'class-means'"),
        ("kid", "image", "did you mean 'images'"),
    ],
)
def test_unknown_names_offer_the_closest(measure: str, statistics: str, message: str) -> None:
    features, labels = example()
    chosen: dict[str, Any] = {"measure": measure, "statistics": statistics}
    with pytest.raises(UnknownNameError, match=message):
        check_measure(measure, statistics)
    with pytest.raises(UnknownNameError, match=message):
        measured_space(means_of(features, labels), NAMES, **chosen)
    with pytest.raises(UnknownNameError, match=message):
        level_shifts(ladder_of(features, labels), features, labels, NAMES, **chosen)


@pytest.mark.parametrize("measure", MEASURES)
def test_images_are_needed_to_measure_images(measure: str) -> None:
    means = means_of(*example())
    with pytest.raises(LadderError, match="needs the features of the images"):
        measured_space(means, NAMES, measure=measure, statistics="images")


@pytest.mark.parametrize("measure", MEASURES)
def test_class_means_are_measured_whatever_images_there_are(measure: str) -> None:
    features, labels = example()
    means = means_of(features, labels)
    images = FeatureTable.of_images(features * 7 + 3, labels, NAMES)
    alone, beside = (measured_space(means, NAMES, measure=measure, images=given) for given in (None, images))
    train, test = np.arange(9), np.arange(9, CLASSES)
    assert alone.shift(train, test) == beside.shift(train, test)


@pytest.mark.parametrize("measure", MEASURES)
def test_means_are_measured_by_name_whatever_their_order(measure: str) -> None:
    means = means_of(*example())
    order = np.random.default_rng(2).permutation(CLASSES)
    spaces = [
        measured_space(means, NAMES, measure=measure),
        measured_space(means[order], [NAMES[row] for row in order], measure=measure),
    ]
    one, other = (space.shift(space.rows(NAMES[:8]), space.rows(NAMES[8:])) for space in spaces)
    assert one == pytest.approx(other, rel=1e-9)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("statistics", STATISTICS)
def test_levels_measured_anew_have_the_shifts_of_their_ladder(statistics: str, measure: str) -> None:
    features, labels = example()
    ladder = ladder_of(features, labels, measure=measure, statistics=statistics)
    assert any(len(level.train + level.test) < CLASSES for level in ladder.levels)  # removal has left some out
    shifts = level_shifts(ladder, features, labels, NAMES, measure=measure, statistics=statistics)
    assert shifts == pytest.approx([level.shift for level in ladder.levels], rel=1e-9)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("statistics", STATISTICS)
def test_levels_can_be_measured_otherwise_than_they_were_made(statistics: str, measure: str) -> None:
    features, labels = example()
    ladder = ladder_of(features, labels)
    other = np.tanh(features) @ np.random.default_rng(3).normal(size=(5, 4)) + 2
    shifts = level_shifts(ladder, other, labels, NAMES, measure=measure, statistics=statistics)
    assert shifts == pytest.approx(directly(ladder, other, labels, measure, statistics), rel=1e-9)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("statistics", STATISTICS)
def test_the_order_of_rows_and_classes_does_not_matter_nor_do_extra_classes(statistics: str, measure: str) -> None:
    features, labels = example()
    ladder = ladder_of(features, labels)
    rng = np.random.default_rng(4)
    rows, names = rng.permutation(len(labels) + 3), rng.permutation([*NAMES, "no class of the ladder"]).tolist()
    owners = np.array([*(names.index(NAMES[label]) for label in labels), *[names.index("no class of the ladder")] * 3])
    with_extra = np.concatenate([features, np.full((3, 5), 1e3)])
    chosen: dict[str, Any] = {"measure": measure, "statistics": statistics}
    shifts = level_shifts(ladder, with_extra[rows], owners[rows], names, **chosen)
    assert shifts == pytest.approx(level_shifts(ladder, features, labels, NAMES, **chosen), rel=1e-9)


def test_features_may_be_memory_mapped(tmp_path: Path) -> None:
    features, labels = example()
    ladder = ladder_of(features, labels)
    np.save(tmp_path / "features.npy", features)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    assert level_shifts(ladder, mapped, labels, NAMES) == level_shifts(ladder, features, labels, NAMES)


def test_a_class_without_features_is_named() -> None:
    features, labels = example()
    ladder = ladder_of(features, labels)
    kept = ~np.isin(labels, [7, 11])
    with pytest.raises(LadderError, match=r"no features of the class 'class 07' \(2 of 20 missing\)"):
        level_shifts(ladder, features[kept], labels[kept], NAMES)
    renamed = ["another name", *NAMES[1:]]
    with pytest.raises(LadderError, match=r"no features of the class 'class 00' \(1 of 20 missing\)"):
        level_shifts(ladder, features, labels, renamed)


def test_features_that_are_not_finite_name_their_class_but_only_where_they_count() -> None:
    features, labels = example()
    ladder = ladder_of(features, labels)
    more = np.concatenate([features, np.full((1, 5), np.nan)])
    with pytest.raises(LadderError, match="NaN or infinity, first in a row of class 'class 03'"):
        level_shifts(ladder, more, np.append(labels, 3), NAMES)
    extra = [*NAMES, "no class of the ladder"]
    assert level_shifts(ladder, more, np.append(labels, CLASSES), extra) == pytest.approx(
        level_shifts(ladder, features, labels, NAMES), rel=1e-9
    )
