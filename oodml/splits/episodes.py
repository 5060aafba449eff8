"""Few-shot episodes: which images of every test class are labelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from oodml.errors import LadderError
from oodml.records import Episode
from oodml.seeds import numpy_generator

SHOTS = (2, 5, 10)
EPISODES = 10


def draw_episodes(
    level: int,
    seed_parts: Sequence[str | int],
    test: Sequence[str],
    image_ids: Mapping[str, Sequence[str]],
    shots: Sequence[int] = SHOTS,
    episodes: int = EPISODES,
) -> list[Episode]:
    """Draws `shots` distinct images of every test class, anew for each episode and each number of shots.

    Each episode of each number of shots has its own seed; the order of classes and images does not matter. A
    class with k or fewer images is left out of the k-shot episodes, because a query must remain; k shots for
    which no class is left give no episode.

    Args:
        level: Index of the level, kept in the records; it does not change the draw.
        seed_parts: Name the dataset and the division.
        test: Names of the test classes.
        image_ids: Ids of all images of each class.
        shots: Numbers of labelled images per class, each at least 1.
        episodes: Episodes for each number of shots.

    Raises:
        LadderError: If a test class has no images, an image repeats, or a number is out of range.
    """
    if min(shots, default=1) < 1 or episodes < 0:
        raise LadderError(f"shots must be at least 1 and episodes at least 0, got {tuple(shots)} and {episodes}")
    pools = {name: _pool(name, image_ids) for name in sorted(test)}
    drawn = []
    for k in shots:
        able = {name: pool for name, pool in pools.items() if len(pool) > k}
        for episode in range(episodes if able else 0):
            generator = numpy_generator(*seed_parts, "episode", k, episode)
            drawn.append(Episode(level, k, episode, _draw(able, k, generator)))
    return drawn


def _pool(name: str, image_ids: Mapping[str, Sequence[str]]) -> list[str]:
    if name not in image_ids:
        raise LadderError(f"no images are known of the test class {name!r}; pass image_ids for every class")
    pool = sorted(image_ids[name])
    if len(set(pool)) < len(pool):
        raise LadderError(f"an image id of the class {name!r} occurs twice; image ids must be unique")
    return pool


def _draw(pools: Mapping[str, Sequence[str]], k: int, generator: np.random.Generator) -> dict[str, tuple[str, ...]]:
    """Some k images of every pool, all pools shuffled at once: there can be thousands of them."""
    images = np.array([image for pool in pools.values() for image in pool], dtype=object)
    sizes = np.array([len(pool) for pool in pools.values()])
    owner = np.repeat(np.arange(len(sizes)), sizes)
    shuffled = np.lexsort((generator.random(len(images)), owner))
    first = np.cumsum(sizes) - sizes
    chosen = np.sort(shuffled[first[:, None] + np.arange(k)], axis=1)
    return {name: tuple(row) for name, row in zip(pools, images[chosen].tolist(), strict=True)}
