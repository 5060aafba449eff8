"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # a busy machine must not fail a test
settings.load_profile("untimed")


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps the tests away from the user's cache of images and embeddings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OODML_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def vectors_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ready-made vectors of 20 classes with 8 rows each, classes spread along a line."""
    rng = np.random.default_rng(0)
    centres = np.linspace(0, 6, 20)[:, None] * rng.normal(size=(1, 12)) + rng.normal(size=(20, 12))
    labels = np.repeat(np.arange(20), 8)
    path = tmp_path_factory.mktemp("vectors") / "points.npz"
    names = np.array([f"class {index:02d}" for index in range(20)])
    vectors = (centres[labels] + 0.8 * rng.normal(size=(160, 12))).astype(np.float32)
    np.savez(path, embeddings=vectors, labels=labels, class_names=names)
    return path
