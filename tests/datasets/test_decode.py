from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oodml.datasets.decode import read_image, to_rgb
from oodml.errors import DatasetError


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixel(image: Image.Image, x: int = 0, y: int = 0) -> tuple[int, ...]:
    value = image.getpixel((x, y))
    assert isinstance(value, tuple)
    return value


PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8))


def test_transparent_pixels_become_white_and_half_transparent_ones_are_blended() -> None:
    image = Image.new("RGBA", (3, 1))
    for x, value in enumerate([(0, 0, 0, 0), (0, 0, 0, 255), (255, 0, 0, 51)]):
        image.putpixel((x, 0), value)
    found = read_image(encoded(image, "PNG"), "a")
    # red at 20 %: 255 and 255 * 0.8 = 204
    assert [pixel(found, x) for x in range(3)] == [(255, 255, 255), (0, 0, 0), (255, 204, 204)]


def test_transparent_palette_entry_becomes_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    found = read_image(encoded(image, "PNG", transparency=0), "a")
    assert [pixel(found, 0), pixel(found, 1)] == [(255, 255, 255), (200, 100, 50)]
    assert pixel(read_image(encoded(image, "PNG"), "a")) == (10, 20, 30)


def test_grey_with_alpha_and_one_bit() -> None:
    assert pixel(to_rgb(Image.new("LA", (1, 1), (0, 0)))) == (255, 255, 255)
    assert pixel(to_rgb(Image.new("LA", (1, 1), (7, 255)))) == (7, 7, 7)
    assert pixel(read_image(encoded(Image.new("1", (9, 9), 1), "PNG"), "a")) == (255, 255, 255)
    assert pixel(to_rgb(Image.new("L", (1, 1), 77))) == (77, 77, 77)


@pytest.mark.parametrize(("value", "byte"), [(0, 0), (257, 1), (128 * 257, 128), (65535, 255), (300, 1)])
def test_sixteen_bits_are_scaled_to_eight(value: int, byte: int) -> None:
    wide = Image.fromarray(np.full((2, 2), value, dtype=np.uint16))
    assert pixel(read_image(encoded(wide, "PNG"), "a")) == (byte,) * 3
    assert pixel(to_rgb(Image.new("I", (2, 2), value))) == (byte,) * 3


def test_cmyk_jpeg_shows_its_colours() -> None:
    found = read_image(encoded(PHOTO.resize((16, 16)).convert("CMYK"), "JPEG", quality=95), "a")
    difference = np.asarray(found, float) - np.asarray(PHOTO.resize((16, 16)), float)
    assert found.mode == "RGB"
    assert np.abs(difference).mean() < 25  # lossy, but not inverted


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(orientation: int) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = PHOTO.transpose(undo[orientation]) if orientation in undo else PHOTO
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = read_image(encoded(stored, "PNG", exif=exif), "a")
    assert (np.asarray(found) == np.asarray(PHOTO)).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_cut_short_files_are_named_at_every_length(kind: str) -> None:
    content = encoded(PHOTO, kind)
    assert read_image(content, "whole").size == (30, 40)
    for length in [0, 1, 10, 40, len(content) // 2, len(content) * 9 // 10]:
        with pytest.raises(DatasetError, match=r"'cat/1' .*--skip-bad-images"):
            read_image(content[:length], "cat/1")


@pytest.mark.filterwarnings("ignore:.*EXIF|Tag data")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_damaged_bytes_give_a_picture_or_the_error_and_nothing_else(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(PHOTO, kind, exif=exif)
    rng = np.random.default_rng(1)
    for _ in range(150):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 3):
            damaged[place] = rng.integers(256)
        try:
            assert read_image(bytes(damaged), "a").mode == "RGB"
        except DatasetError as error:
            assert "cannot read the image 'a'" in str(error)


def test_missing_file_and_other_content(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="No such file"):
        read_image(tmp_path / "gone.png", "gone")
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(DatasetError, match="not an image") as caught:
        read_image(tmp_path / "text.png", "cat/text.png")
    assert str(tmp_path) not in str(caught.value)
