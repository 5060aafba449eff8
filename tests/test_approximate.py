"""Approximate search: what its index returns, and that the error it reports is the one it makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from evaluated_files import fails, scored, succeeds
from numpy.typing import NDArray

from oodml import approximate
from oodml.errors import DatasetError, UsageError
from oodml.evaluation import Evaluation, evaluate
from oodml.query_table import query_table

NEIGHBOURS = ["recall_at_1", "recall_at_8", "map_at_r", "map_at_20", "map_at_1000_paper", "map_at_c_paper"]


def data(n: int = 600, classes: int = 20) -> tuple[NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, n)
    return rng.normal(size=(classes, 24))[labels] + rng.normal(size=(n, 24)), labels


def found(*arguments: Any, **options: Any) -> Evaluation:
    return evaluate(*arguments, metrics=NEIGHBOURS, approximate=True, **options)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("apart", [False, True])
def test_searching_every_list_is_exact(distance: str, apart: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approximate, "PROBED", 1)
    x, labels = data()
    labels[:3] = [100, 101, 102]  # lone
    options: dict[str, Any] = {"distance": distance}
    if apart:
        options |= {"gallery": x[::2], "gallery_labels": labels[::2]}
        x, labels = x[1::2], labels[1::2]
    near, exact = found(x, labels, **options), evaluate(x, labels, metrics=NEIGHBOURS, **options)
    assert near.scores == pytest.approx(exact.scores, abs=1e-12)
    assert (near.first_hit[exact.first_hit <= 20] == exact.first_hit[exact.first_hit <= 20]).all()
    assert near.errors == pytest.approx(dict.fromkeys(NEIGHBOURS, 0.0), abs=1e-12)


def test_the_sampled_error_is_the_error_where_all_queries_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approximate, "PROBED", 10**6)
    monkeypatch.setattr(approximate, "LEAST_PROBED", 1)
    x, labels = data()
    near, exact = found(x, labels), evaluate(x, labels, metrics=NEIGHBOURS)
    # one list in fifteen: of positives and of others alike much is missed, so the error may have either sign
    assert abs(near.scores["map_at_r"] - exact.scores["map_at_r"]) > 0.01
    assert near.scores["recall_at_8"] < exact.scores["recall_at_8"]
    for metric in NEIGHBOURS:
        assert near.errors[metric] == pytest.approx(near.scores[metric] - exact.scores[metric], abs=1e-12)
    table = query_table(near, [str(row) for row in range(len(x))])
    missed = table["first_hit"].isna().to_numpy()
    assert missed.any() and (near.first_hit[missed] == -1).all() and (table["recall_at_8"][missed] == 0).all()


def test_a_sample_is_a_part_of_the_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approximate, "PROBED", 10**6)
    monkeypatch.setattr(approximate, "LEAST_PROBED", 1)
    x, labels = data()
    whole = found(x, labels).errors
    monkeypatch.setattr(approximate, "SAMPLE", 200)
    sampled = found(x, labels).errors
    assert sampled != whole and sampled == found(x, labels).errors
    assert sampled["map_at_r"] == pytest.approx(whole["map_at_r"], abs=0.05)


def test_what_needs_all_pairs_is_left_out_or_refused() -> None:
    x, labels = data(200, 5)
    scores = evaluate(x, labels, approximate=True).scores
    assert {"recall_at_1", "map_at_1000", "nmi", "rho_1"} < set(scores)
    assert not {"map", "uniformity", "opis"} & set(scores)
    for metric in ("map", "map_macro", "uniformity", "opis", "fnmr_at_fmr_1e-2"):
        with pytest.raises(UsageError, match=f"{metric} needs all pairs"):
            evaluate(x, labels, metrics=["recall_at_1", metric], approximate=True)
    with pytest.raises(UsageError, match="given as a function"):
        evaluate(x, labels, metrics=["recall_at_1"], approximate=True, distance=lambda a, b: a @ b.t())


def test_what_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels = data(200, 5)
    with pytest.raises(DatasetError, match=r"index of 200 rows of 24 numbers needs .* allow more memory"):
        found(x, labels, memory_gib=1e-6)
    monkeypatch.setattr(approximate, "MAX_DEPTH", 30)
    with pytest.raises(DatasetError, match="1000 neighbours of every query are too many"):
        found(x, labels)


def test_the_command_says_how_wrong_it_was(tmp_path: Path) -> None:
    x, labels = data()
    file, out = tmp_path / "x.npz", tmp_path / "scores.parquet"
    np.savez(file, embeddings=x, labels=labels)
    names = ",".join(NEIGHBOURS)
    text = succeeds(file, "--metrics", names, "--approximate", "--parquet", out)
    assert "error: approximate less exact, on a sample of queries" in text
    written = scored(file, "--metrics", names, "--approximate")
    errors = found(x.astype(np.float32), labels).errors
    assert written["approximate"] is True and written["sampled_errors"] == pytest.approx(errors, abs=1e-6)
    rows = pq.read_table(out).to_pylist()
    assert all(row["approximate"] for row in rows)
    assert {row["metric"]: row["sampled_error"] for row in rows} == pytest.approx(errors, abs=1e-6)
    fails("map needs all pairs", file, "--metrics", "map", "--approximate")
