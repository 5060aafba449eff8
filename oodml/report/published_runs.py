"""Which rows of a section were run as in the published study, and what of the others was not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oodml.methods.cards import CARDS
from oodml.presets import PAPER_BACKBONE, Situation, training_options
from oodml.published import Study
from oodml.report.view import View, views

if TYPE_CHECKING:
    from oodml.report.sections import Section

METRIC = "recall_at_1"  # the only one with published numbers
SELECTIONS = ("oracle", "last", "val")  # the published weights are those of the best epoch on the test classes
FREE = {"precision", "evaluations"}  # how exactly a GPU rounds, and how often weights are scored, is not the protocol
SHOWN = 3  # deviations that are named


@dataclass(frozen=True)
class Compared:
    """An entry of the leaderboard that was run as in the study.

    Attributes:
        label: Its name in the report.
        method: Registered name of the method.
        view: Its rows.
        differences: Options of the method, or weights, that are not the study's, in words.
    """

    label: str
    method: str
    view: View
    differences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Runs:
    """What of a section is compared.

    Attributes:
        compared: Entries run as in the study, in its order of methods.
        deviating: Label of an entry that was run otherwise, to what is different.
        waiting: Labels of entries that are planned as in the study and have no value.
        foreign: Labels of methods that the study does not have.
    """

    compared: tuple[Compared, ...]
    deviating: Mapping[str, tuple[str, ...]]
    waiting: tuple[str, ...]
    foreign: tuple[str, ...]


def find_runs(section: Section, study: Study, dataset: str) -> Runs:
    """Sorts the entries of a section; of several selections of one entry that which comes nearest to the study's.

    Args:
        section: The benchmark; zero-shot rows count.
        study: The published figures.
        dataset: Name of the dataset, for its exceptions.
    """
    shown = {view.selection: view for view in views(section) if view.few_shot is None and METRIC in view.metrics}
    compared: list[Compared] = []
    deviating: dict[str, tuple[str, ...]] = {}
    waiting, foreign = list[str](), list[str]()
    for label, (method, backbone, config) in sorted(_entries(section).items()):
        view = next((shown[s] for s in SELECTIONS if s in shown and _has_value(shown[s], label)), None)
        if method not in study.methods:
            foreign.append(label)
        elif problems := training_deviations(method, backbone, config, dataset):
            deviating[label] = problems
        elif view is None:
            waiting.append(label)
        else:
            compared.append(Compared(label, method, view, option_differences(method, config, dataset)))
    order = {method: place for place, method in enumerate(study.methods)}
    compared.sort(key=lambda entry: (order[entry.method], entry.label))
    return Runs(tuple(compared), deviating, tuple(waiting), tuple(foreign))


def training_deviations(method: str, backbone: str, config: str | None, dataset: str) -> tuple[str, ...]:
    """What of a run's network and training is not that of `--preset paper`, in words.

    Args:
        method: Registered name.
        backbone: Name of the backbone.
        config: The `config` column: JSON with `method`, `backbone` and `training`.
        dataset: Name of the dataset, for its exceptions.
    """
    ours, network = (_part(config, name) for name in ("training", "backbone"))
    if not ours:
        return ("its options are not recorded",)
    found = []
    if backbone.partition(".")[0] != PAPER_BACKBONE.partition(".")[0]:
        found.append(f"backbone {backbone}, not {PAPER_BACKBONE}")
    if network.get("weights") in (None, "none"):
        found.append("a backbone without trained weights")
    situation = Situation(dataset=dataset, from_weights=True)
    paper = training_options("paper", situation, CARDS[method].paper_training(dataset)).as_dict()
    return (*found, *_unequal(ours, paper, FREE))


def option_differences(method: str, config: str | None, dataset: str) -> tuple[str, ...]:
    """Options of the method, and weights, that are not the study's; either reading of a published slip is the study's.

    Args:
        method: Registered name.
        config: The `config` column.
        dataset: Name of the dataset, for its own options.
    """
    weights = str(_part(config, "backbone").get("weights"))
    tag = PAPER_BACKBONE.partition(".")[2]
    own = [] if weights == f"pretrained:{tag}" else [f"weights {weights}, not {tag}"]
    study = CARDS[method].resolve_options(dataset, {})
    return (*_unequal(_part(config, "method"), study, {"published"}), *own)


def several(deviations: Sequence[str]) -> str:
    """Deviations as a list that stays short."""
    more = len(deviations) - SHOWN
    return "; ".join(deviations[:SHOWN]) + (f"; {more} more" if more > 0 else "")


def _part(config: str | None, name: str) -> dict[str, Any]:
    """A part of the `config` column; empty where there is none."""
    parts = json.loads(config or "{}")
    return dict(parts.get(name) or {})


def _unequal(ours: Mapping[str, Any], study: Mapping[str, Any], free: set[str]) -> list[str]:
    names = [name for name in study if name not in free and name in ours and ours[name] != study[name]]
    return [f"{name}={ours[name]}, not {study[name]}" for name in names]


def _has_value(view: View, label: str) -> bool:
    return any(view.mean(label, level, METRIC) is not None for level in view.levels)


def _entries(section: Section) -> dict[str, tuple[str, str, str | None]]:
    """Label of an entry to its method, backbone and options."""
    from oodml.entries import row_tuples
    from oodml.method_labels import label_methods

    rows = row_tuples(section.frame, ("method", "backbone", "config"))
    return dict(zip(label_methods(section.frame), rows, strict=True))
