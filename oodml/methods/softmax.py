"""Plain classification; the embedding is the layer below the classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torch.nn import functional

from oodml.methods.base import Batch, Context, Method, Output
from oodml.records import Scalar


class Softmax(Method):
    """Cross-entropy of a linear classifier with bias on the embedding as it leaves its layer.

    Lengths carry confidence here, so training sees them; test embeddings have unit length as everywhere.
    """

    def __init__(self, context: Context, options: Mapping[str, Scalar]) -> None:
        super().__init__(context, options)
        self.classifier = nn.Linear(context.embedding_dim, context.num_classes)

    def forward(self, pooled: Tensor, feature_map: Tensor | None = None) -> Output:
        """The head's output, not normalised."""
        return Output(pooled, feature_map, {name: head(pooled) for name, head in self.heads.items()})

    def loss(self, outputs: Sequence[Output], batch: Batch) -> Tensor:
        """Mean cross-entropy of the batch."""
        return functional.cross_entropy(self.classifier(outputs[0].embeddings["embedding"]), batch.labels)

    def embed(self, output: Output) -> Tensor:
        """The embedding at unit length, shape (b, d)."""
        return functional.normalize(output.embeddings["embedding"], dim=1)
