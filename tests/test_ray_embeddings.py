"""Moments of classes that a cluster computes: those of the features that one process extracts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from oodml.dataset_ref import DatasetRef
from oodml.embedder import EmbedderOptions
from oodml.embeddings import extract
from oodml.errors import DatasetError, ResultsError, UsageError
from oodml.executors.places import Places
from oodml.executors.ray_connection import import_ray
from oodml.executors.ray_embeddings import extract_moments, load_moments
from oodml.images import ImageSettings
from oodml.networks import NetworkConfig
from oodml.splits.moments import Moments

NETWORK = NetworkConfig("test_resnet", pretrained=False)
OPTIONS = EmbedderOptions(NETWORK, image_size=32)


def photos(folder: Path, first: int = 0) -> DatasetRef:
    """Noise in 8 classes of 3 to 10 images each."""
    rng = np.random.default_rng(first)
    for label in range(8):
        (folder / f"class{label}").mkdir(parents=True)
        for number in range(3 + label):
            pixels = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"class{label}" / f"{first + number}.png")
    return DatasetRef(f"folder:{folder}")


@pytest.fixture(scope="module")
def cluster(own_cache: None) -> Iterator[Any]:
    """Two nodes with one slot each, as processes of this machine."""
    import_ray()
    from ray.cluster_utils import Cluster

    found: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    found.add_node(num_cpus=1)
    yield found
    found.shutdown()


def same(found: Moments, expected: Moments) -> None:
    assert found.count == expected.count
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.scatter, expected.scatter, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_two_nodes_give_the_moments_of_the_features_of_one_process(cluster: Any, tmp_path: Path) -> None:
    places = Places(executor="ray", ray_address=cluster.address)
    parts = [photos(tmp_path / "a"), photos(tmp_path / "b", first=100)]
    out = [tmp_path / "moments a", tmp_path / "moments b"]
    for where, folder in zip(parts, out, strict=True):
        extract_moments(where, OPTIONS, places, folder, block=4)
    features: dict[str, list[Any]] = {}
    for where in parts:
        data = where.open()
        found = extract(data, NETWORK, ImageSettings(32, 32, "squash"), cache=tmp_path / "cache")
        for label, name in enumerate(data.class_names):
            features.setdefault(name, []).append(found[data.labels == label])
    alone, together = load_moments(out[:1]), load_moments(out)
    assert set(alone) == set(together) == set(features) and len(features) == 8
    for name, rows in features.items():
        same(alone[name], Moments.of(rows[0]))
        same(together[name], Moments.of(np.concatenate(rows)))

    before = {path: path.stat().st_mtime_ns for path in out[0].glob("*.npz")}
    (out[0] / "000003.npz").unlink()
    with pytest.raises(ResultsError, match="no moments of class 'class3' yet"):
        load_moments(out)
    extract_moments(parts[0], OPTIONS, places, out[0])
    after = {path: path.stat().st_mtime_ns for path in out[0].glob("*.npz")}
    assert {path.name for path in before if before[path] != after[path]} == {"000003.npz"}
    same(load_moments(out[:1])["class3"], alone["class3"])


@pytest.mark.slow
def test_an_image_that_cannot_be_read_is_named(cluster: Any, tmp_path: Path) -> None:
    where = photos(tmp_path / "a")
    (tmp_path / "a" / "class5" / "2.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match="class5/2"):
        extract_moments(where, OPTIONS, Places(executor="ray", ray_address=cluster.address), tmp_path / "out")
    assert not (tmp_path / "out" / "000005.npz").exists()


def test_what_does_not_go_together_is_refused(tmp_path: Path, vectors_file: Path) -> None:
    places = Places(executor="ray")
    with pytest.raises(UsageError, match="'vectors' is no network"):
        extract_moments(DatasetRef(f"embeddings:{vectors_file}"), EmbedderOptions(), places, tmp_path)
    where, out = photos(tmp_path / "a"), tmp_path / "out"
    data = where.open()
    with pytest.raises(ResultsError, match="holds no moments of classes"):
        load_moments([out])
    from oodml.executors.ray_embeddings import _claim, _file

    settings = ImageSettings(32, 32, "squash")
    _claim(out, data, NETWORK, settings)
    for label in range(8):
        Moments.of([[float(label)]]).save(_file(out, label))
    assert extract_moments(where, OPTIONS, places, out) == out  # all there: no cluster is asked
    with pytest.raises(ResultsError, match="of another network"):
        extract_moments(where, EmbedderOptions(NETWORK, image_size=16), places, out)
    _claim(tmp_path / "other", data, NETWORK, ImageSettings(16, 16, "squash"))
    with pytest.raises(ResultsError, match="other holds moments of"):
        load_moments([out, tmp_path / "other"])
