"""What is known of the published study: frozen records, fractions in [0, 1]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    """A number that was read off a published plot.

    Attributes:
        value: The number; a fraction, or a difference of two.
        uncertainty: How far the true one may lie away in either direction; of the reading alone, above 0.
        mark: How it was read: "" from a marker that stands free, "~" from one partly hidden behind another, "*" from
            a second, coarser reading of the same curve.
    """

    value: float
    uncertainty: float
    mark: str = ""

    @property
    def low(self) -> float:
        """Lower end of what the reading allows."""
        return self.value - self.uncertainty

    @property
    def high(self) -> float:
        """Upper end of what the reading allows."""
        return self.value + self.uncertainty


Curve = tuple[Reading | None, ...]


@dataclass(frozen=True)
class PublishedLadder:
    """The splits of one dataset with the published results on them; split k stands at position k - 1.

    Attributes:
        dataset: Registered name, e.g. "cub200".
        title: Name in prose.
        default: Number of the split that the literature uses, from 1.
        shifts: Published shift of every split: squared Frechet distance of class means, rising.
        shifts_in_file: Split number to the shift in the published file, where that differs.
        removal_from: Number of the first split that was made by leaving classes out.
        classes: Classes of either side by split; empty where they are not known.
        validation: Of the training classes those held out for validation, by split; empty where not known.
        recall_at_1: Method to recall@1 by split, None where it could not be read.
        ags: Method to the aggregated generalisation score of recall@1.
    """

    dataset: str
    title: str
    default: int
    shifts: tuple[float, ...]
    shifts_in_file: Mapping[int, float]
    removal_from: int
    classes: tuple[int, ...]
    validation: tuple[int, ...]
    recall_at_1: Mapping[str, Curve]
    ags: Mapping[str, Reading]

    @property
    def shifts_scaled(self) -> tuple[float, ...]:
        """The shifts scaled to [0, 1] over the ladder."""
        low, high = self.shifts[0], self.shifts[-1]
        return tuple((shift - low) / (high - low) for shift in self.shifts)


@dataclass(frozen=True)
class FewShotGains:
    """What labelled images of the test classes added to recall@1.

    Attributes:
        dataset: Registered name.
        splits: Numbers of the splits.
        gains: (shots, method) to the gain by split, None where it could not be read.
        unadapted_split: Number of the split of `unadapted`.
        unadapted: Method to recall@1 before adaptation there.
    """

    dataset: str
    splits: tuple[int, ...]
    gains: Mapping[tuple[int, str], Curve]
    unadapted_split: int
    unadapted: Mapping[str, Reading]


@dataclass(frozen=True)
class Study:
    """The published study.

    Attributes:
        title: Title of the paper.
        authors: Its authors.
        venue: Where it appeared.
        arxiv: Its number there.
        code: Repository of its code.
        methods: Registered name of a method to the name in the paper.
        ladders: The ladders, as in the paper.
        few_shot: Gains by a few labelled images.
    """

    title: str
    authors: str
    venue: str
    arxiv: str
    code: str
    methods: Mapping[str, str]
    ladders: tuple[PublishedLadder, ...]
    few_shot: FewShotGains

    def ladder(self, dataset: str) -> PublishedLadder | None:
        """The ladder of a dataset, None if the study has none."""
        return next((ladder for ladder in self.ladders if ladder.dataset == dataset), None)
