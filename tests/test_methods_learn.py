"""Every own method learns something real: the middle level of the glyphs ladder with the quick preset."""

from __future__ import annotations

from pathlib import Path

import pytest

import oodml
from oodml import registry
from oodml.method_groups import expand_groups
from oodml.splits import load_ladder

MIDDLE = 4
LEAST_GAIN = 0.05
SPLITS = Path(__file__).parent.parent / "splits"


@pytest.mark.slow
def test_every_own_method_beats_the_untrained_network_far_from_home(tmp_path: Path) -> None:
    assert len(load_ladder(SPLITS / "glyphs").levels) == 2 * MIDDLE
    result = oodml.run_sweep(SPLITS / "glyphs", out=tmp_path, methods=["own"], levels=[MIDDLE], seeds=[0])
    assert not result.failures
    runs = oodml.read_runs(tmp_path).query("metric == 'recall_at_1'").set_index("method")["value"]
    trained = [name for name in expand_groups(["own"]) if registry.load("method", name).trains]
    gains = (runs[trained] - runs["frozen"]).sort_values()
    assert gains.min() >= LEAST_GAIN, gains.head().to_dict()
