"""The measures of shift by name, and what they are taken of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from oodml.errors import LadderError, UnknownNameError
from oodml.records import Ladder
from oodml.splits.features import FeatureTable
from oodml.splits.frechet import frechet_distance
from oodml.splits.kernels import kid, mmd
from oodml.splits.meters import KernelMeter, Meter, SlicedMeter
from oodml.splits.moment_meter import MomentMeter
from oodml.splits.points import as_points
from oodml.splits.sliced import sliced_wasserstein
from oodml.splits.space import ClassSpace

STATISTICS = ("class-means", "images")


@dataclass(frozen=True)
class Measure:
    """A measure of shift.

    Attributes:
        name: Its name in ladders and on the command line.
        summary: One line about it.
        distance: The function of two sides, shapes (n, d) and (m, d).
        biased: Whether two samples of one distribution lie apart: then the null shift is what to compare with.
    """

    name: str
    summary: str
    distance: Callable[[ArrayLike, ArrayLike], float]
    biased: bool


MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure("fid", "squared Frechet distance of two Gaussians; the study's", frechet_distance, True),
        Measure("kid", "squared MMD, kernel (x.y/d + 1)^3, unbiased", kid, False),
        Measure("mmd", "squared MMD, Gaussian kernel of median width, unbiased", mmd, False),
        Measure("sliced_wasserstein", "squared 2-Wasserstein along 256 directions", sliced_wasserstein, True),
    )
}


def check_measure(measure: str, statistics: str) -> None:
    """Raises UnknownNameError unless there is such a measure and such statistics."""
    if measure not in MEASURES:
        raise UnknownNameError("measure of shift", measure, MEASURES)
    if statistics not in STATISTICS:
        raise UnknownNameError("statistics", statistics, STATISTICS)


def measured_space(
    class_means: ArrayLike,
    class_names: Sequence[str],
    *,
    measure: str = "fid",
    statistics: str = "class-means",
    images: FeatureTable | None = None,
) -> ClassSpace:
    """Class means with the meter that divisions of them are measured by.

    Args:
        class_means: Shape (C, d).
        class_names: Their unique names.
        measure: A name of MEASURES.
        statistics: "class-means" or "images".
        images: All image features by class; only `statistics="images"` needs them.

    Raises:
        UnknownNameError: If there is no such measure.
        LadderError: If the means cannot be divided, or image features are missing.
    """
    check_measure(measure, statistics)
    meter: Meter | None = None
    if statistics == "images":
        if images is None:
            raise LadderError("statistics='images' needs the features of the images, not only class means")
        meter = _meter(measure, images)
    elif measure != "fid":
        means = as_points(class_means, "class_means", class_names)
        order = np.array(sorted(range(len(means)), key=lambda row: str(class_names[row])))
        meter = _meter(measure, FeatureTable.of_classes(means, order))
    return ClassSpace(class_means, class_names, meter)


def _meter(measure: str, table: FeatureTable) -> Meter:
    if measure == "fid":
        return MomentMeter(table)
    return SlicedMeter(table) if measure == "sliced_wasserstein" else KernelMeter(table, measure)


def level_shifts(
    ladder: Ladder,
    features: NDArray[np.generic],
    labels: NDArray[np.int64],
    class_names: Sequence[str],
    *,
    measure: str = "fid",
    statistics: str = "class-means",
) -> list[float]:
    """The shift of every level of a ladder, measured anew with other features or another measure.

    Args:
        ladder: The ladder.
        features: Shape (n, d).
        labels: Index into `class_names`, shape (n,).
        class_names: Names; classes that the ladder does not have are ignored.
        measure: A name of MEASURES.
        statistics: "class-means" or "images".

    Raises:
        UnknownNameError: If there is no such measure.
        LadderError: If a class of the ladder has no features.
    """
    check_measure(measure, statistics)
    wanted = sorted({name for level in ladder.levels for name in (*level.train, *level.test)})
    number = {name: place for place, name in enumerate(wanted)}
    missing = sorted(set(wanted) - {class_names[label] for label in np.unique(labels)})
    if missing:
        raise LadderError(
            f"there are no features of the class {missing[0]!r} ({len(missing)} of {len(wanted)} missing)"
        )
    position = np.array([number.get(name, -1) for name in class_names])[labels]
    kept = np.flatnonzero(position >= 0)
    images = FeatureTable.of_images(features if len(kept) == len(labels) else features[kept], position[kept], wanted)
    means = images.sums / images.counts[:, None] + images.origin
    space = measured_space(means, wanted, measure=measure, statistics=statistics, images=images)
    return [space.shift(space.rows(level.train), space.rows(level.test)) for level in ladder.levels]
