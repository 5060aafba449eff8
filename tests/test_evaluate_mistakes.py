"""`oodml evaluate`: mistakes that it explains."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
from evaluated_files import NAMES, call, fails, first_file, points, write


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return first_file(tmp_path)


def test_images_are_refused(tmp_path: Path) -> None:
    fails("holds images: extract their embeddings first", "glyphs")
    fails("evaluate embeddings:FILE", "glyphs")
    fails("(embeddings are read from embeddings:FILE)", f"folder:{tmp_path / 'none'}")


def test_mistakes_in_names_are_explained(file: Path) -> None:
    fails("unknown metric 'map_at_rr'; did you mean 'map_at_r'", file, "--metrics", "map_at_rr")
    fails("only retrieval metrics have a variant _macro", file, "--metrics", "nmi_macro")
    fails("--metrics names none", file, "--metrics", ",")
    fails("unknown distance 'cosin'", file, "--distance", "cosin")
    fails("device 'gpu' should be auto, cpu or cuda", file, "--device", "gpu")
    fails("nmi_paper needs the number of training classes: give --train-classes", file, "--metrics", "nmi_paper")
    for memory in ("0", "-1", "nan", "inf"):
        fails("memory_gib must be", file, "--memory", memory)
    fails("unknown dataset 'a.npy'", "a.npy")
    fails("should be written as embeddings:FILE", "embeddings:")
    fails("--against is about queries", file, "--against", file, "--metrics", "nmi")
    fails("--per-query is about queries", file, "--per-query", "q.parquet", "--metrics", "intra,rho_1")
    assert call(file, "--threads", 0).exit_code == 2


def test_mistakes_in_files_are_explained(file: Path, tmp_path: Path) -> None:
    for flags in ([], ["--gallery"], ["--against"]):
        fails("there is no file", *([file] if flags else []), *flags, tmp_path / "none.npz")
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"PK\x03\x04")
    fails("is not a readable .npz file", broken)
    lone = tmp_path / "lone.npz"
    np.savez(lone, embeddings=np.eye(4), labels=np.arange(4))
    fails("none of the 4 classes has two rows: there is nothing to find", lone)
    strangers = write(tmp_path / "strangers.npz", points(0.9), class_names=np.array([f"other {n}" for n in NAMES]))
    fails("the gallery holds no class of the queries", file, "--gallery", strangers)
    fails("queries have 12 dimensions, the gallery 4", file, "--gallery", lone)


def test_outputs_are_checked_before_anything_is_computed(file: Path, tmp_path: Path) -> None:
    before = file.read_bytes()
    fails("--per-query 'q.csv' should end in .parquet", "none.npz", "--per-query", "q.csv")
    fails("--parquet 's.csv' should end in .parquet", "none.npz", "--parquet", "s.csv")
    fails("it is a folder; name a file", "none.npz", "--json", tmp_path)
    fails("a.npz is a file, not a folder", "none.npz", "--json", file / "new" / "scores.json")
    fails("is an input too", file, "--json", tmp_path / "x" / ".." / "a.npz")
    same = tmp_path / "same.parquet"
    fails("is the file of --parquet too", file, "--parquet", same, "--per-query", same)
    assert file.read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_a_folder_without_permission_is_named(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    fails(f"permission denied in {tmp_path}", file, "--json", tmp_path / "new" / "scores.json")


def test_a_failure_leaves_nothing_half_written(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = ["--json", tmp_path / "s.json", "--parquet", tmp_path / "s.parquet"]
    fails("unknown distance", file, *outputs, "--per-query", tmp_path / "q.parquet", "--distance", "cosin")
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]

    def full(_: object, path: Path, **__: object) -> None:
        path.write_bytes(b"PAR1")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.write_table", full)
    result = call(file, "--metrics", "map_at_r", "--per-query", tmp_path / "q.parquet")
    assert result.exit_code == 2 and "no space left" in result.output and "Traceback" not in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
