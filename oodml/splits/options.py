"""The options of `make_ladder` and the values that they take when nothing is said."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from numpy.typing import ArrayLike

from oodml.errors import LadderError, UnknownNameError
from oodml.records import Scalar
from oodml.splits.division import Sides
from oodml.splits.measures import check_measure
from oodml.splits.swaps import MIN_SIDE, REMOVAL_RULES, Steps

Progress = Callable[[str, int, int], None]
Reference = Callable[[Sequence[str]], Mapping[str, float]]


class LadderOptions(TypedDict, total=False):
    """Keywords of `make_ladder` beyond the first ones.

    The published study used 2 swaps an iteration on about 100 + 100 classes, 25 iterations harder, 15 easier
    and 35 of removal. None takes these, but no more iterations than exchange every class once.
    """

    generator: str  # "swap", "removal", "search", "matched", "random" or "superclass"
    measure: str  # "fid", "kid", "mmd" or "sliced_wasserstein"
    statistics: str  # what is measured: "class-means" or "images", which needs features
    targets: Sequence[float]  # shifts wanted, instead of evenly spaced levels
    sides: float  # part of the classes that trains
    superclasses: Mapping[str, str] | None  # class to superclass, for the generator "superclass"
    features: ArrayLike | None  # features of all images (n, d), for "images" and for the generator "matched"
    labels: ArrayLike | None  # class of every image, as an index into class_names (n,)
    match_tolerance: float  # by how much the generator "matched" lets recall@1 differ from the default division's
    iterations: int | None  # steps that part the sides; None: 25
    easier_iterations: int | None  # steps that mix them; None: 15
    removal_iterations: int | None  # steps of removal after the hardest swap; None: 35
    removal_rule: str  # "saturated": remove where an exchange no longer raises the shift; "published": 5.4's sign
    min_share: float  # removal leaves each side at least this part of its classes, and at least 8 classes
    initial: str | Sides  # default division: "sorted", "random" or (train, test)
    null_draws: int | None  # random divisions behind null and p-value; None: 1000, fewer (>= 20) if dear
    val_fraction: float  # part of the training classes held out for selection
    reference: Reference | None  # metrics of the untrained embedder on given test classes
    image_ids: Mapping[str, Sequence[str]] | None  # images by class; None: a ladder without episodes
    shots: Sequence[int]  # labelled images per class in an episode
    episodes: int  # episodes for each number of shots
    name: str  # name of the ladder
    dataset: str  # dataset as the command line takes it
    dataset_options: Mapping[str, Scalar] | None
    dataset_hash: str
    skipped: Sequence[str]  # ids of unreadable images that were left out
    embedder: Mapping[str, Any] | None  # what measured the class means
    progress: Progress | None  # called with (stage, done, total), total 0 while nobody knows it


DEFAULTS: LadderOptions = {
    "generator": "swap",
    "measure": "fid",
    "statistics": "class-means",
    "targets": (),
    "sides": 0.5,
    "superclasses": None,
    "features": None,
    "labels": None,
    "match_tolerance": 0.02,
    "iterations": None,
    "easier_iterations": None,
    "removal_iterations": None,
    "removal_rule": "saturated",
    "min_share": 0.6,
    "initial": "sorted",
    "null_draws": None,
    "val_fraction": 0.25,
    "reference": None,
    "image_ids": None,
    "shots": (2, 5, 10),
    "episodes": 10,
    "name": "ladder",
    "dataset": "",
    "dataset_options": None,
    "dataset_hash": "",
    "skipped": (),
    "embedder": None,
    "progress": None,
}


def with_defaults(given: LadderOptions) -> LadderOptions:
    """All options, those given over the defaults.

    Raises:
        UnknownNameError: If there is no such option; the message offers the closest ones.
    """
    for key in given:
        if key not in DEFAULTS:
            raise UnknownNameError("option of make_ladder", key, DEFAULTS)
    merged = DEFAULTS.copy()
    merged.update(given)
    return merged


@dataclass(frozen=True)
class Plan:
    """The generator's parameters with every default worked out for the number of classes.

    Attributes:
        harder: Steps that part the sides.
        easier: Steps that mix them.
        removal: Steps of removal.
        removal_rule: "saturated" or "published".
        min_share: Part of its classes that removal leaves each side at least.
        null_draws: Random divisions behind the null shift.
        match_tolerance: By how much "matched" lets recall@1 differ.
    """

    harder: Steps
    easier: Steps
    removal: Steps
    removal_rule: str
    min_share: float
    null_draws: int
    match_tolerance: float

    def floors(self, num_train: int, num_test: int) -> tuple[int, int]:
        """Fewest classes that removal may leave on either side."""
        share = self.min_share
        return max(MIN_SIDE, math.ceil(share * num_train)), max(MIN_SIDE, math.ceil(share * num_test))


def work_out(swaps: int | None, options: LadderOptions, num_classes: int) -> Plan:
    """The generator's parameters for `num_classes` classes on the smaller side.

    Raises:
        LadderError: If a number is out of range.
        UnknownNameError: If there is no such removal rule.
    """
    q = max(1, round(0.02 * num_classes)) if swaps is None else swaps
    if q < 1:
        raise LadderError(f"swaps_per_iteration must be at least 1, got {q}")

    def steps(given: int | None, usual: int, history: float) -> Steps:
        # the paper's history of 5 and 30 swaps at 2 an iteration: 2.5 and 15 iterations at any number
        count = min(usual, math.ceil(num_classes / q)) if given is None else given
        if count < 0:
            raise LadderError(f"iterations must be at least 0, got {count}")
        return Steps(q, count, math.ceil(history * q))

    draws, rule, share = options["null_draws"], options["removal_rule"], options["min_share"]
    if draws is None:  # the spread of the null falls with the number of classes, its cost rises
        draws = min(1000 if options["statistics"] == "class-means" else 100, max(20, 40_000 // num_classes))
    if draws < 2:
        raise LadderError(f"null_draws must be at least 2, got {draws}")
    if not 0 < share <= 1:
        raise LadderError(f"min_share must be in (0, 1], got {share}")
    if rule not in REMOVAL_RULES:
        raise UnknownNameError("removal rule", rule, REMOVAL_RULES)
    if not 0 <= options["match_tolerance"] < 1:
        raise LadderError(f"match_tolerance must be in [0, 1), got {options['match_tolerance']}")
    check_measure(options["measure"], options["statistics"])
    return Plan(
        harder=steps(options["iterations"], 25, 2.5),
        easier=steps(options["easier_iterations"], 15, 15),
        removal=steps(options["removal_iterations"], 35, 2.5),
        removal_rule=rule,
        min_share=share,
        null_draws=draws,
        match_tolerance=options["match_tolerance"],
    )
