"""Class means in two dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodml.errors import MissingPackageError, UnknownNameError

METHODS = ("pca", "tsne")


@dataclass(frozen=True)
class Projection:
    """Points in the plane.

    Attributes:
        method: "pca" or "tsne".
        points: Shape (n, 2).
        explained: Share of the variance along either axis; None where it has no meaning.
        perplexity: Of t-SNE; None for PCA.
    """

    method: str
    points: NDArray[np.float64]
    explained: tuple[float, float] | None = None
    perplexity: float | None = None

    @property
    def words(self) -> str:
        """How it was made, for a caption."""
        if self.explained is not None:
            first, second = (f"{100 * share:.0f} %" for share in self.explained)
            return f"PCA of the class means: {first} of the variance from left to right, {second} upwards"
        return f"t-SNE, perplexity {self.perplexity:.0f}: neighbourhoods count, distances and sizes do not"


def project(means: NDArray[np.floating[Any]], method: str = "pca") -> Projection:
    """Projects class means onto a plane; the same input gives the same picture.

    Args:
        means: Shape (n, d), n >= 3.
        method: "pca", or "tsne" (started from the principal components, with a fixed seed).

    Raises:
        UnknownNameError: If there is no such method.
        MissingPackageError: If scikit-learn is not installed.

    Example:
        >>> shown = project(np.array([[0.0, 0.0], [2.0, 0.0], [4.0, 0.0], [2.0, 1.0]]))
        >>> shown.points[:, 0].round(3).tolist(), round(shown.explained[0], 3)
        ([-2.0, 0.0, 2.0, 0.0], 0.914)
    """
    if method not in METHODS:
        raise UnknownNameError("map", method, METHODS)
    try:
        from sklearn.decomposition import PCA
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise MissingPackageError("scikit-learn", "a map of the class means", "pip install scikit-learn") from error
    rows = np.asarray(means, dtype=np.float64)
    if rows.shape[1] == 1:
        rows = np.hstack([rows, np.zeros_like(rows)])
    if method == "pca":
        pca = PCA(n_components=2, svd_solver="full").fit(rows)
        first, second = (float(share) for share in np.nan_to_num(pca.explained_variance_ratio_))
        return Projection(method, np.asarray(pca.transform(rows), dtype=np.float64), (first, second))
    perplexity = min(30.0, (len(rows) - 1) / 3)
    tsne = TSNE(n_components=2, init="pca", perplexity=perplexity, random_state=0)
    return Projection(method, np.asarray(tsne.fit_transform(rows), dtype=np.float64), perplexity=perplexity)
