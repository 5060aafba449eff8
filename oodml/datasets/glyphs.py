"""`glyphs`: characters drawn in the text faces that matplotlib ships. Needs no download."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np

from oodml.datasets.base import MIN_CLASSES, Dataset, DatasetInfo, Request
from oodml.datasets.characters import FACES, SCRIPTS, distinct_characters, font_file, script_of
from oodml.datasets.superclasses import superclasses_of
from oodml.errors import DatasetError
from oodml.records import Scalar
from oodml.seeds import derive_seed, numpy_generator

if TYPE_CHECKING:
    from PIL import Image, ImageFont

GENERATOR = "glyphs 1"  # Part of the content hash, as are the shares below: raise it when else the drawing changes.
PER_FACE = 2
SIZES = (8, 512)

# In shares of the side of the image.
EM = 0.75
WIDEST = 0.85  # wider characters are drawn smaller
SHIFT = 0.06
# Relative size, and degrees.
SCALE = 0.1
ROTATION = 8.0


def build(request: Request) -> Dataset:
    """Draws lots for the characters; images are drawn when they are read.

    Options: `classes`, their number; `size`, the side in pixels; `seed`, of the draw of the classes. What an
    image looks like depends on its id and size only.

    Raises:
        DatasetError: If more classes are asked for than there are, or an option is out of its range.
    """
    classes, size, seed = (_whole(name, request.options[name]) for name in ("classes", "size", "seed"))
    if not SIZES[0] <= size <= SIZES[1]:
        raise DatasetError(f"glyphs: size must be {SIZES[0]} to {SIZES[1]} pixels, not {size}")
    characters = draw_characters(classes, seed)
    ids = [
        (label, face, f"U+{ord(character):04X}/{face}/{copy}")
        for label, character in enumerate(characters)
        for face in FACES
        for copy in range(PER_FACE)
    ]
    names = [f"U+{ord(character):04X} {unicodedata.name(character)}" for character in characters]
    return Dataset(
        name="glyphs",
        class_names=tuple(names),
        labels=np.array([label for label, _, _ in ids], dtype=np.int64),
        image_ids=tuple(image_id for _, _, image_id in ids),
        read=lambda row: draw(characters[ids[row][0]], ids[row][1], ids[row][2], size),
        superclasses=superclasses_of(request, names, dict(zip(names, map(_title, characters), strict=True))),
        photographs=False,
        native_size=size,
        fingerprint=(f"{GENERATOR} {EM} {WIDEST} {SHIFT} {SCALE} {ROTATION} {size}",) * len(ids),
    )


def draw_characters(classes: int, seed: int) -> list[str]:
    """Characters, by code point: one of each script in turn until a script is used up.

    A smaller number gives a part of a larger one, and a script's order does not depend on the others.
    """
    available = distinct_characters()
    if not MIN_CLASSES <= classes <= len(available):
        raise DatasetError(f"glyphs: classes must be {MIN_CLASSES} to {len(available)}, not {classes}")

    def order(script: str) -> list[str]:
        own = [character for character in available if script_of(character) == script]
        return sorted(own, key=lambda character: derive_seed("glyphs", seed, character))

    turns = zip_longest(*map(order, SCRIPTS))
    drawn = [character for turn in turns for character in turn if character is not None]
    return sorted(drawn[:classes])


def draw(character: str, face: str, image_id: str, size: int) -> Image.Image:
    """One image: black on white, at a random angle, place and size that depend on the image id alone.

    Returns:
        RGB picture of `size` by `size` pixels with equal channels.
    """
    from PIL import Image, ImageChops

    finer = max(1, round(128 / size))  # drawn larger and averaged: neither hinting nor the grid shows
    side = size * finer
    mask = _font(face, EM * side).getmask(character)
    ink = Image.frombytes("L", mask.size, bytes(mask))
    box = ink.getbbox() or (0, 0, *ink.size)
    fit = min(1.0, WIDEST * side / max(box[2] - box[0], box[3] - box[1]))
    angle, zoom, x, y = numpy_generator("glyphs", image_id).uniform(-1, 1, size=4)
    scale = fit * (1 + SCALE * zoom)
    turn = np.deg2rad(ROTATION * angle)
    cos, sin = np.cos(turn) / scale, np.sin(turn) / scale
    # From the centre of the output (shifted) back to the centre of the ink.
    from_x, from_y = side * (0.5 + SHIFT * x), side * (0.5 + SHIFT * y)
    to_x, to_y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    inverse = (cos, sin, to_x - cos * from_x - sin * from_y, -sin, cos, to_y + sin * from_x - cos * from_y)
    placed = ink.transform((side, side), Image.Transform.AFFINE, inverse, Image.Resampling.BILINEAR)
    return ImageChops.invert(placed.reduce(finer)).convert("RGB")


@lru_cache(maxsize=2 * len(FACES))
def _font(face: str, pixels: float) -> ImageFont.FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.truetype(str(font_file(face)), pixels, layout_engine=ImageFont.Layout.BASIC)


def _title(character: str) -> str:
    script = script_of(character) or ""
    return "Digits" if script == "DIGIT" else script.title()


def _whole(name: str, value: Scalar) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise DatasetError(f"glyphs: {name} must be a whole number, not {value!r}")
    return value


INFO = DatasetInfo(
    name="glyphs",
    summary="characters of six scripts in twelve faces, drawn on the fly; needs no download",
    build=build,
    options={"classes": 200, "size": 32, "seed": 0},
)
