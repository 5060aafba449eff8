"""The whole path on a GPU: every method trains, adapters and metrics agree with the CPU, killed runs go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import oodml
from oodml import registry, training
from oodml.adapters.cards import AdapterInfo
from oodml.datasets import load_dataset
from oodml.evaluation import evaluate_embeddings
from oodml.make_splits import ladder_from_dataset
from oodml.methods.mining import distance_weighted
from oodml.records import Ladder

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")
TRAIN = {"steps": 4, "batch_size": 16, "per_class": 4, "embedding_dim": 16}


@pytest.fixture(scope="module")
def vectors(vectors_file: Path) -> Ladder:
    spec = f"embeddings:{vectors_file}"
    return ladder_from_dataset(load_dataset(spec), spec, levels=2, episodes=2, shots=(2,), null_draws=5)


@pytest.fixture(scope="module")
def pictures() -> Ladder:
    data = load_dataset("glyphs")
    return ladder_from_dataset(data, "glyphs", levels=2, episodes=2, shots=(2,), null_draws=5)


def sweep(ladder: Ladder, out: Path, **options: Any) -> pd.DataFrame:
    chosen = {"seeds": [0], "levels": [0], "workers": 1, "device": "cuda", "settings": {"train": TRAIN}, **options}
    result = oodml.run_sweep(ladder, out=out, **chosen)
    assert not result.failures
    return oodml.read_runs(out)


def test_every_method_trains_on_vectors(vectors: Ladder, tmp_path: Path) -> None:
    runs = sweep(vectors, tmp_path, methods=["all"])
    assert set(runs["method"]) == set(registry.names("method"))
    assert set(runs["device"]) == {"cuda"} and runs["value"].notna().all()


def test_methods_and_adapters_work_on_pictures_in_bf16(pictures: Ladder, tmp_path: Path) -> None:
    cards: dict[str, AdapterInfo] = {name: registry.load("adapter", name) for name in registry.names("adapter")}
    names = [f"{name}:steps=5" if "steps" in card.options else name for name, card in cards.items()]
    methods = ["study", "related", "frozen"]
    runs = sweep(pictures, tmp_path, methods=methods, shots=[2], adapters=names, views="2", workers=2)
    adapted = runs[runs["setting"] == "few_shot"]
    assert adapted["adapter"].nunique() == len(names) and adapted["value"].notna().all()
    assert (runs.loc[runs["setting"] == "zero_shot", "peak_memory_mb"] > 0).all()


@pytest.mark.parametrize("method", ["frozen", "margin"])
def test_float32_adapts_and_scores_as_the_cpu_does(method: str, vectors: Ladder, tmp_path: Path) -> None:
    exact = {"train": {**TRAIN, "precision": "float32"}}
    options: dict[str, Any] = {"methods": [method], "settings": exact, "shots": [2], "adapters": ["none", "ridge"]}
    key = ["setting", "adapter", "shots", "episode", "metric"]
    if method == "margin":
        options = {**options, "settings": {"train": {**exact["train"], "lr": 1e-9}}}  # its draws differ by device
    found = [
        sweep(vectors, tmp_path / device, device=device, **options).sort_values(key)[[*key, "value"]]
        for device in ("cpu", "cuda")
    ]
    assert found[0][key].astype(str).equals(found[1][key].astype(str).set_axis(found[0].index))
    # a near tie between neighbours may fall the other way
    assert np.abs(found[0]["value"].to_numpy() - found[1]["value"].to_numpy()).max() < 0.05


def test_metrics_are_those_of_the_cpu() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 40, 3000)
    rows = (rng.normal(size=(40, 64))[labels] + 2 * rng.normal(size=(3000, 64))).astype(np.float32)
    names = ["recall_at_1", "recall_at_8", "map_at_r", "map"]
    on_cpu, on_gpu = (evaluate_embeddings(rows, labels, metrics=names, device=d) for d in ("cpu", "cuda"))
    for name in names:
        assert on_gpu[name] == pytest.approx(on_cpu[name], abs=1e-9), name


def test_mining_waits_as_often_for_the_gpu_whatever_the_batch() -> None:
    generator = torch.Generator("cuda").manual_seed(0)

    def waits(batch: int) -> int:
        rows = torch.nn.functional.normalize(torch.randn(batch, 64, device="cuda"), dim=1)
        labels = torch.arange(batch, device="cuda") // 2
        distance_weighted(rows, labels, generator)
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with pytest.warns() as caught:
                torch.ones(1, device="cuda").item()  # one at least
                distance_weighted(rows, labels, generator)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        return sum("synchroniz" in str(warning.message) for warning in caught)

    assert waits(28) == waits(112)


def test_a_run_goes_on_from_its_checkpoint(pictures: Ladder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sweep(pictures, tmp_path / "whole", methods=["margin"])
    step = training._step
    seen: list[None] = []

    def killed(*given: Any) -> Any:
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(None)
        return step(*given)

    with monkeypatch.context() as patch:
        patch.setattr(training, "_step", killed)
        with pytest.raises(KeyboardInterrupt):
            sweep(pictures, tmp_path / "killed", methods=["margin"], checkpoint_every=1e-9)
    assert list((tmp_path / "killed" / "checkpoints").iterdir())
    again = sweep(pictures, tmp_path / "killed", methods=["margin"])
    values = [runs.set_index("metric")["value"].sort_index() for runs in (whole, again)]
    assert values[0]["recall_at_1"] == pytest.approx(values[1]["recall_at_1"], abs=0.03)
