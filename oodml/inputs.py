"""Rows of a dataset as inputs of a network."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oodml.augmentation import random_resized_crop
from oodml.backbones.base import Backbone, normalise
from oodml.images import PackedImages
from oodml.presets import TrainingOptions


class Source(Protocol):
    """Rows of a dataset as network inputs, on the device that trains."""

    def train_inputs(self, rows: NDArray[np.int64], generator: torch.Generator) -> Tensor:
        """Augmented inputs."""

    def test_inputs(self, rows: NDArray[np.int64]) -> Tensor:
        """Inputs under the test transform."""


class ImageSource:
    """Packed pictures, augmented per batch and normalised as the backbone wants them."""

    def __init__(
        self, packed: PackedImages, options: TrainingOptions, backbone: Backbone, device: torch.device
    ) -> None:
        self.packed, self.options, self.device = packed, options, device
        self.mean, self.std = backbone.mean, backbone.std
        self.pinned = device.type == "cuda"

    def train_inputs(self, rows: NDArray[np.int64], generator: torch.Generator) -> Tensor:
        """Random resized crops, mirrored if the options say so, shape (b, 3, s, s)."""
        pictures, sizes = self.packed.source_batch(rows, self.pinned)
        options = self.options
        crops = random_resized_crop(
            self._move(pictures),
            sizes,
            options.image_size,
            options.crop_min_scale,
            options.flip,
            generator,
        )
        return self._finish(crops)

    def test_inputs(self, rows: NDArray[np.int64]) -> Tensor:
        """Central crops, shape (b, 3, s, s)."""
        return self._finish(self._move(self.packed.test_batch(rows, self.pinned)))

    def _move(self, pictures: Tensor) -> Tensor:
        """Pictures on the device; on a GPU the copy goes on while it still computes the step before."""
        return pictures.to(self.device, non_blocking=True)

    def _finish(self, pictures: Tensor) -> Tensor:
        return normalise(pictures, self.mean, self.std).contiguous(memory_format=torch.channels_last)


class VectorSource:
    """Ready-made vectors, as they are, in training and in testing."""

    def __init__(self, vectors: NDArray[np.float32], device: torch.device) -> None:
        self.vectors = torch.from_numpy(np.array(vectors, dtype=np.float32)).to(device)  # a cached file is read-only

    def train_inputs(self, rows: NDArray[np.int64], generator: torch.Generator) -> Tensor:
        """Vectors, shape (b, d)."""
        return self.vectors[torch.from_numpy(rows).to(self.vectors.device)]

    def test_inputs(self, rows: NDArray[np.int64]) -> Tensor:
        """Vectors, shape (b, d)."""
        return self.vectors[torch.from_numpy(rows).to(self.vectors.device)]
