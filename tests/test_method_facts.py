"""What stands behind the rows of a leaderboard: runs, values, cost and the command that repeats them."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from small_ladder import ladder_of
from sweep_files import planned, spec, write_adapted, write_done, write_failed

from oodml.errors import ResultsError
from oodml.leaderboard import build_leaderboard, levels_frame
from oodml.method_facts import MethodFacts, method_facts
from oodml.parts import ADAPTED
from oodml.presets import QUICK
from oodml.records import Ladder, as_options
from oodml.reporting import make_report
from oodml.results import read_plan, read_runs
from oodml.splits import save_ladder

OPTIONS: dict[str, Any] = {
    "training": as_options({**QUICK.as_dict(), "image_size": 0, "resize": 0, "lr": 0.01}),
    "backbone_config": as_options({"name": "vectors", "weights": "none", "args": "{}"}),
}


@pytest.fixture(scope="module", name="ladder")
def _ladder() -> Ladder:
    return replace(ladder_of("glyphs", classes=12), name="toy")


def facts_of(sweep: Path, ladder: Ladder) -> dict[str, MethodFacts]:
    runs, plan = read_runs(sweep), read_plan(sweep)
    board = build_leaderboard(runs, plan, levels_frame(ladder.levels, ladder.name))
    return {facts.label: facts for facts in method_facts(ladder, runs, plan, board)}


def test_runs_values_costs_and_command(ladder: Ladder, tmp_path: Path) -> None:
    specs = [spec("margin", level, seed, **OPTIONS) for level in (0, 1) for seed in (0, 1)]
    other = spec("margin", 0, 0, **OPTIONS, config=as_options({"beta": 0.6}))
    sweep = planned(tmp_path, [*specs, other, spec("frozen", 2, **OPTIONS)])
    for number, run in enumerate(specs[:3]):
        write_done(sweep, run, 0.1 * number, train_s=4.0 + number, embedding_dim=64)
    write_failed(sweep, specs[3], "no memory")
    write_adapted(sweep / ADAPTED / "a.parquet", specs[0], "linear", 2, [0.9])
    found = facts_of(sweep, ladder)
    assert sorted(found) == ["frozen", "margin", "margin (beta=0.6)"]
    runs = found["margin"].runs
    assert [(run.level, run.seed, run.status) for run in runs] == [
        (0, 0, "done"),
        (0, 1, "done"),
        (1, 0, "done"),
        (1, 1, "failed"),
    ]
    assert [run.values.get("recall_at_1") for run in runs] == [0.0, 0.1, 0.2, None]
    assert [run.run_id for run in runs] == [run.run_id for run in specs]
    assert found["margin"].train_s == 5.0 and found["frozen"].train_s is None
    assert found["margin"].group == "study" and "Wu" in found["margin"].paper
    assert found["margin (beta=0.6)"].options == "beta=0.6"
    command = found["margin (beta=0.6)"].command
    assert command.startswith("oodml sweep splits/toy --methods margin --levels 0 --seeds 0, ")
    assert "--set train.lr=0.01" in command and "--set margin.beta=0.6" in command
    assert found["frozen"].command.startswith("oodml sweep splits/toy --methods frozen --levels 2")


def test_a_method_that_is_not_installed_here_still_has_its_runs(ladder: Ladder, tmp_path: Path) -> None:
    run = spec("from_elsewhere", **OPTIONS, config=as_options({"alpha": 2.0}))
    write_done(planned(tmp_path, [run]), run, 0.5)
    (facts,) = facts_of(tmp_path, ladder).values()
    assert (facts.group, facts.summary, facts.paper) == ("", "", "")
    assert "--set from_elsewhere.alpha=2.0" in facts.command and len(facts.runs) == 1


def test_a_plan_without_specs_has_no_command(ladder: Ladder, tmp_path: Path) -> None:
    run = spec("margin", **OPTIONS)
    write_done(planned(tmp_path, [run]), run, 0.5)
    runs, plan = read_runs(tmp_path), read_plan(tmp_path).assign(spec=None)
    board = build_leaderboard(runs, plan, levels_frame(ladder.levels, ladder.name))
    (facts,) = method_facts(ladder, runs, plan, board)
    assert facts.command == "" and facts.runs[0].values["recall_at_1"] == 0.5


def swept(folder: Path, ladder: Ladder, kind: str) -> Path:
    """A finished sweep on a ladder of a kind."""
    made = replace(ladder, name=f"toy-{kind}", generator={"name": kind})
    save_ladder(made, folder / "ladder")
    specs = [spec("margin", level, seed, **OPTIONS) for level in (0, 1, 2) for seed in (0, 1)]
    planned(folder, specs)
    for run in specs:
        benchmark = {"benchmark": made.name, "ladder_hash": made.ladder_hash}
        write_done(folder, run, 0.5 + 0.01 * run.level + 0.001 * run.seed, embedding_dim=64, **benchmark)
    plan = pd.read_parquet(folder / "plan.parquet")
    assert len(plan) == len(specs) and asdict(specs[0])["method"] == "margin"
    return folder


def test_a_control_sweep_gives_its_table_and_others_are_refused(ladder: Ladder, tmp_path: Path) -> None:
    main, control = (swept(tmp_path / kind, ladder, kind) for kind in ("swap", "random"))
    page, _ = make_report([main], tmp_path / "out", metrics=["recall_at_1"], figures=["curves"], controls=[control])
    source = page.read_text(encoding="utf-8")
    assert "Recall@1 of random control divisions" in source and "3 random divisions of the same classes" in source
    with pytest.raises(ResultsError, match="needs a sweep over random divisions"):
        make_report([control], tmp_path / "out", controls=[main])
