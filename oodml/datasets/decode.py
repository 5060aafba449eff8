"""Image files of any kind as upright 8-bit RGB pictures."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from oodml.errors import DatasetError

DECODE_ERRORS = (
    *(OSError, EOFError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, SyntaxError),
    *(struct.error, zlib.error, Image.DecompressionBombError),
)
"""What Pillow raises on damaged data: besides its own errors those of its pure-Python header parsers."""


def to_rgb(image: Image.Image) -> Image.Image:
    """The picture as a viewer shows it: EXIF rotation applied, transparency on white, 8-bit RGB.

    Args:
        image: Picture in any of Pillow's modes; 16-bit ("I;16", "I") is scaled so that 65535 becomes 255.
    """
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode == "I" or image.mode.startswith("I;16"):
        wide = np.clip(np.asarray(image, dtype=np.int64), 0, 65535)
        image = Image.fromarray(((wide + 128) // 257).astype(np.uint8))
    if image.has_transparency_data:
        front = image.convert("RGBA")
        white = Image.new("RGBA", front.size, "white")
        return Image.alpha_composite(white, front).convert("RGB")
    return image.convert("RGB")


def read_image(source: Path | bytes, name: str) -> Image.Image:
    """Decodes a whole image file.

    Args:
        source: Path of the file, or its content.
        name: Image id for the message.

    Raises:
        DatasetError: If the file is missing, damaged, cut short or no image.
    """
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            image.load()
            return to_rgb(image)
    except DECODE_ERRORS as error:
        raise DatasetError(
            f"cannot read the image {name!r} ({_reason(error)}); replace it, or leave unreadable images out "
            "with --skip-bad-images"
        ) from error


def _reason(error: BaseException) -> str:
    """A short reason without the machine's path or the address of a buffer."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image, or damaged at its start"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
