from __future__ import annotations

import pytest

from oodml.errors import UnknownNameError
from oodml.metrics import DEFAULT_METRICS, METRICS, metric_info


def test_every_record_carries_its_own_name_and_is_complete() -> None:
    for name, info in METRICS.items():
        assert info.name == name
        assert info.summary
        assert info.bounds == (0.0, 1.0)
        assert info.higher_is_better
    assert set(DEFAULT_METRICS) <= set(METRICS)


def test_recall_exists_for_every_k() -> None:
    assert metric_info("recall_at_16").k == 16
    assert metric_info("recall_at_1000").summary.endswith("1000 nearest others")
    assert metric_info("map_at_r").k is None


@pytest.mark.parametrize("name", ["recall_at_0", "recall_at_", "recall_at_x", "recal_at_1", "recall_at_1.5", ""])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(UnknownNameError, match="unknown metric"):
        metric_info(name)


def test_a_typo_gets_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'map_at_r'"):
        metric_info("map_at_R")
