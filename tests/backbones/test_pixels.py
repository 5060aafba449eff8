from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from oodml.backbones import pixels
from oodml.backbones.pixels import pixel_components


def pictures(n: int, size: int, channels: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_components_equal_a_singular_value_decomposition(channels: int) -> None:
    images = pictures(60, 5, channels)
    flat = images.reshape(60, -1) / 255
    centred = flat - flat.mean(0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    found = pixel_components(images, 10)
    assert found.dtype == np.float32 and found.shape == (60, 10)
    np.testing.assert_allclose(np.abs(found), np.abs(u[:, :10] * s[:10]), atol=1e-5)
    assert (np.diff(found.var(0)) < 0).all()


def test_largest_loading_of_every_component_is_positive() -> None:
    images = pictures(40, 4, 3)
    flat = images.reshape(40, -1) / 255
    centred = flat - flat.mean(0)
    found = pixel_components(images, 6).astype(np.float64)
    loadings = centred.T @ found / (found**2).sum(0)  # scores are centred @ axes and uncorrelated
    extreme = loadings[np.abs(loadings).argmax(0), np.arange(6)]
    assert (extreme > 0).all()


def test_grey_pictures_give_the_components_of_one_channel() -> None:
    grey = pictures(30, 5, 1)
    np.testing.assert_array_equal(pixel_components(np.repeat(grey, 3, axis=3), 8), pixel_components(grey, 8))


def test_order_and_block_size_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    images = pictures(50, 5, 3)
    found = pixel_components(images, 8)
    np.testing.assert_array_equal(pixel_components(images[::-1], 8)[::-1], found)
    monkeypatch.setattr(pixels, "BLOCK", 7)
    np.testing.assert_allclose(pixel_components(images, 8), found, atol=1e-6)


def test_components_beyond_the_rank_are_zero() -> None:
    images = np.repeat(pictures(3, 4, 1), 5, axis=0)  # three different pictures span two dimensions
    found = pixel_components(images, 8)
    assert (found[:, :2].std(0) > 0.01).all()
    assert not found[:, 2:].any()
    assert not pixel_components(np.full((4, 3, 3, 1), 9, np.uint8), 4).any()


def test_no_more_components_than_pixels() -> None:
    assert pixel_components(pictures(20, 2, 1), 64).shape == (20, 4)
