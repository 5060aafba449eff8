from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oodml.datasets import Dataset, load_dataset
from oodml.errors import DatasetError

SHARED = Path(__file__).parents[3] / "shared" / "data"
N, D, CLASSES = 20, 5, 10
VECTORS = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)
LABELS = np.arange(N) % CLASSES
NAMES = np.array([f"name {index}" for index in range(CLASSES)])


def saved(tmp_path: Path, **arrays: Any) -> Path:
    path = tmp_path / "features.npz"
    np.savez(path, **arrays)
    return path


def parquet(tmp_path: Path, **columns: Any) -> Path:
    path = tmp_path / "features.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def load(path: Path) -> Dataset:
    return load_dataset(f"embeddings:{path}")


def test_integer_labels_index_the_class_names(tmp_path: Path) -> None:
    dataset = load(saved(tmp_path, embeddings=VECTORS, labels=LABELS, class_names=NAMES))
    assert dataset.name == "features"
    assert dataset.class_names == tuple(NAMES)
    assert dataset.labels.tolist() == LABELS.tolist()
    assert dataset.image_ids[0] == "row/000000"
    assert dataset.read is None
    assert dataset.vectors is not None
    assert (dataset.vectors == VECTORS).all()
    assert not dataset.photographs


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int32, np.uint8])
def test_any_number_becomes_single_precision(tmp_path: Path, dtype: type) -> None:
    values: Any = (VECTORS * 10 + 100).astype(dtype)
    dataset = load(saved(tmp_path, embeddings=values, labels=LABELS))
    assert dataset.vectors is not None
    assert dataset.vectors.dtype == np.float32
    assert (dataset.vectors == values.astype(np.float32)).all()


def test_labels_may_be_names_or_plain_numbers(tmp_path: Path) -> None:
    named = load(saved(tmp_path, embeddings=VECTORS, labels=NAMES[LABELS]))
    assert named.class_names == tuple(sorted(NAMES))
    assert [named.class_names[label] for label in named.labels] == NAMES[LABELS].tolist()
    encoded = load(saved(tmp_path, embeddings=VECTORS, labels=NAMES[LABELS].astype("S")))
    assert encoded.class_names == named.class_names
    plain = load(saved(tmp_path, embeddings=VECTORS, labels=LABELS * 7))
    assert plain.class_names == tuple(str(7 * index) for index in range(10))  # by number, not by letter


def test_classes_without_a_row_are_left_out(tmp_path: Path) -> None:
    names = np.array([*NAMES[:4], "unused", *NAMES[4:]])
    labels = np.where(LABELS < 4, LABELS, LABELS + 1)
    dataset = load(saved(tmp_path, embeddings=VECTORS, labels=labels, class_names=names, superclasses=names))
    assert dataset.class_names == tuple(NAMES)
    assert dataset.superclasses == {name: name for name in NAMES}


def test_superclasses_may_be_one_per_class_or_per_row(tmp_path: Path) -> None:
    groups = np.array(["even", "odd"])[np.arange(CLASSES) % 2]
    per_class = load(saved(tmp_path, embeddings=VECTORS, labels=LABELS, class_names=NAMES, superclasses=groups))
    per_row = load(saved(tmp_path, embeddings=VECTORS, labels=NAMES[LABELS], superclasses=groups[LABELS]))
    assert per_class.superclasses == per_row.superclasses == dict(zip(NAMES, groups, strict=True))


@pytest.mark.parametrize("layout", ["list", "fixed", "large"])
def test_parquet_holds_the_same_dataset(tmp_path: Path, layout: str) -> None:
    kinds = {
        "list": pa.list_(pa.float32()),
        "fixed": pa.list_(pa.float32(), D),
        "large": pa.large_list(pa.float32()),
    }
    ids = [f"image {row}" for row in range(N)]
    columns = pa.array(VECTORS.tolist(), type=kinds[layout])
    found = load(parquet(tmp_path, embedding=columns, label=NAMES[LABELS], id=ids, other=ids))
    expected = load(saved(tmp_path, embeddings=VECTORS, labels=NAMES[LABELS], ids=np.array(ids)))
    assert found.content_hash == expected.content_hash
    assert found.image_ids == tuple(ids)
    named = load(parquet(tmp_path, embeddings=columns, labels=LABELS, class_name=NAMES[LABELS]))
    assert named.class_names == found.class_names


