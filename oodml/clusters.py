"""k-means of embeddings by faiss, as the study ran it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oodml.errors import DatasetError
from oodml.faiss_library import faiss_for

ITERATIONS, SEED = 20, 1234
"""Of the study: 20 iterations, one start, the library's own default seed (Milbich et al. 2021)."""


def kmeans(rows: NDArray[np.float32], num_clusters: int, device: str = "cpu") -> NDArray[np.int64]:
    """The cluster of every row: the nearest of the centroids that k-means ends with.

    Args:
        rows: Embeddings, shape (n, d), C-contiguous; all of them are used, none is sampled.
        num_clusters: Number of clusters, at most n.
        device: On "cuda" the GPU build of faiss works there.

    Raises:
        DatasetError: If there are fewer rows than clusters.
        MissingPackageError: If faiss is not installed.
    """
    if len(rows) < num_clusters:
        raise DatasetError(f"{len(rows)} rows cannot form {num_clusters} clusters; leave the clustering metrics out")
    with faiss_for("k-means") as faiss:
        found = faiss.Kmeans(
            rows.shape[1],
            num_clusters,
            niter=ITERATIONS,
            seed=SEED,
            min_points_per_centroid=1,
            max_points_per_centroid=len(rows),
            gpu=device.startswith("cuda") and getattr(faiss, "get_num_gpus", lambda: 0)() > 0,
        )
        found.train(rows)
        clusters: NDArray[np.int64] = found.index.search(rows, 1)[1][:, 0]
    return clusters
