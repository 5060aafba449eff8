"""Stored episodes as numbers: which test images are labelled, and which are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oodml.errors import LadderError, UsageError
from oodml.records import Episode, Ladder


@dataclass(frozen=True, eq=False)
class Draw:
    """One episode over the test images of a level, which count from 0; see `oodml.adapters.base.Problem`."""

    shots: int
    episode: int
    support: NDArray[np.int64]
    classes: NDArray[np.int64]
    queries: NDArray[np.int64]


def episodes_of(ladder: Ladder, level: int, shots: Iterable[int]) -> list[Episode]:
    """The stored episodes of a level with these numbers of labelled images.

    Raises:
        UsageError: If the ladder has none for a number: it names those that it has.
    """
    stored = [episode for episode in ladder.episodes if episode.level == level]
    known = sorted({episode.shots for episode in stored})
    for wanted in shots:
        if wanted not in known:
            has = f"episodes of {', '.join(map(str, known))} shots" if known else "no episodes"
            raise UsageError(
                f"level {level} of ladder {ladder.name!r} has {has}, none of {wanted}; "
                "`oodml make-splits --shots` draws others, as far as classes have more images than that"
            )
    return [episode for episode in stored if episode.shots in set(shots)]


def small_classes(test: Sequence[str], episodes: Iterable[Episode]) -> dict[int, list[str]]:
    """Shots to the test classes that have no labelled image, because they hold no more images than that."""
    found = {episode.shots: [name for name in test if name not in episode.support] for episode in episodes}
    return {shots: names for shots, names in found.items() if names}


def draw_of(episode: Episode, image_ids: Sequence[str], classes: Sequence[str], labels: NDArray[np.int64]) -> Draw:
    """An episode over the test images of its level; classes without labelled images are not asked for.

    Args:
        episode: The stored episode.
        image_ids: Ids of all test images of the level.
        classes: Their class names.
        labels: Their class numbers, shape (n,).

    Raises:
        LadderError: If the episode names an image that its class does not have.
        UsageError: If nothing is left to ask for.
    """
    where = {image: index for index, image in enumerate(image_ids)}
    names = np.asarray(classes)
    for name, images in episode.support.items():
        for image in images:
            if image not in where or names[where[image]] != name:
                raise LadderError(
                    f"episode {episode.episode} of {episode.shots} shots at level {episode.level} labels image "
                    f"{image!r} as {name!r}, which is no such test image of that level; was the ladder edited?"
                )
    support = np.array([[where[image] for image in images] for images in episode.support.values()], dtype=np.int64)
    support = support[np.argsort(labels[support[:, 0]])]
    known = labels[support[:, 0]]
    asked = np.isin(labels, known)
    asked[support.ravel()] = False
    if not (np.bincount(labels[asked]) > 1).any():
        raise UsageError(
            f"level {episode.level}: with {episode.shots} images of each class labelled, no class keeps two images "
            "to ask for; take fewer --shots"
        )
    return Draw(episode.shots, episode.episode, support, known, np.flatnonzero(asked))
