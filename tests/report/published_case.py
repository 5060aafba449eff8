"""A ladder imported from splits of the published sizes and shifts, and runs on it whose numbers a test can predict."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from oodml import schema
from oodml.leaderboard import build_leaderboard, levels_frame
from oodml.methods.cards import CARDS
from oodml.presets import Situation, training_options
from oodml.published import Reading, published_study
from oodml.records import Ladder
from oodml.report import Facts, Section
from oodml.results import to_frame
from oodml.splits.published import ladder_from_published
from oodml.splits.published_file import read_published
from oodml.splits.published_view import DatasetView

SIZES = {"cub200": (100,) * 6 + (78, 52, 34), "cars196": (98,) * 5 + (86, 74, 62), "sop": (40,) * 8}
Value = Callable[[str, int, int], float | None]  # method, split, seed to recall@1


def published_ladder(folder: Path, dataset: str = "cars196", splits: Sequence[int] = (), **changes: Any) -> Ladder:
    """A ladder imported from a pickle with the published shifts.

    Args:
        folder: Where the pickle goes.
        dataset: Name of the dataset; its classes are made up.
        splits: Numbers of the splits; all if empty.
        changes: `fids` or `sizes` by split number instead of the published ones, `spec` of the dataset.
    """
    study = published_study().ladder(dataset)
    assert study is not None
    half = max(SIZES[dataset])
    names = [f"class {i:03d}" for i in range(2 * half)]
    sizes = dict(enumerate(SIZES[dataset], start=1)) | changes.get("sizes", {})
    shifts = dict(enumerate(study.shifts, start=1)) | changes.get("fids", {})
    content = {}
    for number in splits or range(1, len(study.shifts) + 1):
        train, test = names[number : number + sizes[number]], (names + names)[number + half :][: sizes[number]]
        content[number] = {
            **{"train": train, "test": test, "fid": shifts[number]},
            **{"split_train": train[3:], "split_val": train[:3], "test_episodes": {}},
        }
    path = folder / "splits.pkl"
    path.write_bytes(pickle.dumps(content))
    view = DatasetView(changes.get("spec", dataset), {name: [f"{name}/1.jpg"] for name in names}, "cafe")
    return ladder_from_published(read_published(path), view, name=f"{dataset}-published")


def paper_config(method: str, dataset: str = "cars196", /, **changes: Mapping[str, Any]) -> str:
    """The `config` column of a run by `--preset paper`, with changes by part: method, backbone, training."""
    card = CARDS[method]
    training = training_options("paper", Situation(dataset=dataset, from_weights=True), card.paper_training(dataset))
    parts: dict[str, Mapping[str, Any]] = {
        "method": card.resolve_options(dataset, {}),
        "backbone": {"name": "resnet50.tv_in1k", "weights": "pretrained:tv_in1k", "args": "{}"},
        "training": training.as_dict(),
    }
    return json.dumps({name: {**part, **changes.get(name, {})} for name, part in parts.items()}, sort_keys=True)


def recall_near(offset: float = 0.0, spread: float = 0.001, dataset: str = "cars196") -> Value:
    """The published values plus an offset, seeds a spread apart; what could not be read lies on a straight line."""
    study = published_study().ladder(dataset)
    assert study is not None

    def value(method: str, split: int, seed: int) -> float:
        reading = study.recall_at_1[method][split - 1]
        base = 0.83 - 0.2 * study.shifts_scaled[split - 1] if reading is None else reading.value
        return base + offset + spread * (seed - 1)

    return value


def published_rows(
    ladder: Ladder, methods: Sequence[str], value: Value, *, seeds: int = 3, selection: str = "last", **more: Any
) -> list[dict[str, Any]]:
    """Rows of finished runs, one number each; `more` are columns for all, such as `config` or `backbone`."""
    rows = []
    for method in methods:
        config = more.get("config") or (paper_config(method, ladder.dataset) if method in CARDS else "{}")
        for level in ladder.levels:
            for seed in range(seeds):
                found = value(method, int(level.origin.removeprefix("published ")), seed)
                if found is None:
                    continue
                rows.append(
                    {
                        "run_id": f"{method}-{level.index}-{seed}-{selection}-{hash(config)}",
                        **{"benchmark": ladder.name, "dataset": ladder.dataset, "ladder_hash": ladder.ladder_hash},
                        **{"level": level.index, "shift": level.shift, "shift_scaled": level.shift_scaled},
                        **{"method": method, "backbone": "resnet50.tv_in1k", "embedding_dim": 512, "seed": seed},
                        **{"selection": selection, "setting": "zero_shot", "metric": "recall_at_1", "value": found},
                        **{"status": "done", "started_at": "2026-01-01T00:00:00", **more, "config": config},
                    }
                )
    return rows


def published_section(ladder: Ladder, rows: Sequence[dict[str, Any]]) -> Section:
    """A section with the leaderboard of the rows."""
    columns = {name: [row.get(name) for row in rows] for name in schema.RUN.names}
    runs = to_frame(schema.table(schema.RUN, columns))
    board = build_leaderboard(runs, None, levels_frame(ladder.levels, ladder.name))
    return Section(ladder.name, board, ladder.levels, Facts(title=ladder.name, dataset=ladder.dataset))


def reading(dataset: str, method: str, split: int) -> Reading | None:
    """A published number."""
    study = published_study().ladder(dataset)
    assert study is not None
    return study.recall_at_1[method][split - 1]
