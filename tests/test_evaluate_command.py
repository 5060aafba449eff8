"""`oodml evaluate`: what it computes, prints and writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from evaluated_files import IDS, LABELS, call, first_file, points, scored, second_file, succeeds, write

import oodml
from oodml.evaluation import COUNTS, evaluate, evaluate_embeddings
from oodml.metrics import METRICS, metric_info, metric_names
from oodml.metrics.base import MAX_CLASSES_CLUSTERED
from oodml.query_table import query_table, score_intervals


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return first_file(tmp_path)


@pytest.fixture(name="better")
def _better(tmp_path: Path) -> Path:
    return second_file(tmp_path)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_scores_are_those_of_the_engine(file: Path, distance: str) -> None:
    found = scored(file, "--metrics", "default,recall_at_3,nmi_paper", "--train-classes", 7, "--distance", distance)
    names = ["default", "recall_at_3", "nmi_paper"]
    expected = evaluate_embeddings(points(0.9), LABELS, metrics=names, distance=distance, num_train_classes=7)
    assert list(found["scores"]) == list(expected)
    assert found["scores"] == pytest.approx(expected, rel=1e-9)
    assert (found["scores"]["num_queries"], found["scores"]["num_lone"]) == (60, 2)


def test_json_has_everything_and_no_number_that_json_lacks(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "scores.json"
    names = "map_at_r,recall_at_1_macro,rho_20,rho_1,uniformity"  # rho_20: fewer dimensions
    text = succeeds(file, "--metrics", names, "--json", out)
    assert f"scores: {out}" in text
    found = json.loads(out.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    keys = "dataset distance scores intervals approximate seconds bounds higher_is_better oodml_version"
    assert list(found) == keys.split()
    assert found["dataset"] == f"embeddings:{file}" and found["distance"] == "cosine"
    assert found["oodml_version"] == oodml.__version__
    assert list(found["scores"]) == [*names.split(","), *COUNTS]
    assert found["scores"]["rho_20"] is None
    assert found["bounds"]["uniformity"] == [-8, 0] and found["bounds"]["rho_1"] == [0, None]
    assert found["higher_is_better"] == {name: metric_info(name).higher_is_better for name in names.split(",")}
    assert {"search", "spectrum"} <= set(found["seconds"]) and min(found["seconds"].values()) >= 0
    engine = evaluate(points(0.9), LABELS, metrics=names.split(","))
    intervals = {name: list(bounds) for name, bounds in score_intervals(engine).items()}
    assert set(found["intervals"]) == {"map_at_r", "recall_at_1_macro"}
    for name, bounds in found["intervals"].items():
        assert bounds == pytest.approx(intervals[name], rel=1e-9)


def test_json_to_standard_output_comes_alone(file: Path, better: Path, tmp_path: Path) -> None:
    queries = tmp_path / "queries.parquet"
    result = call(file, "--against", better, "--json", "-", "--per-query", queries)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["scores"]["num_lone"] == 2
    assert f"queries: {queries}" in result.stderr and queries.exists()
    assert not (Path.cwd() / "-").exists()


def test_the_table_groups_metrics_with_intervals_and_directions(file: Path) -> None:
    text = succeeds(file, "--metrics", "all")
    assert max(map(len, text.splitlines()[1:])) <= 80 and text.splitlines()[0] == f"embeddings:{file}"
    lines = [line.strip() for line in text.splitlines()]
    families = ["retrieval", "clustering", "spread", "spectrum", "sphere", "verification"]
    assert [line for line in lines if line in families] == families
    by_name = {line.split()[0]: line for line in lines if line}
    found = scored(file, "--metrics", "all")
    for name in metric_names("all", 14):
        shown = by_name[name].split()
        value = found["scores"][name]
        if name in found["intervals"]:
            low, high = found["intervals"][name]
            assert f"[{low:.4f}, {high:.4f}]" in by_name[name]
        assert shown[1].replace("−", "-") == ("–" if value is None else f"{value:.4f}")
        assert shown[-1] == ("↑" if METRICS[name].higher_is_better else "↓")
    assert "60 queries, 2 lone rows, 14 classes, 12 dimensions, cosine" in lines
    seconds = next(line for line in lines if line.startswith("seconds: "))
    assert "search" in seconds and "k-means" in seconds and "spectrum" in seconds


def test_what_is_not_defined_has_a_dash(file: Path) -> None:
    text = succeeds(file, "--metrics", "rho_20")
    assert "rho_20      –" in text and "– not defined here" in text and "95 % interval" not in text


def test_intervals_can_be_left_out(file: Path) -> None:
    assert "95 % interval" in succeeds(file, "--metrics", "map_at_r")
    text = succeeds(file, "--metrics", "map_at_r", "--no-intervals")
    assert "95 % interval" not in text and "resampled" not in text and "[" not in text
    assert scored(file, "--metrics", "map_at_r", "--no-intervals")["intervals"] == {}


def test_the_long_table_has_a_row_per_metric(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.parquet"
    succeeds(f"embeddings:{file}", "--metrics", "map_at_r,nmi,rho_20,intra", "--parquet", out, "--threads", 1)
    raw = pq.read_table(out)
    assert raw.schema.metadata == {b"oodml_kind": b"scores", b"oodml_schema": b"1"}
    types = {name: str(kind) for name, kind in zip(raw.schema.names, raw.schema.types, strict=True)}
    assert types == {
        **dict.fromkeys(("dataset", "metric"), "string"),
        **dict.fromkeys(("value", "low", "high"), "double"),
        "higher_is_better": "bool",
        **dict.fromkeys(COUNTS, "int64"),
        **dict.fromkeys(("distance", "gallery"), "string"),
        "approximate": "bool",
        "sampled_error": "double",
        "oodml_version": "string",
    }
    rows = {row["metric"]: row for row in raw.to_pylist()}
    found = scored(file, "--metrics", "map_at_r,nmi,rho_20,intra", "--threads", 1)
    assert {name: row["value"] for name, row in rows.items()} == {
        name: value for name, value in found["scores"].items() if name not in COUNTS
    }
    assert [rows["map_at_r"]["low"], rows["map_at_r"]["high"]] == found["intervals"]["map_at_r"]
    assert rows["nmi"]["low"] is None and rows["rho_20"]["value"] is None
    assert not rows["intra"]["higher_is_better"] and rows["nmi"]["higher_is_better"]
    for row in rows.values():
        assert row["dataset"] == f"embeddings:{file}" and row["distance"] == "cosine" and row["approximate"] is False
        assert (row["num_queries"], row["num_lone"], row["num_classes"]) == (60, 2, 14)
        assert row["oodml_version"] == oodml.__version__


def test_means_of_the_table_per_query_are_the_scores(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "queries.parquet"
    found = scored(file, "--per-query", out)["scores"]
    table = pd.read_parquet(out)
    assert table["id"].tolist() == IDS and table["class"].tolist() == LABELS.tolist()
    averaged = [name for name in metric_names("default", 14) if metric_info(name).family == "retrieval"]
    averaged = [name for name in averaged if not name.endswith("_macro")]
    assert list(table.columns) == ["row", "id", "class", "first_hit", *averaged]
    for name in averaged:
        assert table[name].mean() == pytest.approx(found[name], rel=1e-12), name
    engine = query_table(evaluate(points(0.9), LABELS), IDS)
    pd.testing.assert_frame_equal(table.astype({"first_hit": "Int64"}), engine)


def test_few_classes_and_parquet_and_missing_ids_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "two.parquet"
    vectors = [[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]]
    pd.DataFrame({"embedding": vectors, "label": ["a", "a", "b", "b"]}).to_parquet(path)
    out = tmp_path / "queries.parquet"
    assert scored(path, "--metrics", "map_at_r", "--per-query", out)["scores"]["map_at_r"] == 1
    assert pd.read_parquet(out)["id"].tolist() == [f"row/00000{row}" for row in range(4)]


def test_many_classes_leave_clustering_out_and_say_so(tmp_path: Path) -> None:
    many = np.repeat(np.arange(MAX_CLASSES_CLUSTERED + 1), 2)
    path = tmp_path / "many.npz"
    np.savez(path, embeddings=np.random.default_rng(0).normal(size=(len(many), 4)), labels=many)
    text = succeeds(path, "--no-intervals")
    assert "no clustering metrics above 2,000 classes; `--metrics all` computes them" in text
    assert not any(line.split()[:1] == ["nmi"] for line in text.splitlines())
    few = succeeds(write(tmp_path / "few.npz", points(0.9)), "--metrics", "map_at_r")
    assert "no clustering metrics" not in few


def test_threads_are_those_asked_for(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr("torch.set_num_threads", asked.append)
    monkeypatch.setattr("os.cpu_count", lambda: 5)
    succeeds(file, "--metrics", "map_at_r", "--threads", 3)
    succeeds(file, "--metrics", "map_at_r")
    assert asked[0] == 3 and 5 in asked


def test_the_help_shows_every_option_and_the_examples() -> None:
    text = " ".join(succeeds("--help").split())
    flags = ["--metrics", "--distance", "--train-classes", "--memory", "--device", "--threads", "--no-intervals"]
    for flag in [*flags, "--gallery", "--against", "--json", "--parquet", "--per-query"]:
        assert flag in text
    assert "Examples:" in text and "is not recognised" in text


def test_the_command_loads_nothing_heavy_before_it_runs() -> None:
    code = "import sys, oodml.commands.evaluate; sys.exit(bool({'torch', 'pandas', 'pyarrow'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
