from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import functional

from oodml import images
from oodml.datasets import Dataset, load_dataset
from oodml.errors import DatasetError, StorageError, UsageError
from oodml.images import ImageSettings, PackedImages, cache_folder, pack, shrink

SHARED = Path(__file__).parents[2] / "shared" / "data"
CROP = ImageSettings(size=24, resize=28, fit="crop")
SQUASH = ImageSettings(size=24, resize=24, fit="squash")


def picture(row: int) -> Image.Image:
    rng = np.random.default_rng(row)
    height, width = rng.integers(20, 90, 2)
    small = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
    return small.resize((int(width), int(height)), Image.Resampling.BICUBIC)


def dataset(n: int = 30, bad: tuple[int, ...] = (), name: str = "toy") -> Dataset:
    def read(row: int) -> Image.Image:
        if row in bad:
            raise DatasetError(f"cannot read the image 'image/{row}'; leave it out with --skip-bad-images")
        return picture(row)

    return Dataset(
        name=name,
        class_names=tuple(f"class {label}" for label in range(10)),
        labels=np.arange(n) % 10,
        image_ids=tuple(f"image/{row}" for row in range(n)),
        read=read,
    )


def same(packed: PackedImages, other: PackedImages) -> bool:
    rows = np.arange(len(packed))
    return len(packed) == len(other) and bool((packed.test_batch(rows) == other.test_batch(rows)).all())


def test_crop_is_resize_of_the_shorter_side_and_centre_crop(tmp_path: Path) -> None:
    packed = pack(dataset(), CROP, cache=tmp_path)
    batch = packed.test_batch([7, 0, 29, 7])
    assert batch.dtype == torch.uint8
    assert batch.shape == (4, 3, 24, 24)
    for found, row in zip(batch, [7, 0, 29, 7], strict=True):
        resized = functional.resize(picture(row), 28, functional.InterpolationMode.BILINEAR)
        expected = np.asarray(functional.center_crop(resized, [24, 24])).transpose(2, 0, 1)
        assert (found.numpy() == expected).all()


def test_squash_is_the_whole_picture_in_a_square(tmp_path: Path) -> None:
    packed = pack(dataset(), SQUASH, cache=tmp_path)
    for row in range(0, 30, 7):
        expected = picture(row).resize((24, 24), Image.Resampling.BILINEAR)
        assert (packed.test_batch([row])[0].numpy() == np.asarray(expected).transpose(2, 0, 1)).all()


def test_source_batch_holds_whole_pictures_padded_with_zeros(tmp_path: Path) -> None:
    packed = pack(dataset(), CROP, cache=tmp_path)
    rows = np.array([3, 4, 5, 3])
    batch, sizes = packed.source_batch(rows)
    assert sizes.dtype == torch.int64
    assert tuple(batch.shape) == (4, 3, *sizes.max(0).values.tolist())
    for found, (height, width), row in zip(batch, sizes.tolist(), rows, strict=True):
        assert min(height, width) == 28
        assert (found[:, :height, :width].numpy() == packed.picture(row)).all()
        assert found[:, height:].sum() == 0
        assert found[:, :, width:].sum() == 0


@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 40), st.sampled_from(images.FITS))
def test_stored_sizes(width: int, height: int, side: int, fit: str) -> None:
    found = shrink(Image.new("RGB", (width, height), (1, 2, 3)), ImageSettings(1, side, fit))
    assert found.shape[0] == 3
    assert (found.reshape(3, -1).T == [1, 2, 3]).all()
    shape = found.shape[1:]
    if fit == "squash":
        assert shape == (side, side)
    else:
        aspect = min(max(width, height) / min(width, height), images.WIDEST)
        assert min(shape) == side
        assert side * aspect - 1 < max(shape) <= side * aspect + 1e-9
        assert (shape[0] > shape[1]) <= (height > width)


