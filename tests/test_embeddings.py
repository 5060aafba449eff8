from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from oodml import embeddings
from oodml.backbones import build_backbone
from oodml.backbones.base import NetworkConfig, normalise
from oodml.backbones.pixels import pixel_components
from oodml.datasets.base import Dataset
from oodml.embeddings import class_means, default_embedder, default_settings, extract, pixel_settings
from oodml.errors import DatasetError, StorageError, UnknownNameError, UsageError, WeightsError
from oodml.images import ImageSettings, pack

NETWORK = NetworkConfig("test_resnet", pretrained=False)
SETTINGS = ImageSettings(32, 32, "squash")
N = 24


def pictures(n: int = N, seed: int = 0, grey: bool = False) -> Dataset:
    """Noise of 40 x 30 pixels in 8 classes."""
    pixels = np.random.default_rng(seed).integers(0, 256, (n, 30, 40, 3), dtype=np.uint8)
    pixels = pixels[..., [0, 0, 0]] if grey else pixels
    return Dataset(
        name="noise",
        class_names=tuple(f"class{i}" for i in range(8)),
        labels=np.arange(n) % 8,
        image_ids=tuple(f"picture/{i}" for i in range(n)),
        read=lambda row: Image.fromarray(pixels[row]),
        fingerprint=tuple(str(seed) for _ in range(n)),
    )


def vectors(values: NDArray[np.float32]) -> Dataset:
    dataset = pictures(len(values))
    return replace(dataset, read=None, vectors=values)


def forbid(*_: object, **__: object) -> None:
    raise AssertionError("computed again")


def test_features_are_those_of_the_network_on_normalised_test_images(tmp_path: Path) -> None:
    dataset = pictures()
    config = replace(NETWORK, mean=(0.25,), std=(0.5,))
    found = extract(dataset, config, SETTINGS, cache=tmp_path, batch_size=7)
    backbone = build_backbone(config, image_size=32).eval()
    images = pack(dataset, SETTINGS, cache=tmp_path).test_batch(np.arange(N))
    with torch.no_grad():
        expected = backbone(normalise(images, (0.25,) * 3, (0.5,) * 3)).pooled
    assert found.dtype == np.float32 and found.shape == (N, 96)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_batch_size_progress_and_ready_images_change_nothing(tmp_path: Path) -> None:
    dataset = pictures()
    packed = pack(dataset, SETTINGS, cache=tmp_path / "images")
    seen: list[tuple[int, int]] = []
    one = extract(dataset, NETWORK, SETTINGS, cache=tmp_path / "a", batch_size=10, progress=lambda *p: seen.append(p))
    two = extract(dataset, NETWORK, SETTINGS, cache=tmp_path / "b", batch_size=64, packed=packed)
    np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)
    assert seen == [(10, N), (20, N), (N, N)]
    with pytest.raises(ValueError, match="24 images"):
        extract(dataset, NETWORK, ImageSettings(16, 16, "squash"), cache=tmp_path / "c", packed=packed)


def test_second_call_reads_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = pictures()
    first = extract(dataset, NETWORK, SETTINGS, cache=tmp_path)
    monkeypatch.setattr(embeddings, "build_backbone", forbid)
    monkeypatch.setattr(embeddings, "pack", forbid)
    np.testing.assert_array_equal(extract(dataset, NETWORK, SETTINGS, cache=tmp_path), first)


def test_cache_follows_content_network_and_settings(tmp_path: Path) -> None:
    def files() -> int:
        return len(list((tmp_path / "embeddings").glob("*.ids.npy")))

    extract(pictures(), NETWORK, SETTINGS, cache=tmp_path)
    assert files() == 1
    extract(pictures(seed=1), NETWORK, SETTINGS, cache=tmp_path)
    extract(pictures(), replace(NETWORK, mean=(0.1,)), SETTINGS, cache=tmp_path)
    extract(pictures(), NETWORK, ImageSettings(32, 36, "crop"), cache=tmp_path)
    assert files() == 4


def test_default_cache_is_the_shared_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OODML_CACHE", str(tmp_path / "elsewhere"))
    extract(pictures(), NETWORK, SETTINGS)
    assert len(list((tmp_path / "elsewhere" / "embeddings").glob("noise-test_resnet-*.ids.npy"))) == 1


def test_cached_rows_follow_the_order_of_the_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = pictures()
    first = extract(dataset, NETWORK, SETTINGS, cache=tmp_path)
    turned = replace(dataset, labels=dataset.labels[::-1], image_ids=dataset.image_ids[::-1])
    assert turned.content_hash == dataset.content_hash
    monkeypatch.setattr(embeddings, "build_backbone", forbid)
    np.testing.assert_array_equal(extract(turned, NETWORK, SETTINGS, cache=tmp_path), first[::-1])


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.3, 0.9])
@pytest.mark.parametrize("ending", ["features", "ids"])
def test_truncated_cache_is_rebuilt(kept: float, ending: str, tmp_path: Path) -> None:
    dataset = pictures()
    first = np.array(extract(dataset, NETWORK, SETTINGS, cache=tmp_path))
    features, ids = sorted((tmp_path / "embeddings").iterdir(), key=lambda file: file.name.endswith(".ids.npy"))
    file = ids if ending == "ids" else features
    whole = file.read_bytes()
    file.write_bytes(whole[: int(kept * len(whole))])
    np.testing.assert_array_equal(extract(dataset, NETWORK, SETTINGS, cache=tmp_path), first)
    assert file.stat().st_size == len(whole)


