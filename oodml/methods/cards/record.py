"""What is known of a method without building it. Free of torch, so that planning a sweep is fast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from oodml import registry
from oodml.errors import UnknownNameError
from oodml.records import Scalar

EVERYWHERE = "*"


@dataclass(frozen=True)
class MethodInfo:
    """A registered method.

    Attributes:
        name: Registered name.
        target: "module:callable" that takes (Context, options) and returns a Method.
        summary: One line for `oodml methods`.
        paper: Where it comes from: authors, title, venue, year; "-" for a control.
        family: How it learns: "baseline", "pairs", "triplets", "proxies", "classifiers", "rankings", "distributions",
            "regularisers" (a term beside the margin loss), "ensembles" (several heads) or "samplers".
        group: Who asks for it: "study" (the eight of ooDML), "related" (work of the same line), "systems" (further
            systems and controls) or "catalog" (losses of pytorch-metric-learning). A sweep takes these names too.
        equation: The loss in one or two lines of plain text.
        needs: What it needs beyond labelled batches, e.g. "two views", "second forward pass", "feature map".
        options: Own options with their defaults; `--set name.option=value` overrides them.
        dataset_options: Dataset name to the options that the study uses there.
        training: Dataset name, or "*" for all, to training options that the paper preset takes for this method.
        notes: What to know: published slips, what differs from the source, and why.
        trains: False for a method that leaves the network as it is.
        trains_backbone: False for a method that trains heads only.
    """

    name: str
    target: str
    summary: str
    paper: str
    family: str
    group: str = "systems"
    equation: str = ""
    needs: tuple[str, ...] = ()
    options: Mapping[str, Scalar] = field(default_factory=dict)
    dataset_options: Mapping[str, Mapping[str, Scalar]] = field(default_factory=dict)
    training: Mapping[str, Mapping[str, Scalar]] = field(default_factory=dict)
    notes: str = ""
    trains: bool = True
    trains_backbone: bool = True

    def resolve_options(self, dataset: str, overrides: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Defaults, then the dataset's, then the user's.

        Raises:
            UnknownNameError: If an override names no option of the method.
        """
        for option in overrides:
            if option not in self.options:
                raise UnknownNameError(f"option of method {self.name!r}", option, self.options)
        return {**self.options, **self.dataset_options.get(dataset, {}), **overrides}

    def paper_training(self, dataset: str) -> dict[str, Scalar]:
        """Training options in which the study treats this method differently from the others."""
        return {**self.training.get(EVERYWHERE, {}), **self.training.get(dataset, {})}

    def build(self, context: Any, options: Mapping[str, Scalar]) -> Any:
        """The method (`oodml.methods.base.Method`) of a run.

        Args:
            context: `oodml.methods.base.Context`.
            options: Resolved options.
        """
        return registry.resolve(self.target)(context, options)