def test_panoramas_are_cut_in_their_middle() -> None:
    strip = np.zeros((10, 100, 3), np.uint8)
    strip[:, 30:70] = [255, 0, 0]  # the middle 4 x 10
    found = shrink(Image.fromarray(strip), ImageSettings(10, 10, "crop"))
    assert found.shape == (3, 10, 40)
    assert (found[0] == 255).all()


def test_grey_pictures_take_one_channel_and_come_back_as_three(tmp_path: Path) -> None:
    grey = replace(dataset(), read=lambda row: picture(row).convert("L").convert("RGB"))
    packed = pack(grey, SQUASH, cache=tmp_path)
    assert packed.pixels.size == 30 * 24 * 24
    expected = np.asarray(picture(4).convert("L").resize((24, 24), Image.Resampling.BILINEAR))
    assert (packed.test_batch([4])[0].numpy() == expected).all()
    assert (packed.source_batch([4])[0][0].numpy() == expected).all()


def test_second_time_decodes_nothing(tmp_path: Path) -> None:
    first = pack(dataset(), CROP, cache=tmp_path)

    def refuse(row: int) -> Image.Image:
        raise AssertionError("decoded again")

    assert same(first, pack(replace(dataset(), read=refuse), CROP, cache=tmp_path))


def test_other_settings_content_or_order_are_other_files(tmp_path: Path) -> None:
    toy = dataset()
    order = np.arange(30)[::-1]
    turned = replace(
        toy,
        labels=toy.labels[order],
        image_ids=tuple(toy.image_ids[row] for row in order),
        read=lambda row: picture(29 - row),
    )
    assert turned.content_hash == toy.content_hash  # yet its rows lie elsewhere
    packed = pack(toy, CROP, cache=tmp_path)
    assert (pack(turned, CROP, cache=tmp_path).test_batch([0]) == packed.test_batch([29])).all()
    pack(toy, SQUASH, cache=tmp_path)
    pack(replace(toy, fingerprint=("x",) * 30), CROP, cache=tmp_path)
    assert len(list((tmp_path / "images").glob("toy-*.pixels"))) == 4


def cut_pixels(folder: Path) -> None:
    file = next(folder.glob("*.pixels"))
    file.write_bytes(file.read_bytes()[:-1])


def cut_index(folder: Path) -> None:
    file = next(folder.glob("*.npy"))
    file.write_bytes(file.read_bytes()[:-9])


def drop_index(folder: Path) -> None:
    next(folder.glob("*.npy")).unlink()


def drop_pixels(folder: Path) -> None:
    next(folder.glob("*.pixels")).unlink()


def empty_index(folder: Path) -> None:
    next(folder.glob("*.npy")).write_bytes(b"")


@pytest.mark.parametrize("damage", [cut_pixels, cut_index, drop_index, drop_pixels, empty_index])
def test_damaged_cache_is_made_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    first = pack(dataset(), CROP, cache=tmp_path)
    expected = first.test_batch(np.arange(30))
    damage(tmp_path / "images")
    again = pack(dataset(), CROP, cache=tmp_path)
    assert (again.test_batch(np.arange(30)) == expected).all()
    assert len(list((tmp_path / "images").iterdir())) == 2


def test_unreadable_images_are_all_found_and_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="image/5'; leave it out with --skip-bad-images"):
        pack(dataset(bad=(5,)), CROP, cache=tmp_path)
    with pytest.raises(DatasetError) as caught:
        pack(dataset(bad=(1, 3, 5, 7, 9, 11, 13)), CROP, cache=tmp_path)
    message = str(caught.value)
    assert "cannot read 7 of 30 images of 'toy': 'image/1', 'image/3', 'image/5', 'image/7', 'image/9' and" in message
    assert "image/11" not in message
    assert "--skip-bad-images" in message
    assert list((tmp_path / "images").iterdir()) == []


