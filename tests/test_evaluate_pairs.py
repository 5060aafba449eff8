"""`oodml evaluate` with a second file: another embedding of the same images, or a gallery."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from evaluated_files import (
    CLASSES,
    LABELS,
    NAMES,
    call,
    fails,
    first_file,
    points,
    scored,
    second_file,
    succeeds,
    write,
)

from oodml.evaluation import evaluate, evaluate_embeddings
from oodml.query_table import COMPARISON, compare_evaluations


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return first_file(tmp_path)


@pytest.fixture(name="better")
def _better(tmp_path: Path) -> Path:
    return second_file(tmp_path)


def test_a_second_embedding_is_matched_by_id(file: Path, better: Path, tmp_path: Path) -> None:
    names = ["map_at_r", "recall_at_1_macro"]
    found = scored(file, "--against", better, "--metrics", "map_at_r,intra,recall_at_1_macro")
    one, two = (evaluate(points(*x), LABELS, metrics=names) for x in ((0.9, 0), (0.6, 1)))
    for row, expected in zip(found["comparison"], compare_evaluations(one, two).to_dict("records"), strict=True):
        assert list(row) == list(COMPARISON)
        assert row["metric"] == expected["metric"]
        numbers = [row[name] for name in COMPARISON[1:]]
        assert numbers == pytest.approx([expected[name] for name in COMPARISON[1:]], rel=1e-9)
    assert found["against"] == f"embeddings:{better}" and "intra" in found["scores"]
    ordered = write(tmp_path / "ordered.npz", points(0.6, seed=1))
    result = call(file, "--against", ordered, "--metrics", "map_at_r,recall_at_1_macro", "--json", "-")
    assert json.loads(result.stdout)["comparison"] == found["comparison"]
    assert "by their order" not in result.stderr


def test_a_comparison_is_printed_below_the_scores(file: Path, better: Path) -> None:
    text = succeeds(file, "--against", better, "--metrics", "all,map_at_1000_paper_macro")
    assert max(len(line) for line in text.splitlines() if "embeddings:" not in line) <= 80
    row = scored(file, "--against", better, "--metrics", "map_at_r")["comparison"][0]
    numbers = [f"{row['first']:.4f}", f"{row['second']:.4f}", f"+{row['difference']:.4f}"]
    line = next(line for line in reversed(text.splitlines()) if line.startswith("map_at_r "))
    assert line.split()[1:4] == numbers and f"[{row['low']:.4f}, {row['high']:.4f}]" in line
    assert line.split()[-1] == f"{row['p']:.3f}"
    assert text.index("seconds:") < text.index("second: ")


def test_without_the_same_ids_rows_are_matched_by_their_order(file: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other.npz", points(0.6, seed=1), ids=None)
    result = call(file, "--against", other, "--metrics", "map_at_r", "--json", "-")
    assert result.exit_code == 0 and "by their order" in " ".join(result.stderr.split())
    two = evaluate_embeddings(points(0.6, seed=1), LABELS, metrics="map_at_r")
    assert json.loads(result.stdout)["comparison"][0]["second"] == pytest.approx(two["map_at_r"], rel=1e-9)


def test_a_second_embedding_of_other_images_is_refused(file: Path, better: Path, tmp_path: Path) -> None:
    order = np.arange(len(CLASSES))
    order[[3, 40]] = [40, 3]
    shuffled = write(tmp_path / "shuffled.npz", points(0.6), order, ids=None)
    fails("row 3 ('img03') is of class 'class 00' in 'a' and of 'class 08'", file, "--against", shuffled)
    relabelled = write(tmp_path / "relabelled.npz", points(0.6), labels=np.roll(CLASSES, 1))
    fails("row 0 ('img00') is of class 'class 00' in 'a' and of 'class 13'", file, "--against", relabelled)
    fewer = write(tmp_path / "fewer.npz", points(0.6), np.arange(50))
    fails("has 50 rows and 'a' 62: row 50 is in one only", file, "--against", fewer)
    fails("leave --gallery out", file, "--against", better, "--gallery", better)


def test_a_gallery_is_matched_by_class_name(file: Path, tmp_path: Path) -> None:
    rows = np.arange(5, len(CLASSES))[::-1]  # without class 00, whose queries then are lone
    renumbered = {"labels": 13 - CLASSES[rows], "class_names": np.array(NAMES[::-1])}
    gallery = write(tmp_path / "gallery.npz", points(0.4, seed=2), rows, **renumbered)
    found = scored(file, "--gallery", gallery, "--metrics", "default")
    stored = points(0.4, seed=2)[rows]
    expected = evaluate_embeddings(points(0.9), LABELS, gallery=stored, gallery_labels=LABELS[rows])
    assert found["scores"] == pytest.approx(expected, rel=1e-9)
    assert (found["scores"]["num_queries"], found["scores"]["num_lone"]) == (57, 5)
    assert found["gallery"] == f"embeddings:{gallery}"
    text = succeeds(file, "--gallery", gallery, "--metrics", "map_at_r")
    assert f"gallery: 57 rows of embeddings:{gallery}" in text


def test_a_row_that_is_in_both_files_finds_itself(file: Path) -> None:
    assert scored(file, "--gallery", file, "--metrics", "recall_at_1")["scores"]["recall_at_1"] == 1
