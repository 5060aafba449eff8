"""Few-shot adaptation of whole sweeps: what is done, done again, not repeated, recorded and refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from torch import Tensor
from typer.testing import CliRunner

import oodml
from oodml import registry
from oodml.adapters.base import Adapter, Problem
from oodml.adapters.cards import AdapterInfo
from oodml.adapters.episodes import draw_of
from oodml.app import app
from oodml.datasets import load_dataset
from oodml.errors import LadderError, ResultsError, UnknownNameError, UsageError
from oodml.evaluation import evaluate_embeddings
from oodml.make_splits import ladder_from_dataset
from oodml.parts import ADAPTED
from oodml.records import Episode, Ladder
from oodml.splits.files import load_ladder

TRAIN = {"steps": 4, "batch_size": 16, "per_class": 4, "embedding_dim": 6}
KEY = ["run_id", "shots", "adapter", "episode", "metric"]
EPISODES, LEVELS = 3, 2


@pytest.fixture(scope="module")
def ladder(vectors_file: Path) -> Ladder:
    spec = f"embeddings:{vectors_file}"
    options: dict[str, Any] = {"levels": LEVELS, "episodes": EPISODES, "shots": (2, 5), "null_draws": 5}
    return ladder_from_dataset(load_dataset(spec), spec, **options)


def sweep(ladder: Ladder, out: Path, **options: Any) -> Any:
    chosen = {"methods": ["frozen", "margin"], "seeds": [0, 1], "workers": 1, "settings": {"train": TRAIN}, **options}
    return oodml.run_sweep(ladder, out=out, **chosen)


@pytest.fixture(scope="module")
def kept(ladder: Ladder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("kept")
    sweep(ladder, out, keep_models=True)
    return out


@pytest.fixture
def copy(kept: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(kept, tmp_path / "sweep"))


def few_shot(out: Path) -> pd.DataFrame:
    runs = oodml.read_runs(out)
    return runs[runs["setting"] == "few_shot"].sort_values(KEY).reset_index(drop=True)


def values(out: Path) -> pd.DataFrame:
    return few_shot(out)[[*KEY, "value", "num_queries"]]


def test_every_run_has_rows_for_every_adapter_shot_and_episode_and_a_control(copy: Path) -> None:
    result = oodml.adapt_sweep(copy, shots=[2, 5], adapters=["whitening"], workers=1)
    runs = LEVELS * (1 + 2)  # frozen vectors need one seed
    assert result.planned == runs * 2 * 2 and result.already == 0 and not result.failures
    rows = few_shot(copy)
    assert set(rows["adapter"]) == {"none", "whitening"} and set(rows["status"]) == {"done"}
    recall = rows[rows["metric"] == "recall_at_1"]
    assert len(recall) == runs * 2 * 2 * EPISODES
    per_class = {2: 6, 5: 3}  # 8 images per class, 10 classes
    expected = 10 * recall["shots"].map(per_class)
    assert (recall["num_queries"] == expected).all()
    assert (recall["train_s"] >= 0).all() and recall["config"].nunique() == 2


def test_the_control_is_the_sweeps_own_network_on_the_query_images(copy: Path, vectors_file: Path) -> None:
    oodml.adapt_sweep(copy, shots=[2], adapters=["none"], methods=["frozen"], workers=1)
    arrays, ladder = np.load(vectors_file), load_ladder(copy / "ladder")
    data = load_dataset(f"embeddings:{vectors_file}")
    names = np.array(data.class_names)[data.labels]
    for episode in (e for e in ladder.episodes if e.shots == 2):
        labelled = {image for images in episode.support.values() for image in images}
        test = [row for row in range(len(names)) if names[row] in ladder.levels[episode.level].test]
        queries = [row for row in test if data.image_ids[row] not in labelled]
        expected = evaluate_embeddings(arrays["embeddings"][queries], names[queries], metrics=["map_at_r"])
        rows = few_shot(copy)
        row = rows.query("level == @episode.level and episode == @episode.episode and metric == 'map_at_r'").iloc[0]
        assert row["value"] == pytest.approx(expected["map_at_r"], abs=1e-6)


def test_a_second_start_does_nothing_and_a_broken_file_is_made_again(copy: Path) -> None:
    oodml.adapt_sweep(copy, shots=[2], adapters=["whitening"], workers=1)
    before = {path: path.stat().st_mtime_ns for path in (copy / ADAPTED).iterdir()}
    expected = values(copy)
    again = oodml.adapt_sweep(copy, shots=[2], adapters=["whitening"], workers=1)
    assert again.already == again.planned
    assert before == {path: path.stat().st_mtime_ns for path in (copy / ADAPTED).iterdir()}
    victim = sorted(before)[0]
    victim.write_bytes(victim.read_bytes()[:100])
    assert oodml.adapt_sweep(copy, shots=[2], adapters=["whitening"], workers=1).already == again.planned - 1
    pd.testing.assert_frame_equal(values(copy), expected)


def test_values_do_not_depend_on_workers_or_on_what_is_adapted_beside(copy: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(copy, tmp_path / "other"))
    linear = "linear:steps=3"
    oodml.adapt_sweep(copy, shots=[2, 5], adapters=[linear, "ridge"], workers=2)
    for seed in (0, 1):
        for shots in (5, 2):
            oodml.adapt_sweep(other, shots=[shots], adapters=[linear], seeds=[seed], workers=1)
    expected = values(copy).query("adapter != 'ridge'").reset_index(drop=True)
    pd.testing.assert_frame_equal(values(other), expected)


def test_a_sweep_with_shots_trains_adapts_and_drops_its_networks(ladder: Ladder, kept: Path, tmp_path: Path) -> None:
    result = sweep(ladder, tmp_path, shots=[2], adapters=["whitening"])
    assert not result.failures and result.outcomes == {"done": result.planned}
    assert not list((tmp_path / "models").iterdir())
    zero_shot = ["run_id", "metric", "value"]
    ours, theirs = (
        oodml.read_runs(out).query("setting == 'zero_shot'")[zero_shot].sort_values(zero_shot).reset_index(drop=True)
        for out in (tmp_path, kept)
    )
    pd.testing.assert_frame_equal(ours, theirs)
    assert sweep(ladder, tmp_path, shots=[2], adapters=["whitening"]).already == result.planned
    more = sweep(ladder, tmp_path, shots=[2, 5], adapters=["whitening"], keep_models=True)
    assert more.outcomes == {"done": more.planned}, "the networks are gone, so the runs are trained again"
    assert len(list((tmp_path / "models").iterdir())) == more.planned
    assert set(few_shot(tmp_path)["shots"]) == {2, 5}


def test_a_run_without_its_network_is_named_and_the_others_go_on(copy: Path) -> None:
    lost = sorted((copy / "models").iterdir())[0]
    lost.unlink()
    result = oodml.adapt_sweep(copy, shots=[2], adapters=["none"], workers=1)
    assert [error for _, error in result.failures] == ["its network was not kept; train it again"]
    assert few_shot(copy)["run_id"].nunique() == LEVELS * 3 - 1
    for path in (copy / "models").iterdir():
        path.unlink()
    with pytest.raises(ResultsError, match="no kept network, the first is .*level 0, seed 0.*--keep-models"):
        oodml.adapt_sweep(copy, shots=[5], adapters=["none"])


def test_a_network_that_cannot_be_read_fails_its_run_with_the_file_named(copy: Path) -> None:
    broken = sorted((copy / "models").iterdir())[0]
    broken.write_bytes(b"no network")
    result = oodml.adapt_sweep(copy, shots=[2], adapters=["none"], workers=1)
    assert len(result.failures) == 1 and broken.name in result.failures[0][1]
    rows = few_shot(copy)
    assert rows.loc[rows["status"] == "done", "run_id"].nunique() == LEVELS * 3 - 1, "its siblings are adapted"
    assert set(rows.loc[rows["status"] == "failed", "adapter"]) == {"none"}
    assert rows.loc[rows["status"] == "failed", "metric"].isna().all()


def test_mistakes_are_named_before_anything_is_written(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="level 0 .* has episodes of 2, 5 shots, none of 7"):
        oodml.adapt_sweep(copy, shots=[2, 7])
    with pytest.raises(UnknownNameError, match="adapter 'lienar'"):
        oodml.adapt_sweep(copy, shots=[2], adapters=["lienar"])
    with pytest.raises(UnknownNameError, match="option of adapter 'whitening'"):
        oodml.adapt_sweep(copy, shots=[2], adapters=["whitening:shrinking=0.5"])
    with pytest.raises(UnknownNameError, match="method of the sweep 'arcface'"):
        oodml.adapt_sweep(copy, shots=[2], methods=["arcface"])
    with pytest.raises(ResultsError, match="not a sweep folder"):
        oodml.adapt_sweep(tmp_path / "nothing", shots=[2])
    assert not (copy / ADAPTED).exists()


def test_classes_that_keep_no_image_are_left_out_or_refused(vectors_file: Path, tmp_path: Path) -> None:
    arrays = np.load(vectors_file)
    small = arrays["labels"] == 3
    keep = ~small | (np.cumsum(small) <= 2)
    path = tmp_path / "few.npz"
    np.savez(path, embeddings=arrays["embeddings"][keep], labels=arrays["labels"][keep])
    spec = f"embeddings:{path}"
    options: dict[str, Any] = {"levels": 2, "episodes": 2, "shots": (2,), "null_draws": 5}
    made = ladder_from_dataset(load_dataset(spec), spec, **options)
    sweep(made, tmp_path / "out", methods=["frozen"], keep_models=True)
    with pytest.raises(UsageError, match="1 test classes have no more than 2 images, the first is '3'"):
        oodml.adapt_sweep(tmp_path / "out", shots=[2], adapters=["none"], small_classes="error")
    assert not oodml.adapt_sweep(tmp_path / "out", shots=[2], adapters=["none"], workers=1).failures
    found = few_shot(tmp_path / "out").query("metric == 'recall_at_1'").set_index("level")["num_queries"]
    for level in made.levels:
        classes = len(level.test) - ("3" in level.test)
        assert set(found[level.index]) == {6 * classes}


def test_an_episode_must_name_test_images_of_its_classes() -> None:
    ids, names = ["a1", "a2", "a3", "b1", "b2", "b3"], ["a"] * 3 + ["b"] * 3
    labels = np.array([7, 7, 7, 4, 4, 4])
    draw = draw_of(Episode(0, 1, 0, {"a": ("a2",), "b": ("b3",)}), ids, names, labels)
    assert draw.classes.tolist() == [4, 7] and draw.support.tolist() == [[5], [1]]
    assert draw.queries.tolist() == [0, 2, 3, 4]
    with pytest.raises(LadderError, match="labels image 'b1' as 'a'"):
        draw_of(Episode(0, 1, 0, {"a": ("b1",)}), ids, names, labels)
    with pytest.raises(LadderError, match="labels image 'c1' as 'c'"):
        draw_of(Episode(0, 1, 0, {"c": ("c1",)}), ids, names, labels)
    with pytest.raises(UsageError, match="no class keeps two images"):
        draw_of(Episode(0, 2, 0, {"a": ("a1", "a2"), "b": ("b1", "b2")}), ids, names, labels)


def test_an_edited_episodes_file_is_refused(copy: Path) -> None:
    ladder = load_ladder(copy / "ladder")
    first, *rest = ladder.episodes
    swapped = dict(zip(first.support, reversed(list(first.support.values())), strict=True))
    changed = replace(ladder, episodes=(replace(first, support=swapped), *rest))
    from oodml.splits.files import save_ladder

    other = copy.parent / "changed"
    save_ladder(changed, other)
    shutil.copy(other / "episodes.parquet", copy / "ladder" / "episodes.parquet")
    with pytest.raises(LadderError):
        oodml.adapt_sweep(copy, shots=[2])


class Halved(Adapter):
    """Keeps the first half of every embedding."""

    def adapt_one(self, problem: Problem) -> Tensor:
        z = problem.rows_of(problem.model.embeddings, problem.queries)
        return z[:, : z.shape[1] // 2]


HALVED = AdapterInfo("halved", "test_adapt_sweep:Halved", "Keeps half of the embedding.", "-", "embeddings")


def test_an_installed_package_brings_an_adapter_by_an_entry_point(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("halved", "test_adapt_sweep:HALVED", "oodml.adapters")
    monkeypatch.setattr(registry, "entry_points", lambda group: EntryPoints([point]).select(group=group))
    registry.targets.cache_clear()
    try:
        assert not oodml.adapt_sweep(copy, shots=[2], adapters=["halved"], workers=1).failures
    finally:
        registry.targets.cache_clear()
    recall = few_shot(copy).query("metric == 'recall_at_1'").groupby("adapter")["value"].mean()
    assert set(recall.index) == {"none", "halved"} and recall["halved"] < recall["none"]


def test_the_command_adapts_shows_its_plan_and_explains_itself(copy: Path) -> None:
    runner = CliRunner()
    planned = runner.invoke(app, ["adapt", str(copy), "--shots", "2", "--adapters", "ridge:mix=0.25", "--dry-run"])
    assert planned.exit_code == 0, planned.output
    assert "ridge:mix=0.25" in planned.output and "to do: 12 of 12, in 4 jobs" in planned.output
    assert not (copy / ADAPTED).exists()
    call = ["adapt", str(copy), "--shots", "2", "--adapters", "ridge:mix=0.25", "--workers", "1"]
    done = runner.invoke(app, call)
    assert done.exit_code == 0, done.output
    assert "adapted: 12 planned, 0 were there already" in done.output
    assert set(few_shot(copy)["adapter"]) == {"none", "ridge:mix=0.25"}
    wrong = runner.invoke(app, ["adapt", str(copy), "--shots", "two"])
    assert wrong.exit_code == 2 and "whole numbers above 0" in wrong.output
    listed = runner.invoke(app, ["adapters"])
    assert listed.exit_code == 0 and "whitening" in listed.output
    card = runner.invoke(app, ["adapters", "ridge"])
    assert card.exit_code == 0 and "penalty" in card.output
