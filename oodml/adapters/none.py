"""The control: nothing is adapted."""

from __future__ import annotations

from torch import Tensor

from oodml.adapters.base import Adapter, Distance, Problem, Trained


class NoAdapter(Adapter):
    """Embeddings as they are."""

    def adapt_one(self, problem: Problem) -> Tensor:
        """Test-time embeddings of the queries, shape (q, d)."""
        return problem.rows_of(problem.model.embeddings, problem.queries)

    def distance(self, model: Trained) -> Distance:
        """That of the method."""
        return model.distance