def test_hash_follows_the_numbers_not_the_file(tmp_path: Path) -> None:
    one = load(saved(tmp_path, embeddings=VECTORS, labels=LABELS)).content_hash
    assert load(saved(tmp_path, embeddings=VECTORS.astype(np.float64), labels=LABELS)).content_hash == one
    changed = VECTORS.copy()
    changed[3, 2] = np.nextafter(changed[3, 2], 9, dtype=np.float32)
    assert load(saved(tmp_path, embeddings=changed, labels=LABELS)).content_hash != one


def with_nan() -> Any:
    vectors = VECTORS.copy()
    vectors[[4, 9], 1] = np.nan
    return vectors


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"embeddings": with_nan()}, r"row 4 is not finite .*\(2 such rows\)"),
        ({"embeddings": VECTORS.astype(float) * 1e39}, "row 0 is not finite in single precision"),
        ({"embeddings": VECTORS[0]}, r"shape \(n, d\).*\(5,\)"),
        ({"embeddings": VECTORS[:, :0]}, r"\(20, 0\)"),
        ({"embeddings": VECTORS.astype(str)}, "must be numbers"),
        ({"labels": None}, "has no labels; it holds embeddings"),
        ({"embeddings": None}, "has no embeddings; it holds labels"),
        ({"labels": LABELS[:-1]}, r"labels has the shape \(19,\), but there are 20 vectors"),
        ({"labels": LABELS.astype(float)}, "whole numbers or names, not float64"),
        ({"labels": LABELS, "class_names": NAMES[:-1]}, "row 9 is 9, but class_names has 9 entries"),
        ({"labels": LABELS - 1, "class_names": NAMES}, "row 0 is -1"),
        ({"labels": NAMES[LABELS], "class_names": NAMES[1:]}, "'name 0' is not among class_names"),
        ({"class_names": np.array([*NAMES[:-1], "name 0"])}, "class_names holds 'name 0' twice"),
        ({"ids": np.array(["same"] * N)}, "ids holds 'same' twice"),
        ({"ids": np.array(["a"])}, r"ids has the shape \(1,\)"),
        ({"superclasses": np.array(["a", "b"])}, "one per class"),
        ({"superclasses": np.arange(N)}, "class '0' has two superclasses, '0' and '10'"),
        ({"labels": NAMES[LABELS].astype(object)}, "save names as text arrays"),
        ({"labels": LABELS % 7}, "'features' has 7 classes; at least 8"),
    ],
)
def test_bad_arrays_are_named(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    full = {"embeddings": VECTORS, "labels": LABELS, **arrays}
    with pytest.raises(DatasetError, match=message):
        load(saved(tmp_path, **{name: array for name, array in full.items() if array is not None}))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"embedding": [[1.0, 2.0]] * (N - 1) + [[1.0]]}, "row 19 has 1 numbers, that of row 0 has 2"),
        ({"embedding": [[1.0, None]] * N}, "row 0 is not finite"),
        ({"embedding": [None] + [[1.0]] * (N - 1)}, r"no 'embedding' in row 0"),
        ({"label": [*LABELS[:-1].tolist(), None]}, r"no 'label' in row 19"),
        ({"embedding": [1.0] * N}, "must hold a list of numbers per row, not double"),
        ({"embedding": [["a"]] * N}, "must be numbers"),
        ({"label": LABELS / 2}, "whole numbers or names"),
    ],
)
def test_bad_columns_are_named(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        load(parquet(tmp_path, **{"embedding": VECTORS.tolist(), "label": LABELS, **columns}))


@pytest.mark.parametrize("kind", ["npz", "parquet"])
@pytest.mark.parametrize("part", [0, 0.3, 0.9])
def test_cut_short_files_are_named(tmp_path: Path, kind: str, part: float) -> None:
    if kind == "npz":
        path = saved(tmp_path, embeddings=VECTORS, labels=LABELS)
    else:
        path = parquet(tmp_path, embedding=VECTORS.tolist(), label=LABELS)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(DatasetError, match=f"features.{kind} is not a readable"):
        load(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is no file"):
        load(tmp_path / "features.npz")
    (tmp_path / "features.csv").write_text("a,b\n")
    with pytest.raises(DatasetError, match=r"ends in '.csv'; embeddings are read from .npz or .parquet"):
        load(tmp_path / "features.csv")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared image data is not beside the repository")
def test_real_embeddings() -> None:
    dataset = load_dataset(
        f"embeddings:{SHARED / 'grocery96_mobilenetv2.npz'}", superclasses=SHARED / "grocery96_classes.csv"
    )
    assert dataset.vectors is not None
    assert dataset.vectors.shape == (5421, 1280)
    assert (len(dataset.class_names), len(set(dataset.superclasses.values()))) == (81, 43)