def test_skipped_images_are_listed_and_the_rest_is_that_of_the_smaller_dataset(tmp_path: Path) -> None:
    whole = dataset(bad=(0, 13, 29))
    packed = pack(whole, CROP, cache=tmp_path, skip_bad=True)
    assert packed.bad == ("image/0", "image/13", "image/29")
    left = whole.without(packed.bad)
    assert len(packed) == len(left) == 27
    assert left.skipped == packed.bad
    expected = pack(dataset(), CROP, cache=tmp_path / "other").test_batch([1, 2, 14, 28])
    assert (packed.test_batch([0, 1, 12, 26]) == expected).all()
    known = pack(replace(left, read=None), CROP, cache=tmp_path)  # found, nothing to decode
    assert known.bad == ()
    assert same(packed, known)


def test_nothing_readable_is_an_error_even_when_skipping(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot read 30 of 30 images"):
        pack(dataset(bad=tuple(range(30))), CROP, cache=tmp_path, skip_bad=True)


def test_progress_counts_every_image(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    pack(dataset(), CROP, cache=tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 30) for done in range(1, 31)]


def test_only_a_bounded_number_of_pictures_waits_in_memory(tmp_path: Path) -> None:
    lock, waiting, most = threading.Lock(), 0, 0

    def read(row: int) -> Image.Image:
        nonlocal waiting, most
        with lock:
            waiting += 1
            most = max(most, waiting)
        return picture(row)

    def written(done: int, total: int) -> None:
        nonlocal waiting
        with lock:
            waiting -= 1

    pack(replace(dataset(300), read=read), SQUASH, cache=tmp_path, progress=written)
    assert most <= images.CHUNK * (2 * (os.cpu_count() or 1) + 2)


def test_an_interrupted_packing_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack(dataset(), CROP, cache=tmp_path, progress=stop)
    assert list((tmp_path / "images").iterdir()) == []


def test_unwritable_cache_names_the_variable_that_moves_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="OODML_CACHE"):
        pack(dataset(), CROP, cache=tmp_path / "file")


def test_full_disk_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("oodml.images.os.fsync", full)
    with pytest.raises(StorageError, match=r"no space left .*OODML_CACHE"):
        pack(dataset(), CROP, cache=tmp_path)
    assert list((tmp_path / "images").iterdir()) == []


def test_cache_folder_follows_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OODML_CACHE", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"
    packed = pack(dataset(), SQUASH)
    assert (tmp_path / "here" / "images").is_dir()
    assert len(packed) == 30
    monkeypatch.delenv("OODML_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "oodml"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((24, 20, "crop"), "at most resize 20"), ((0, 20, "crop"), "at least 1"), ((8, 8, "zoom"), "squash or crop")],
)
def test_impossible_settings_are_refused(arguments: tuple[int, int, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ImageSettings(*arguments)


def test_vectors_cannot_be_packed(tmp_path: Path) -> None:
    vectors = replace(dataset(), read=None, vectors=np.zeros((30, 2), np.float32))
    with pytest.raises(DatasetError, match="'toy' holds vectors, no images"):
        pack(vectors, CROP, cache=tmp_path)


def test_glyphs_are_stored_as_they_are_drawn(tmp_path: Path) -> None:
    glyphs = load_dataset("glyphs", options={"classes": 8})
    packed = pack(glyphs, ImageSettings(32, 32, "squash"), cache=tmp_path)
    assert packed.pixels.size == len(glyphs) * 32 * 32
    assert glyphs.read is not None
    drawn = np.asarray(glyphs.read(77)).transpose(2, 0, 1)
    assert (packed.test_batch([77])[0].numpy() == drawn).all()


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared image data is not beside the repository")
def test_real_photographs_match_torchvision(tmp_path: Path) -> None:
    grocery = load_dataset(f"folder:{SHARED / 'grocery96.zip'}")
    few = grocery.without(grocery.image_ids[60:])
    packed = pack(few, ImageSettings(64, 73, "crop"), cache=tmp_path)
    assert few.read is not None
    for row in (0, 31, 59):
        resized = functional.resize(few.read(row), 73, functional.InterpolationMode.BILINEAR)
        expected = np.asarray(functional.center_crop(resized, [64, 64])).transpose(2, 0, 1)
        assert (packed.test_batch([row])[0].numpy() == expected).all()
