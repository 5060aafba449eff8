"""Random classes with a few images each, for tests of what divides them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodml.evaluation import evaluate_embeddings
from oodml.splits.features import FeatureTable
from oodml.splits.space import ClassSpace
from oodml.splits.states import State, measure_state


@dataclass(frozen=True, eq=False)
class Classes:
    """Image features (n, d) and labels (n,), an index into the names."""

    features: NDArray[np.float64]
    labels: NDArray[np.int64]
    names: list[str]
    num_groups: int = 7

    @cached_property
    def means(self) -> NDArray[np.float64]:
        """Mean of every class, in the order of the names."""
        return np.array([self.features[self.labels == label].mean(axis=0) for label in range(len(self.names))])

    @cached_property
    def superclasses(self) -> dict[str, str]:
        """Every seventh class belongs together."""
        ranked = sorted(self.names)
        return {name: f"group {ranked.index(name) % self.num_groups}" for name in self.names}

    @property
    def options(self) -> dict[str, Any]:
        """What any generator and any statistics need of `make_ladder`."""
        return {"features": self.features, "labels": self.labels, "superclasses": self.superclasses}

    @cached_property
    def table(self) -> FeatureTable:
        """The images by class."""
        return FeatureTable.of_images(self.features, self.labels, self.names)

    def images_of(self, classes: Iterable[str]) -> NDArray[np.int64]:
        """Rows of all images of the named classes, rising."""
        return np.flatnonzero(np.isin(self.labels, [self.names.index(name) for name in classes]))

    def means_of(self, classes: Iterable[str]) -> NDArray[np.float64]:
        """Means of the named classes."""
        return self.means[[self.names.index(name) for name in classes]]

    def recall(self, classes: Sequence[str]) -> float:
        """The metric recall_at_1 among the images of the named classes; NaN if none has two."""
        rows = self.images_of(classes)
        if len(rows) < 2 or np.bincount(self.labels[rows]).max() < 2:
            return float("nan")
        found = evaluate_embeddings(self.features[rows], self.labels[rows], metrics="recall_at_1")
        return found["recall_at_1"]

    def shuffled(self, seed: int) -> Classes:
        """The same classes and images in another order."""
        rng = np.random.default_rng(seed)
        order, rows = rng.permutation(len(self.names)), rng.permutation(len(self.labels))
        place = np.argsort(order)
        names = [self.names[row] for row in order]
        return replace(self, features=self.features[rows], labels=place[self.labels[rows]], names=names)


def random_classes(
    seed: int,
    classes: int = 28,
    d: int = 6,
    most: int = 6,
    least: int = 3,
    noise: float | NDArray[np.float64] = 0.7,
) -> Classes:
    """Classes of `least` to `most` images that scatter by `noise` (of all classes, or one number each)."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(classes, d)) * np.linspace(2, 0.3, d)
    labels = np.repeat(np.arange(classes), rng.integers(least, most + 1, classes))
    spread = np.broadcast_to(noise, (classes,))[labels, None]
    features = centres[labels] + spread * rng.normal(size=(len(labels), d))
    return Classes(features, labels, [f"c{row:03d}" for row in range(classes)])


def two_clouds(seed: int, noise: float = 0.0) -> Classes:
    """A dozen classes of four images in one of two places: local optima lie apart."""
    rng = np.random.default_rng(seed)
    classes, d = int(rng.integers(8, 20)), int(rng.integers(1, 6))
    centres = rng.normal(size=(classes, d)) * np.linspace(2, 0.3, d) + 3 * (rng.random((classes, 1)) > 0.5)
    labels = np.repeat(np.arange(classes), 4)
    features = centres[labels] + noise * rng.normal(size=(len(labels), d))
    return Classes(features, labels, [f"c{row:02d}" for row in range(classes)])


def random_space(seed: int, classes: int, d: int, num_train: int | None = None) -> tuple[ClassSpace, State]:
    """Normal class means, and a default division of which the first `num_train` (default half) train."""
    space = ClassSpace(np.random.default_rng(seed).normal(size=(classes, d)), [f"c{row:03d}" for row in range(classes)])
    rows, size = np.arange(classes), classes // 2 if num_train is None else num_train
    return space, measure_state(space, "default", rows[:size], rows[size:])
