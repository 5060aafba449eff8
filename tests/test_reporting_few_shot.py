"""A report of a sweep folder with few-shot rows beside its runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from few_shot_case import LADDER, few_shot_rows, lost_row

from oodml import schema, store
from oodml.records import Ladder
from oodml.reporting import load_sections
from oodml.results import write_run


@pytest.fixture(name="sweep")
def _sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two methods, one seed; the first adaptation failed. The ladder is given, not read."""
    rows = few_shot_rows(("margin", "triplet"), seeds=1, shots=(5,), metrics=("recall_at_1",))
    kept = [r for r in rows if (r.get("adapter"), r["level"], r["method"]) != ("linear", 1, "margin")]
    lost = next(lost_row(r, 5, "linear", "no memory") for r in rows if (r["level"], r["method"]) == (1, "margin"))
    for name, part in (("0", [lost]), ("1", kept)):  # the failure comes first: it must not stand for the run
        write_run(tmp_path / "runs" / f"{name}.parquet", part)
    plan = [{**r, "spec": None} for r in rows if r["setting"] == "zero_shot"]
    columns = {name: [row.get(name) for row in plan] for name in schema.PLAN.names}
    columns["config"] = ["{}"] * len(plan)
    store.write_table(tmp_path / "plan.parquet", schema.table(schema.PLAN, columns))
    ladder = Ladder("toy", "toys", {}, "", {}, "fid", {}, LADDER)
    monkeypatch.setattr("oodml.reporting._ladder_of", lambda sweep: ladder)
    monkeypatch.setattr("oodml.reporting.describe_training", lambda backbone, config: "small")
    return tmp_path


def test_a_failed_adaptation_is_told_apart_from_a_failed_run(sweep: Path) -> None:
    (section,) = load_sections([sweep])
    assert section.facts.progress == "10 of 10 planned runs finished"
    assert section.facts.failures == ()
    (lost,) = section.facts.adaptations
    assert (lost.method, lost.level, lost.seed, lost.error) == ("margin, linear, 5 shots", 1, 0, "no memory")


def test_the_section_holds_gains_and_their_summary(sweep: Path) -> None:
    (section,) = load_sections([sweep])
    gains = section.frame[section.frame["metric"] == "gain_recall_at_1"]
    found = {(method, level): n for method, level, n in zip(gains["method"], gains["level"], gains["n"], strict=True)}
    assert found == {(m, i): int((m, i) != ("margin", 1)) for m in ("margin", "triplet") for i in range(5)}
    assert section.few_shot is not None
    counts = {c.entry.method: c.trend.levels for c in section.few_shot.curves if c.trend}
    assert counts == {"margin": 4, "triplet": 5}
