"""Makes the golden files of schema version 1: what an oodml wrote before leaderboards and runs had version 2.

It needs the code of that time, the last commit with version 1, and is not run by the tests:

    git archive db84314 oodml | tar -x -C SOMEWHERE
    PYTHONPATH=SOMEWHERE python tests/golden/make_v1.py tests/golden

Two methods, three levels, two seeds; a run that failed, few-shot rows with a gain, and methods of one value.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd

from oodml import schema
from oodml.leaderboard import build_leaderboard
from oodml.records import Level
from oodml.results import read_runs, write_leaderboard, write_run

SHIFTS = ((2.0, 0.0), (4.0, 0.25), (10.0, 1.0))
SCORES = {"margin": ((0.8, 0.7), (0.6, 0.65), (0.4, 0.5)), "frozen": ((0.5, 0.5), (0.4, 0.4), (0.3, None))}
CONFIG = '{"backbone": {}, "method": {}, "training": {"steps": 3}}'


def rows_of(method: str, level: int, seed: int, value: float | None) -> list[dict[str, Any]]:
    """The rows of one run; a run without a value failed."""
    run: dict[str, Any] = {"run_id": f"{method}-{level}-{seed}", "benchmark": "toy", "dataset": "toys"}
    run |= {"ladder_hash": "0123456789abcdef", "level": level, "shift": SHIFTS[level][0]}
    run |= {"shift_scaled": SHIFTS[level][1], "method": method, "backbone": "vectors", "embedding_dim": 8}
    run |= {"config": CONFIG, "seed": seed, "selection": "last", "train_s": 1.5, "eval_s": 0.5, "peak_memory_mb": 64.0}
    run |= {"device": "cpu", "oodml_version": "0.1", "torch_version": "2.6", "started_at": "2024-05-01T12:00:00"}
    if value is None:
        return [{**run, "status": "failed", "error": "the loss was no number"}]
    counts = {"num_queries": 40, "num_lone": 0, "num_classes": 4, "status": "done"}
    rows = [{**run, **counts, "setting": "zero_shot", "metric": "recall_at_1", "value": value}]
    for adapter, more in (("none", -0.05), ("ridge", 0.05)) if method == "margin" and seed == 0 else ():
        few = {"setting": "few_shot", "shots": 2, "adapter": adapter, "metric": "recall_at_1"}
        rows += [{**run, **counts, **few, "episode": e, "value": value + more + 0.01 * e} for e in range(2)]
    return rows


def main(folder: Path) -> None:
    """Writes the files into a folder."""
    assert getattr(schema, "SCHEMA_VERSION", None) == 1, "this needs the oodml of version 1, see above"
    names = ("default", "level_1", "level_2")
    sides = (("a", "b"), ("c", "d"), ())
    reference = ({"recall_at_1": 0.5}, {"recall_at_1": 0.4}, {"recall_at_1": 0.3})
    levels = [Level(i, names[i], *SHIFTS[i], 1.0, 0.1, reference[i], *sides) for i in range(3)]
    frames = []
    for method, scores in SCORES.items():
        for level, values in enumerate(scores):
            for seed, value in enumerate(values):
                path = folder / f"v1_{method}_{level}_{seed}.parquet"
                write_run(path, rows_of(method, level, seed, value))
                frames.append(read_runs(path))
                if (level, seed) != (2, 1):
                    path.unlink()
    (folder / "v1_margin_2_1.parquet").rename(folder / "v1_run.parquet")
    (folder / "v1_frozen_2_1.parquet").rename(folder / "v1_failed_run.parquet")
    write_leaderboard(folder / "v1_leaderboard.parquet", build_leaderboard(pd.concat(frames), None, levels))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
