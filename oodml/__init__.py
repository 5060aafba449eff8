"""oodml: how learned visual similarity holds up when test classes drift away from training classes.

The names below are imported on first use, so that `import oodml` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from oodml.version import __version__

if TYPE_CHECKING:
    from oodml.adapting import adapt_sweep
    from oodml.compaction import compact
    from oodml.datasets import load_dataset
    from oodml.evaluation import Evaluation, evaluate, evaluate_embeddings
    from oodml.query_table import compare_evaluations, query_table, score_intervals
    from oodml.records import Episode, Ladder, Level, RunSpec
    from oodml.results import read_leaderboard, read_runs
    from oodml.splits import (
        Moments,
        frechet_distance,
        kid,
        load_ladder,
        make_ladder,
        mmd,
        save_ladder,
        sliced_wasserstein,
    )
    from oodml.sweep import run_sweep

_EXPORTS = {
    "adapt_sweep": "oodml.adapting",
    "Episode": "oodml.records",
    "Evaluation": "oodml.evaluation",
    "Ladder": "oodml.records",
    "Level": "oodml.records",
    "Moments": "oodml.splits",
    "RunSpec": "oodml.records",
    "compact": "oodml.compaction",
    "compare_evaluations": "oodml.query_table",
    "evaluate": "oodml.evaluation",
    "evaluate_embeddings": "oodml.evaluation",
    "frechet_distance": "oodml.splits",
    "kid": "oodml.splits",
    "load_dataset": "oodml.datasets",
    "load_ladder": "oodml.splits",
    "make_ladder": "oodml.splits",
    "mmd": "oodml.splits",
    "query_table": "oodml.query_table",
    "read_leaderboard": "oodml.results",
    "read_runs": "oodml.results",
    "run_sweep": "oodml.sweep",
    "save_ladder": "oodml.splits",
    "score_intervals": "oodml.query_table",
    "sliced_wasserstein": "oodml.splits",
}

__all__ = [
    "Episode",
    "Evaluation",
    "Ladder",
    "Level",
    "Moments",
    "RunSpec",
    "__version__",
    "adapt_sweep",
    "compact",
    "compare_evaluations",
    "evaluate",
    "evaluate_embeddings",
    "frechet_distance",
    "kid",
    "load_dataset",
    "load_ladder",
    "make_ladder",
    "mmd",
    "query_table",
    "read_leaderboard",
    "read_runs",
    "run_sweep",
    "save_ladder",
    "score_intervals",
    "sliced_wasserstein",
]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(importlib.import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module 'oodml' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
