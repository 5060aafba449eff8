"""Principal components of small images: an embedder that needs no weights and no network."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from oodml.backbones.base import BackboneInfo
from oodml.backbones.vectors import build_vectors

COMPONENTS = 64
SIZE = 32
"""Side in pixels that images are squeezed to beforehand."""

BLOCK = 1024


def pixel_components(images: NDArray[np.uint8], components: int = COMPONENTS) -> NDArray[np.float32]:
    """Projects images onto the leading principal components of their own pixels.

    The covariance is summed over whole numbers, so it is exact and does not depend on the order of the images
    or on the machine; each component's sign makes its largest loading positive.

    Args:
        images: Shape (n, h, w, c); with equal channels everywhere only one is used.
        components: Number of components; fewer come back if the images have fewer pixel values.

    Returns:
        Scores by falling variance, shape (n, components), in units of pixel values in [0, 1]; components
        beyond the rank of the data are 0.
    """
    flat = _flatten(images)
    n, p = flat.shape
    total, products = np.zeros(p), np.zeros((p, p))
    for block in _blocks(flat):
        total += block.sum(0)
        products += block.T @ block
    covariance = (products - np.outer(total, total) / n) / n
    kept = min(components, p)
    variances, axes = eigh(covariance, subset_by_index=(p - kept, p - 1), overwrite_a=True)
    axes = axes[:, ::-1] * (variances[::-1] > 1e-10 * max(variances[-1], 1.0))  # rounding spans the rest
    axes *= np.where(axes[np.abs(axes).argmax(0), np.arange(kept)] < 0, -1.0, 1.0)
    shift = (total / n) @ axes
    return np.concatenate([(block @ axes - shift) / 255 for block in _blocks(flat)]).astype(np.float32)


def _flatten(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if all(np.array_equal(images[..., 0], images[..., c]) for c in range(1, images.shape[-1])):
        images = images[..., :1]
    return images.reshape(len(images), -1)


def _blocks(flat: NDArray[np.uint8]) -> Iterator[NDArray[np.float64]]:
    for start in range(0, len(flat), BLOCK):
        yield flat[start : start + BLOCK].astype(np.float64)


INFO = BackboneInfo("pixels", "64 principal components of the image at 32 x 32 pixels, offline", build_vectors)
