"""The contract of an adapter: from a trained network and a few labelled test images to embeddings of the others.

An adapter gets the problems of one group at once (all runs of a method at a level, their shots and episodes), so that
heads of equal shape can train as one batched problem. What it yields for a problem depends on that problem alone, never
on which others stand beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oodml.inputs import Source
from oodml.model import Network, extract
from oodml.records import Scalar
from oodml.seeds import torch_generator

Distance = str | Callable[[Tensor, Tensor], Tensor]
CHUNK = 16  # pictures whose views pass the backbone together


class Trained:
    """A trained network at its level, with the features that adapters share; it is not to be changed.

    Everything counts the test images of the level from 0 to n - 1.

    Args:
        run_id: Names the seeds.
        network: With its trained weights, on the device that computes.
        source: Where inputs come from.
        rows: Rows of the test images in the dataset, shape (n,).
        labels: Their classes, 0 .. C - 1, shape (n,).
        base_rows: Rows of the training images, shape (m,).
        base_labels: Their classes, 0 .. B - 1, shape (m,).
        augments: Whether augmented views of an image differ (not for ready-made vectors).
    """

    def __init__(
        self,
        run_id: str,
        network: Network,
        source: Source,
        rows: NDArray[np.int64],
        labels: NDArray[np.int64],
        base_rows: NDArray[np.int64],
        base_labels: NDArray[np.int64],
        augments: bool = True,
    ) -> None:
        self.run_id, self.network, self.source, self.rows, self.labels = run_id, network.eval(), source, rows, labels
        self.base_rows, self.base_labels, self.augments = base_rows, base_labels, augments
        self._views: dict[tuple[int, int], Tensor] = {}

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        device: torch.device = next(self.network.parameters(), torch.zeros(0)).device
        return device

    @property
    def distance(self) -> Distance:
        """How the trained method compares embeddings."""
        return self.network.method.distance

    @cached_property
    def pooled(self) -> Tensor:
        """Pooled features of all test images under the test transform, shape (n, f), on the device."""
        return extract(self.network, self.source, self.rows, lambda output: output.pooled).to(self.device)

    @cached_property
    def embeddings(self) -> Tensor:
        """Test-time embeddings of all test images, shape (n, d), on the device."""
        return extract(self.network, self.source, self.rows, self.network.method.embed).to(self.device)

    @cached_property
    def base_means(self) -> Tensor:
        """Mean test-time embedding of every training class, shape (B, d), on the device."""
        found = extract(self.network, self.source, self.base_rows, self.network.method.embed).to(self.device)
        labels = torch.from_numpy(self.base_labels).to(self.device)
        sums = found.new_zeros(int(labels.max()) + 1, found.shape[1]).index_add_(0, labels, found)
        return sums / labels.bincount()[:, None]

    def views(self, images: NDArray[np.int64], count: int) -> Tensor:
        """Pooled features of `count` augmented views of images, shape (len(images), count, f), on the device.

        The views of an image are its own whatever is asked for beside it, and are computed once. Vectors, which have
        no augmentation, come as one view.
        """
        if not self.augments:
            return self.pooled[torch.from_numpy(images).to(self.device), None]
        new = [int(image) for image in dict.fromkeys(images.tolist()) if (image, count) not in self._views]
        for start in range(0, len(new), CHUNK):
            self._compute_views(new[start : start + CHUNK], count)
        return torch.stack([self._views[int(image), count] for image in images])

    def _compute_views(self, images: list[int], count: int) -> None:
        """A chunk is filled up with its last picture: kernels differ in the last bit with the size of a batch."""
        inputs = [
            self.source.train_inputs(
                self.rows[[image] * count], torch_generator(self.run_id, "views", int(self.rows[image]))
            )
            for image in images
        ]
        inputs += [inputs[-1]] * (CHUNK - len(images))
        with torch.inference_mode():
            pooled = self.network(torch.cat(inputs)).pooled.float()
        for image, features in zip(images, pooled.view(CHUNK, count, -1), strict=False):
            self._views[image, count] = features.clone()


@dataclass(frozen=True, eq=False)
class Problem:
    """One episode for one trained network.

    Attributes:
        model: The trained network.
        shots: Labelled images per class k.
        episode: Number of the episode.
        support: The labelled images, shape (c, k), row i of class `classes[i]`.
        classes: Classes with labelled images, ascending, shape (c,).
        queries: All other test images of these classes, shape (q,).
    """

    model: Trained
    shots: int
    episode: int
    support: NDArray[np.int64]
    classes: NDArray[np.int64]
    queries: NDArray[np.int64]

    def generator(self, *purpose: str) -> torch.Generator:
        """Randomness of this problem on the CPU, the same whatever stands beside it."""
        return torch_generator(self.model.run_id, self.shots, self.episode, *purpose)

    def rows_of(self, table: Tensor, images: NDArray[np.int64]) -> Tensor:
        """Rows of a table (n, ...) over all test images: `problem.rows_of(model.embeddings, problem.queries)`."""
        return table[torch.from_numpy(images).to(table.device)]


class Adapter:
    """Base of all adapters, built from resolved options.

    A subclass implements `adapt_one`, or `adapt` if it works on many problems at once.
    """

    def __init__(self, options: Mapping[str, Scalar]) -> None:
        self.options = options

    def adapt(self, problems: Sequence[Problem]) -> Iterator[Tensor]:
        """Adapted embeddings of the queries of every problem, (q, d'), in the order of the problems."""
        for problem in problems:
            yield self.adapt_one(problem)

    def adapt_one(self, problem: Problem) -> Tensor:
        """Adapted embeddings of the queries of one problem, shape (q, d')."""
        raise NotImplementedError

    def distance(self, model: Trained) -> Distance:
        """How adapted embeddings are compared, see `evaluate_embeddings`."""
        return "cosine"
