"""What a report is made of: one section per benchmark, and the facts that stand beside its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oodml.records import Level

if TYPE_CHECKING:
    import pandas as pd

    from oodml.controls import Control
    from oodml.few_shot_statistics import FewShot
    from oodml.method_facts import MethodFacts


@dataclass(frozen=True)
class Failure:
    """A run that ended without a number.

    Attributes:
        method: Label of the method.
        level: Index of the level.
        seed: Seed of the run.
        status: "failed", "diverged" or "timeout".
        error: Text of the error.
    """

    method: str
    level: int
    seed: int
    status: str
    error: str


@dataclass(frozen=True)
class Facts:
    """Where the numbers of a section come from; empty parts are left out of the report.

    Attributes:
        title: Heading; the name of the benchmark if empty.
        command: Command that made the runs; several may stand on a line each.
        dataset: Dataset as the user named it, with its size.
        classes: Class counts as text, e.g. "200 classes, 100 train and 100 test".
        training: Backbone and training options, one line per kind.
        done: Finished runs.
        planned: Planned runs.
        failures: Runs that failed, diverged or ran out of time.
        adaptations: Adaptations that ended without a number, the method named with adapter and shots.
        unreadable: Files that could not be read, each with the reason.
        versions: Versions that made the runs, e.g. "oodml 0.1.0, torch 2.14".
        device: Kind of device that the runs trained on.
        ladder_hash: Names the content of the ladder.
        protocol: Number of the protocol that the runs followed.
        made: When they ran, e.g. "2026-11-27 to 2026-11-28".
    """

    title: str = ""
    command: str = ""
    dataset: str = ""
    classes: str = ""
    training: str = ""
    done: int = 0
    planned: int = 0
    failures: tuple[Failure, ...] = ()
    adaptations: tuple[Failure, ...] = ()
    unreadable: tuple[str, ...] = ()
    versions: str = ""
    device: str = ""
    ladder_hash: str = ""
    protocol: str = ""
    made: str = ""

    @property
    def items(self) -> tuple[tuple[str, str], ...]:
        """Label and text of every descriptive fact that is known."""
        named = (
            ("Dataset", self.dataset),
            ("Classes", self.classes),
            ("Training", self.training),
            ("Device", self.device),
            ("Versions", self.versions),
            ("Ladder", self.ladder_hash),
            ("Protocol", self.protocol),
            ("Run", self.made),
        )
        return tuple((label, text) for label, text in named if text)

    @property
    def progress(self) -> str:
        """One sentence on how complete the numbers are; "" if nothing is known."""
        if not self.planned:
            return ""
        missing = self.planned - self.done - len(self.failures)
        parts = [f"{self.done} of {self.planned} planned runs finished"]
        parts += [f"{len(self.failures)} failed"] if self.failures else []
        parts += [f"{missing} still missing"] if missing > 0 else []
        return ", ".join(parts)


@dataclass(frozen=True, eq=False)
class Section:
    """One benchmark (ladder) of a report.

    Attributes:
        benchmark: Name of the ladder; names the figures.
        frame: Leaderboard rows of this benchmark, columns of `oodml.schema.LEADERBOARD`.
        levels: Levels of the ladder; those without rows in the frame are not shown.
        facts: Where the numbers come from.
        few_shot: What the frame does not say of its few-shot rows; None without any.
        methods: What stands behind the rows of every method; empty if unknown.
        control: A sweep over random divisions of the same classes; None without one.
    """

    benchmark: str
    frame: pd.DataFrame
    levels: Sequence[Level]
    facts: Facts = field(default_factory=Facts)
    few_shot: FewShot | None = None
    methods: tuple[MethodFacts, ...] = ()
    control: Control | None = None
