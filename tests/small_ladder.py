"""Small ladders with honest shifts, made by hand rather than by the generator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from oodml.datasets import load_dataset
from oodml.embedder import embed_dataset
from oodml.embeddings import class_means
from oodml.records import Ladder, Level
from oodml.splits import frechet_distance


def ladder_of(spec: str, **options: Any) -> Ladder:
    """Three levels of a dataset along the first principal component of its class means: mixed, between, apart."""
    found = embed_dataset(load_dataset(spec, options=options))
    names, half = found.dataset.class_names, len(found.dataset.class_names) // 2
    means = class_means(found.features, found.dataset.labels, len(names)).astype(np.float64)
    _, _, axes = np.linalg.svd(means - means.mean(0), full_matrices=False)
    along = [names[row] for row in np.argsort(means @ axes[0])]
    apart = along[:half], along[half:]
    between = [*apart[0][: half // 2], *apart[1][: half - half // 2]]
    sides = [along[::2], between, apart[0]]
    row = {name: number for number, name in enumerate(names)}
    levels = [_level(side, [name for name in names if name not in side]) for side in sides]
    measured = [
        replace(
            level, shift=frechet_distance(means[[row[n] for n in level.train]], means[[row[n] for n in level.test]])
        )
        for level in levels
    ]
    return Ladder(
        name="small",
        dataset=spec,
        dataset_options=options,
        dataset_hash=found.dataset.content_hash,
        embedder=found.description,
        distance="fid",
        generator={"name": "by_hand", "null_draws": 9, "notes": ["made by hand"]},
        levels=scaled(measured),
    )


def scaled(levels: Sequence[Level]) -> tuple[Level, ...]:
    """Levels by rising shift with their index, name and scaled shift."""
    ranked = sorted(levels, key=lambda level: level.shift)
    low, high = ranked[0].shift, ranked[-1].shift
    return tuple(
        replace(
            level,
            index=index,
            name=f"level_{index}" if index else "default",
            shift_scaled=(level.shift - low) / (high - low),
            origin=f"swap +{2 * index}" if index else "default",
        )
        for index, level in enumerate(ranked)
    )


def _level(train: Sequence[str], test: Sequence[str]) -> Level:
    known = {"recall_at_1": 0.5, "map_at_r": 0.25}
    sides: dict[str, Any] = {
        "train": tuple(sorted(train)),
        "test": tuple(sorted(test)),
        "val": tuple(sorted(train)[:1]),
    }
    return Level(0, "", math.nan, 0.0, 1.0, 0.1, known, **sides, null_p=0.1)


def write_vectors(path: Path, source: Path, seed: int = 0, without: Sequence[str] = ()) -> Path:
    """The vectors of a file once more: rows and classes in another order, less some classes, plus one of no use."""
    arrays = np.load(source)
    rng = np.random.default_rng(seed)
    names = [str(name) for name in arrays["class_names"]]
    keep = [name for name in rng.permutation([*names, "extra"]).tolist() if name not in without]
    vectors = np.concatenate([arrays["embeddings"], rng.normal(size=(3, arrays["embeddings"].shape[1]))])
    owners = [*(names[label] for label in arrays["labels"]), *["extra"] * 3]
    rows = [row for row in rng.permutation(len(owners)) if owners[row] in keep]
    labels = np.array([keep.index(owners[row]) for row in rows])
    np.savez(path, embeddings=vectors[rows].astype(np.float32), labels=labels, class_names=np.array(keep))
    return path
