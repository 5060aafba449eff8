"""Which characters become classes of `glyphs`: one per shape, from what the DejaVu faces share."""

from __future__ import annotations

import unicodedata
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SCRIPTS = ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "GEORGIAN", "DIGIT")
FACES = tuple(
    f"DejaVu{family}{style}"
    for family, slant in (("Sans", "Oblique"), ("SansMono", "Oblique"), ("Serif", "Italic"))
    for style in ("", "-Bold", f"-{slant}", f"-Bold{slant}")
)
LETTERS_AND_DIGITS = frozenset({"Lu", "Ll", "Lo", "Nd"})  # no combining marks, no modifier letters
REFERENCES = ("DejaVuSans", "DejaVuSerif")  # Sans Mono follows the design of Sans
DRAWN, SIDE = 96, 48  # pixels per em when drawn, side of the box that shapes are compared in
LOOK_ALIKE = 0.945  # in a gap between the shares that occur, so that rounding decides nothing


def font_file(face: str) -> Path:
    """The file of a face, as matplotlib ships it."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{face}.ttf"


@cache
def script_of(character: str) -> str | None:
    """The script of a letter or digit that does not decompose into others; None for every other character."""
    if unicodedata.category(character) not in LETTERS_AND_DIGITS or unicodedata.decomposition(character):
        return None
    script = unicodedata.name(character, "").split(" ")[0]
    return script if script in SCRIPTS else None


@cache
def distinct_characters() -> tuple[str, ...]:
    """All characters with a shape of their own, by code point (about 480).

    Of characters that look nearly alike, in a sans or a serif face, the one with the lowest code point stays.
    Shapes are compared at the same size, because images are drawn at random sizes: O and o are one shape.
    """
    from fontTools.ttLib import TTFont

    faces = (TTFont(font_file(face), lazy=True) for face in FACES)
    common = set.intersection(*(set(face.getBestCmap()) for face in faces))
    characters = [chr(code) for code in sorted(common) if script_of(chr(code))]
    alike = np.logical_or.reduce([look_alike(shapes(face, characters)) for face in REFERENCES])
    kept: list[int] = []
    for index in range(len(characters)):
        if not alike[index, kept].any():
            kept.append(index)
    return tuple(characters[index] for index in kept)


def shapes(face: str, characters: list[str]) -> NDArray[np.float32]:
    """What characters look like in a face, whatever their size.

    Returns:
        Ink cropped to its bounds, scaled to a common longer side and centred: (n, SIDE, SIDE) in [0, 1].
    """
    from PIL import Image, ImageFont

    font = ImageFont.truetype(str(font_file(face)), DRAWN, layout_engine=ImageFont.Layout.BASIC)
    found = np.zeros((len(characters), SIDE, SIDE), dtype=np.float32)
    for row, character in zip(found, characters, strict=True):
        mask = font.getmask(character)
        ink = Image.frombytes("L", mask.size, bytes(mask))
        ink = ink.crop(ink.getbbox())
        scale = SIDE / max(ink.size)
        width, height = (max(1, round(length * scale)) for length in ink.size)
        left, top = (SIDE - width) // 2, (SIDE - height) // 2
        small = ink.resize((width, height), Image.Resampling.BILINEAR)
        row[top : top + height, left : left + width] = np.asarray(small, dtype=np.float32) / 255
    return found


def look_alike(ink: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether two shapes are nearly identical: each lies inside the other, give or take a pixel.

    Args:
        ink: Shapes (n, s, s) in [0, 1].

    Returns:
        Symmetric (n, n): true if at least LOOK_ALIKE of the ink of each falls on the other, thickened by
        one pixel.
    """
    padded = np.pad(ink, ((0, 0), (1, 1), (1, 1)))
    side = ink.shape[1]
    shifted = [padded[:, y : y + side, x : x + side] for y in range(3) for x in range(3)]
    thick = np.maximum.reduce(shifted).reshape(len(ink), -1)
    flat = ink.reshape(len(ink), -1)
    inside = (flat @ thick.T) / flat.sum(axis=1, keepdims=True)
    result: NDArray[np.bool_] = np.minimum(inside, inside.T) >= LOOK_ALIKE
    return result
