"""The frozen records that the stages hand to each other, and the hashes that name them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

PROTOCOL = 1  # Raise it, with a changelog line, when the scores of an unchanged RunSpec would change.

Scalar = str | int | float | bool | None
Options = tuple[tuple[str, Scalar], ...]


def content_hash(value: object) -> str:
    """First 16 hex digits of the SHA-256 of a JSON-serialisable value, independent of the order of keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def as_options(values: Mapping[str, Scalar]) -> Options:
    """A mapping as a hashable tuple sorted by name."""
    return tuple(sorted(values.items()))


@dataclass(frozen=True)
class Level:
    """One train/test division of the classes.

    Attributes:
        index: Position in the ladder, 0 is the smallest shift.
        name: Short label: "default" for the default division, else "level_<index>".
        shift: Distance between the two sides, in the squared units of the embedder's features.
        shift_scaled: The shift scaled to [0, 1] over the ladder.
        null_mean: Mean of the same distance under random relabelling of the same sizes (the estimator's bias).
        null_std: Its standard deviation (ddof=1); both are NaN where it was not measured.
        reference: Retrieval metrics of the ladder's own, untrained embedder on the test side; empty without images.
        train: Names of the training classes.
        test: Names of the test classes.
        val: Held-out part of `train` for selection.
        origin: Where the generator found the division, e.g. "swap +12" or "removal 22".
        null_p: Share of random relabellings (itself counted) that lie at least as far apart: a one-sided p-value.
        published_shift: Shift that the authors of a published ladder gave; None for our own.
    """

    index: int
    name: str
    shift: float
    shift_scaled: float
    null_mean: float
    null_std: float
    reference: Mapping[str, float]
    train: tuple[str, ...]
    test: tuple[str, ...]
    val: tuple[str, ...]
    origin: str = ""
    null_p: float = math.nan
    published_shift: float | None = None

    @property
    def excess(self) -> float:
        """The shift less its null: what is left of it when the estimator's bias is taken off."""
        return self.shift - self.null_mean


@dataclass(frozen=True)
class Episode:
    """The labelled images of one few-shot draw: `support[class]` are `shots` distinct image ids."""

    level: int
    shots: int
    episode: int
    support: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Ladder:
    """Levels of one dataset ordered by shift.

    Attributes:
        name: Name of the ladder (the folder under `splits/`).
        dataset: The dataset as the command line takes it, e.g. "glyphs" or "folder:photos.zip"; "" for bare arrays.
        dataset_options: Options of the dataset, e.g. {"classes": 200}.
        dataset_hash: Content hash of the dataset; "" for bare arrays.
        embedder: Name and settings of the network that measured the shift, with its weights tag or hash.
        distance: Name of the measure of shift, e.g. "fid".
        generator: Name of the generator and its parameters.
        levels: The levels, by rising shift.
        trace: (origin, shift) of every state that the generator visited, in its order, for plots.
        episodes: The few-shot draws.
        skipped: Ids of unreadable images that were left out of the dataset.
        statistics: What the shift is a distance of: "class-means" or "images".
    """

    name: str
    dataset: str
    dataset_options: Mapping[str, Scalar]
    dataset_hash: str
    embedder: Mapping[str, Any]
    distance: str
    generator: Mapping[str, Any]
    levels: tuple[Level, ...]
    trace: tuple[tuple[str, float], ...] = ()
    episodes: tuple[Episode, ...] = field(default=(), repr=False)
    skipped: tuple[str, ...] = ()
    statistics: str = "class-means"

    @cached_property
    def ladder_hash(self) -> str:
        """Names everything that decides which images train and test at each level; no path, no name."""
        sides = [[level.train, level.test, level.val] for level in self.levels]
        draws = [[e.level, e.shots, e.episode, sorted(e.support.items())] for e in self.episodes]
        return content_hash([self.dataset_hash, sides, content_hash(draws)])

    @property
    def default_level(self) -> int | None:
        """Index of the default division, None if it is not among the levels."""
        return next((level.index for level in self.levels if level.name == "default"), None)


@dataclass(frozen=True)
class RunSpec:
    """Everything that can change the numbers of a run, and nothing that cannot (no path, device, worker, date).

    Attributes:
        ladder_hash: Pins dataset, classes of every level, validation classes and episodes.
        level: Index of the level.
        method: Registered name.
        config: Resolved options of the method.
        backbone: timm model name with its tag, "pixels" or "vectors".
        backbone_config: Weights tag or hash, constructor keywords, normalisation.
        training: Resolved training options (steps, batch size, image size, embedding dimension and so on).
        seed: Seed of the run.
        selection: Which weights are scored: "last", "val" or "oracle".
    """

    ladder_hash: str
    backbone: str
    backbone_config: Options
    training: Options
    selection: str
    level: int = 0
    method: str = ""
    config: Options = ()
    seed: int = 0

    @cached_property
    def run_id(self) -> str:
        """Hash of PROTOCOL and all fields; the name of the run's file."""
        return content_hash([PROTOCOL, asdict(self)])

    @property
    def config_json(self) -> str:
        """All resolved options as one JSON text: the `config` column."""
        parts = {"method": self.config, "backbone": self.backbone_config, "training": self.training}
        return json.dumps({key: dict(options) for key, options in parts.items()}, sort_keys=True)
