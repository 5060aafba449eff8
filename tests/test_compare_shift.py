"""Shifts measured again with other embedders and measures, and how their order agrees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from small_ladder import ladder_of, write_vectors
from typer.testing import CliRunner, Result

from oodml.app import app
from oodml.compare_shift import ClassFeatures, compare_shift, rank_correlations
from oodml.errors import LadderError, UnknownNameError
from oodml.records import Ladder
from oodml.shift_embedders import embedding_file, read_embeddings
from oodml.splits import load_ladder, save_ladder


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "80"})


def fails(message: str, *arguments: object) -> None:
    result = call("compare-shift", *arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    flat = " ".join(result.output.split())
    assert message in flat, flat


@pytest.fixture(name="ladder", scope="module")
def _ladder(vectors_file: Path) -> Ladder:
    return ladder_of(f"embeddings:{vectors_file}")


@pytest.fixture(name="folder", scope="module")
def _folder(ladder: Ladder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ladder on disk, its dataset gone."""
    moved = replace(ladder, dataset="embeddings:gone.npz")
    return save_ladder(moved, tmp_path_factory.mktemp("compare") / "small")


@pytest.fixture(name="pictures", scope="module")
def _pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ladder of a few drawn images."""
    made = ladder_of("glyphs", classes=12, size=16)
    return save_ladder(made, tmp_path_factory.mktemp("pictures") / "glyphs12")


@pytest.fixture(name="fixed")
def _fixed(ladder: Ladder, monkeypatch: pytest.MonkeyPatch) -> list[ClassFeatures]:
    """Two embedders whose shifts are given: levels 0 1 2 in the order 0 2 1 and 2 0 1."""
    names = tuple(sorted({*ladder.levels[0].train, *ladder.levels[0].test}))
    labels = np.arange(len(names))
    given = {1.0: [1.0, 30.0, 5.0], 2.0: [2.0, 4.0, 0.5]}
    found = [ClassFeatures(f"odd {k:g}", np.full((len(names), 1), k), labels, names) for k in given]

    def shifts(ladder: Ladder, features: NDArray[np.float64], *_: object, **__: object) -> list[float]:
        return given[float(features[0, 0])]

    monkeypatch.setattr("oodml.splits.measures.level_shifts", shifts)
    return found


def test_rank_correlations_agree_with_a_computation_by_hand() -> None:
    # ranks 1 2 3 4 against 2 1 4 3: rho = 1 - 6 * (1 + 1 + 1 + 1) / (4 * 15) = 0.6;
    # of the six pairs (1,2) and (3,4) are in the other order: tau = (4 - 2) / 6
    assert rank_correlations([0.1, 0.2, 3.0, 40.0], [5.0, -1.0, 9.0, 8.0]) == pytest.approx((0.6, 1 / 3))
    assert rank_correlations([1.0, 2.0, 3.0], [9.0, 8.0, -7.0]) == pytest.approx((-1.0, -1.0))


def test_a_row_that_does_not_vary_has_no_rank_correlation() -> None:
    assert np.isnan(rank_correlations([1.0, 2.0, 3.0], [4.0, 4.0, 4.0])).all()


def test_the_ladders_own_features_give_its_own_shifts(ladder: Ladder, vectors_file: Path) -> None:
    result = compare_shift(ladder, [read_embeddings(vectors_file)], measures=["fid", "kid"])
    own, again, other = result.rows
    assert own.stored and own.embedder == "vectors" and own.shifts == tuple(level.shift for level in ladder.levels)
    assert again.shifts == pytest.approx(own.shifts, rel=1e-6) and not again.stored
    assert other.measure == "kid" and other.shifts != pytest.approx(own.shifts)
    assert (again.spearman, again.kendall) == pytest.approx((1.0, 1.0))


def test_embedders_that_see_another_order_correlate_as_computed_by_hand(
    ladder: Ladder, fixed: list[ClassFeatures]
) -> None:
    # ranks 1 3 2: rho = 1 - 6 * (0 + 1 + 1) / (3 * 8) = 0.5, tau = (2 - 1) / 3
    # ranks 2 3 1: rho = 1 - 6 * (1 + 1 + 4) / (3 * 8) = -0.5, tau = (1 - 2) / 3
    # 1 3 2 against 2 3 1: rho = 1 - 6 * (1 + 0 + 1) / (3 * 8) = 0.5
    result = compare_shift(ladder, fixed)
    own, one, two = result.rows
    assert (own.spearman, own.kendall) == pytest.approx((1.0, 1.0))
    assert (one.spearman, one.kendall) == pytest.approx((0.5, 1 / 3))
    assert (two.spearman, two.kendall) == pytest.approx((-0.5, -1 / 3))
    assert result.spearman() == pytest.approx(np.array([[1.0, 0.5, -0.5], [0.5, 1.0, 0.5], [-0.5, 0.5, 1.0]]))
    assert list(result.frame()["shift"][3:]) == [1.0, 30.0, 5.0, 2.0, 4.0, 0.5]


def test_rows_and_classes_in_another_order_give_the_same_shifts(
    ladder: Ladder, vectors_file: Path, tmp_path: Path
) -> None:
    other = write_vectors(tmp_path / "other.npz", vectors_file)
    for statistics in ("class-means", "images"):
        one, two = (
            compare_shift(ladder, [read_embeddings(path)], statistics=statistics).rows[1]
            for path in (vectors_file, other)
        )
        assert two.shifts == pytest.approx(one.shifts, rel=1e-6)
        assert two.statistics == statistics


def test_a_missing_class_is_named_with_its_file(
    ladder: Ladder, vectors_file: Path, folder: Path, tmp_path: Path
) -> None:
    gone = [ladder.levels[0].train[0], ladder.levels[0].test[0]]
    file = write_vectors(tmp_path / "fewer.npz", vectors_file, without=gone)
    with pytest.raises(LadderError, match=r"fewer.npz lacks 2 of the 20 classes"):
        compare_shift(ladder, [read_embeddings(file)])
    fails(f"lacks 2 of the 20 classes of ladder 'small': {min(gone)!r}", folder, "--embedders", file)


def test_unknown_measures_and_statistics_are_refused(ladder: Ladder, vectors_file: Path) -> None:
    found = [read_embeddings(vectors_file)]
    with pytest.raises(UnknownNameError, match="'kid'"):
        compare_shift(ladder, found, measures=["kidd"])
    with pytest.raises(UnknownNameError, match="class-means"):
        compare_shift(ladder, found, statistics="class_mean")


@pytest.mark.parametrize(
    ("name", "path"),
    [("a.npz", "a.npz"), ("dir/b.PARQUET", "dir/b.PARQUET"), ("embeddings:c.npz", "c.npz"), ("pixels", None)],
)
def test_embedders_that_are_files_are_told_apart(name: str, path: str | None) -> None:
    assert embedding_file(name) == (None if path is None else Path(path))


def test_files_alone_need_no_images_and_the_table_is_written(
    ladder: Ladder, vectors_file: Path, folder: Path, tmp_path: Path
) -> None:
    other = write_vectors(tmp_path / "other.npz", vectors_file)
    tables = []
    for ending in ("csv", "parquet"):
        out = tmp_path / "new" / f"table.{ending}"
        names = f"{vectors_file},embeddings:{other}"
        result = call("compare-shift", folder, "--embedders", names, "--measures", "fid,mmd", "--out", out)
        assert result.exit_code == 0, result.output
        tables.append(pd.read_csv(out) if ending == "csv" else pd.read_parquet(out))
    pd.testing.assert_frame_equal(tables[0], tables[1], check_dtype=False)
    assert len(tables[0]) == 5 * 3 and set(tables[0]["embedder"]) == {"vectors", "points.npz", "other.npz"}
    assert tables[0].query("stored")["shift"].tolist() == pytest.approx([level.shift for level in ladder.levels])
    flat = " ".join(result.output.split())
    assert "rank correlations of 3 levels are coarse" in flat and ".500 of ρ and .667 of τ" in flat
    assert max(map(len, result.output.splitlines()[:12])) <= 80


def test_the_ladders_own_network_gives_the_stored_shifts(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "pixels.csv"
    result = call("compare-shift", pictures, "--embedders", "pixels,resnet10t", "--no-pretrained", "--out", out)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(out)
    own = [level.shift for level in load_ladder(pictures).levels]
    assert table.query("embedder == 'pixels' and not stored")["shift"].tolist() == pytest.approx(own)
    assert table.query("embedder == 'resnet10t'")["shift"].min() > 0


def test_a_ladder_of_vectors_takes_images_of_its_classes(pictures: Path, tmp_path: Path) -> None:
    ladder = replace(load_ladder(pictures), dataset="embeddings:gone.npz", dataset_hash="0" * 16)
    ladder = replace(ladder, dataset_options={}, embedder={"name": "vectors", "weights": "none", "args": "{}"})
    folder = save_ladder(ladder, tmp_path / "vectors")
    fails("name images of its classes with --dataset", folder, "--embedders", "pixels")
    result = call("compare-shift", folder, "--embedders", "pixels", "--dataset", "glyphs")
    assert result.exit_code == 0, result.output
    assert "matched by name" in " ".join(result.output.split())


def test_flags_that_do_not_fit_are_explained(pictures: Path, folder: Path, vectors_file: Path, tmp_path: Path) -> None:
    weights = tmp_path / "some.pth"
    weights.write_bytes(b"")
    two, file = "resnet18,resnet34", str(vectors_file)
    fails(
        "--weights: for one timm network, but --embedders names 2", pictures, "--embedders", two, "--weights", weights
    )
    fails(
        "--weights: for one timm network, but --embedders names none", folder, "--embedders", file, "--weights", weights
    )
    fails("--mean, --std: for one timm", pictures, "--embedders", two, "--mean", "0.5", "--std", "0.5")
    fails("unknown backbone 'resnet5o'", pictures, "--embedders", "resnet5o", "--no-pretrained")
    fails("unknown measure", folder, "--embedders", file, "--measures", "fit")
    fails("should end in .csv or .parquet", folder, "--embedders", file, "--out", "table.txt")
    fails("there is no file", folder, "--embedders", "none.npz")
    fails("--embedders names none", folder, "--embedders", ",")
    fails("was made from other data", pictures, "--embedders", "pixels", "--dataset", f"embeddings:{file}")
