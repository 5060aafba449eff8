"""From a dataset to a ladder: what is measured, kept and refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oodml.datasets import load_dataset
from oodml.embeddings import class_means
from oodml.errors import DatasetError
from oodml.evaluation import evaluate_embeddings
from oodml.make_splits import ladder_from_dataset
from oodml.splits import frechet_distance, load_ladder, save_ladder

CLASSES, IMAGES = 10, 5


def paint(folder: Path) -> None:
    """Ten classes of five coloured squares each."""
    rng = np.random.default_rng(0)
    for label in range(CLASSES):
        colour = rng.integers(40, 215, 3)
        for number in range(IMAGES):
            pixels = np.clip(colour + rng.integers(-40, 40, (24, 30, 3)), 0, 255).astype(np.uint8)
            path = folder / f"colour {label}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    paint(tmp_path / "squares")
    return tmp_path / "squares"


def test_shift_and_reference_are_those_of_the_embedder(vectors_file: Path) -> None:
    spec = f"embeddings:{vectors_file}"
    data = load_dataset(spec)
    assert data.vectors is not None
    ladder = ladder_from_dataset(data, spec, levels=3, episodes=1)
    means = class_means(data.vectors, data.labels, len(data.class_names))
    position = {name: index for index, name in enumerate(data.class_names)}
    for level in ladder.levels:
        sides = [means[[position[name] for name in side]] for side in (level.train, level.test)]
        assert level.shift == pytest.approx(frechet_distance(*sides), rel=1e-9)
        rows = data.rows_of(level.test)
        expected = evaluate_embeddings(data.vectors[rows], data.labels[rows])
        assert level.reference["recall_at_1"] == pytest.approx(expected["recall_at_1"])
    assert ladder.dataset_hash == data.content_hash and ladder.embedder["name"] == "vectors"


def test_a_folder_of_images_and_its_archive_give_the_same_ladder(folder: Path, tmp_path: Path) -> None:
    archive = tmp_path / "squares.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in folder.rglob("*.png"):
            file.write(path, path.relative_to(folder))
    from oodml.embedder import EmbedderOptions
    from oodml.networks import NetworkConfig

    embedder = EmbedderOptions(NetworkConfig("pixels", pretrained=False))
    ladders = [
        ladder_from_dataset(load_dataset(f"folder:{path}"), f"folder:{path}", levels=2, embedder=embedder)
        for path in (folder, archive)
    ]
    assert ladders[0].ladder_hash == ladders[1].ladder_hash
    assert [level.shift for level in ladders[0].levels] == [level.shift for level in ladders[1].levels]
    assert ladders[0].embedder["image_size"] == 32


def test_unreadable_images_stop_it_unless_they_are_left_out_and_then_they_are_recorded(
    folder: Path, tmp_path: Path
) -> None:
    from oodml.embedder import EmbedderOptions
    from oodml.networks import NetworkConfig

    bad = folder / "colour 3" / "2.png"
    bad.write_bytes(bad.read_bytes()[:60])
    spec, embedder = f"folder:{folder}", EmbedderOptions(NetworkConfig("pixels", pretrained=False))
    with pytest.raises(DatasetError, match=r"colour 3/2.png.*--skip-bad-images"):
        ladder_from_dataset(load_dataset(spec), spec, levels=2, embedder=embedder)
    ladder = ladder_from_dataset(load_dataset(spec), spec, levels=2, embedder=embedder, skip_bad_images=True)
    assert ladder.skipped == ("colour 3/2.png",)
    assert ladder.dataset_hash == load_dataset(spec).without(ladder.skipped).content_hash
    save_ladder(ladder, tmp_path / "ladder")
    assert load_ladder(tmp_path / "ladder").skipped == ladder.skipped


def test_a_class_with_one_image_trains_but_is_no_query(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    labels = np.concatenate([np.repeat(np.arange(12), 5), [12, 13]])
    np.savez(tmp_path / "lonely.npz", embeddings=rng.normal(size=(62, 6)), labels=labels)
    spec = f"embeddings:{tmp_path / 'lonely.npz'}"
    ladder = ladder_from_dataset(load_dataset(spec), spec, levels=2, shots=(2,), episodes=2)
    names = {name for level in ladder.levels for name in (*level.train, *level.test)}
    assert names == set(load_dataset(spec).class_names)
    for level in ladder.levels:
        lonely = [name for name in level.test if np.sum(load_dataset(spec).rows_of([name]) >= 0) == 1]
        drawn = {name for episode in ladder.episodes if episode.level == level.index for name in episode.support}
        assert drawn == set(level.test) - set(lonely)