def test_features_are_a_view_of_the_cached_file_and_not_in_memory(tmp_path: Path) -> None:
    found = extract(pictures(), NETWORK, SETTINGS, cache=tmp_path)
    assert isinstance(found.base, np.memmap) and not found.flags.writeable


@pytest.mark.parametrize("rows", [1, 7, 5000, 9000])
def test_class_means_of_any_number_of_parts_are_those_of_the_whole(rows: int) -> None:
    generator = np.random.default_rng(rows)
    labels = np.concatenate([np.arange(min(rows, 5)), generator.integers(0, min(rows, 5), max(0, rows - 5))])
    values = generator.normal(size=(rows, 3)).astype(np.float32)
    expected = [values[labels == label].mean(axis=0, dtype=np.float64) for label in range(min(rows, 5))]
    np.testing.assert_allclose(embeddings.class_means(values, labels, min(rows, 5)), expected, rtol=1e-9, atol=1e-12)


def test_unwritable_cache_says_how_to_move_it(tmp_path: Path) -> None:
    packed = pack(pictures(), SETTINGS, cache=tmp_path)
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError, match="OODML_CACHE"):
        extract(pictures(), NETWORK, SETTINGS, cache=tmp_path / "file", packed=packed)


def test_pixels_are_the_components_of_the_small_images(tmp_path: Path) -> None:
    dataset = pictures(grey=True)
    found = extract(dataset, NetworkConfig("pixels"), None, cache=tmp_path)
    images = [np.asarray(dataset.read(row).resize((32, 32), 2)) for row in range(N) if dataset.read]
    np.testing.assert_array_equal(found, pixel_components(np.stack(images)))
    assert found.shape == (N, 64)


def test_vectors_come_back_as_they_are() -> None:
    values = np.random.default_rng(0).normal(size=(N, 5)).astype(np.float32)
    assert extract(vectors(values), NetworkConfig("vectors"), None) is values
    values[3, 1] = np.nan
    with pytest.raises(DatasetError, match="'picture/3' is not finite"):
        extract(vectors(values), NetworkConfig("vectors"), None)


def test_network_and_dataset_must_go_together(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ready-made vectors.*'pixels'"):
        extract(vectors(np.zeros((N, 2), np.float32)), NetworkConfig("pixels"), None)
    with pytest.raises(UsageError, match=r"images.*'vectors'"):
        extract(pictures(), NetworkConfig("vectors"), SETTINGS, cache=tmp_path)


def test_features_that_are_not_finite_name_the_image(tmp_path: Path) -> None:
    backbone = build_backbone(NETWORK)
    state = {key.removeprefix("model."): value.clone() for key, value in backbone.state_dict().items()}
    state["conv1.0.weight"][:] = torch.nan
    torch.save(state, tmp_path / "broken.pth")
    with pytest.raises(WeightsError, match=r"test_resnet.*'picture/0'"):
        extract(pictures(), replace(NETWORK, weights=tmp_path / "broken.pth"), SETTINGS, cache=tmp_path)


def test_missing_weights_show_before_images_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "pack", forbid)
    with pytest.raises(WeightsError, match=r"resnet50\.tv_in1k"):
        extract(pictures(), NetworkConfig("resnet50"), SETTINGS, cache=tmp_path)


def test_defaults_follow_the_kind_of_dataset() -> None:
    photographs = pictures()
    drawings = replace(photographs, photographs=False, native_size=32)
    ready = vectors(np.zeros((N, 2), np.float32))
    names = [default_embedder(dataset).name for dataset in (photographs, drawings, ready)]
    assert names == ["resnet50.tv_in1k", "pixels", "vectors"]
    assert default_settings(photographs, "resnet50.tv_in1k") == ImageSettings(224, 256, "crop")
    assert default_settings(photographs, "inception_v3.tv_in1k") == ImageSettings(299, 342, "crop")
    assert default_settings(photographs, "mobilenetv2_100", 96) == ImageSettings(96, 96, "squash")
    assert default_settings(photographs, "mobilenetv2_100", 160) == ImageSettings(160, 183, "crop")
    assert default_settings(drawings, "test_resnet") == ImageSettings(32, 32, "squash")
    large = replace(photographs, native_size=105)
    assert default_settings(large, "test_resnet") == ImageSettings(64, 64, "squash")
    assert default_settings(large, "pixels", 96) == pixel_settings() == ImageSettings(32, 32, "squash")
    assert default_settings(ready, "vectors") is None
    with pytest.raises(UnknownNameError, match="resnet50"):
        default_settings(photographs, "resnt50")


@given(st.data())
def test_class_means_equal_a_loop(data: st.DataObject) -> None:
    num_classes = data.draw(st.integers(1, 6))
    more = data.draw(st.lists(st.integers(0, num_classes - 1), max_size=20))
    labels = np.array(data.draw(st.permutations([*range(num_classes), *more])))
    features = np.random.default_rng(len(labels)).normal(size=(len(labels), 3)).astype(np.float32)
    expected = [features[labels == c].astype(np.float64).mean(0) for c in range(num_classes)]
    found = class_means(features, labels, num_classes)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


def test_class_means_add_in_float64() -> None:
    features = np.array([[1e8]] + [[1.0]] * 1000, np.float32)  # float32 would drop every 1
    assert class_means(features, np.zeros(1001, np.int64), 1)[0, 0] == (1e8 + 1000) / 1001


def test_class_without_rows_is_an_error() -> None:
    for labels in ([0, 2], [0, 1]):
        with pytest.raises(DatasetError, match="has none"):
            class_means(np.zeros((2, 1)), np.array(labels), 3)
