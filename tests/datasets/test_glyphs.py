from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from oodml.datasets import Dataset, load_dataset
from oodml.datasets.characters import (
    FACES,
    LOOK_ALIKE,
    REFERENCES,
    distinct_characters,
    font_file,
    look_alike,
    script_of,
    shapes,
)
from oodml.datasets.glyphs import draw_characters
from oodml.errors import DatasetError, UnknownNameError


@pytest.fixture(scope="module")
def glyphs() -> Dataset:
    return load_dataset("glyphs")


def pixels(dataset: Dataset, row: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    assert dataset.read is not None
    return np.asarray(dataset.read(row))


def test_default_has_200_classes_of_24_images_balanced_over_six_scripts(glyphs: Dataset) -> None:
    assert len(glyphs.class_names) == len(set(glyphs.class_names)) == 200
    assert np.bincount(glyphs.labels).tolist() == [24] * 200
    assert len(set(glyphs.image_ids)) == 4800
    # 10 digits, and the other 190 divided by five
    assert Counter(glyphs.superclasses.values()) == {"Digits": 10} | dict.fromkeys(
        ("Latin", "Greek", "Cyrillic", "Armenian", "Georgian"), 38
    )
    assert (glyphs.photographs, glyphs.native_size, glyphs.initial) == (False, 32, "random")
    everything = load_dataset("glyphs", options={"classes": len(distinct_characters())})
    assert "U+0041 LATIN CAPITAL LETTER A" in everything.class_names


def test_classes_and_pixels_are_the_same_every_time(glyphs: Dataset) -> None:
    again = load_dataset("glyphs")
    assert again.class_names == glyphs.class_names
    assert again.content_hash == glyphs.content_hash
    assert all((pixels(again, row) == pixels(glyphs, row)).all() for row in range(0, 4800, 331))


def test_an_image_depends_on_its_id_alone(glyphs: Dataset) -> None:
    fewer = load_dataset("glyphs", options={"classes": 20})
    for row in range(0, len(fewer), 37):
        same = glyphs.image_ids.index(fewer.image_ids[row])
        assert (pixels(fewer, row) == pixels(glyphs, same)).all()


def test_pictures_are_black_on_white_antialiased_and_all_different(glyphs: Dataset) -> None:
    pictures = np.stack([pixels(glyphs, row) for row in range(0, 4800, 7)])
    assert pictures.shape[1:] == (32, 32, 3)
    assert (pictures == pictures[..., :1]).all()
    grey = pictures[..., 0]
    ink = (255.0 - grey).mean(axis=(1, 2)) / 255
    assert ink.min() > 0.01 and ink.max() < 0.4  # something is drawn, on white
    assert ((grey > 0) & (grey < 255)).any()
    assert len({picture.tobytes() for picture in grey}) == len(grey)


@pytest.mark.parametrize(("size", "shape"), [(20, (20, 20, 3)), (64, (64, 64, 3)), (150, (150, 150, 3))])
def test_size_is_an_option_and_part_of_the_hash(glyphs: Dataset, size: int, shape: tuple[int, ...]) -> None:
    other = load_dataset("glyphs", options={"size": size})
    assert pixels(other, 5).shape == shape
    assert other.native_size == size
    assert other.content_hash != glyphs.content_hash


def test_the_hash_is_the_one_that_the_committed_ladder_was_made_for(glyphs: Dataset) -> None:
    # If this changes, so do the classes or the drawing: committed ladders and results have to be made anew.
    assert glyphs.content_hash == "10cceda84936e5af"


def test_no_class_decomposes_or_looks_like_another() -> None:
    characters = list(distinct_characters())
    assert 450 <= len(characters) <= 500
    assert all(script_of(character) for character in characters)
    for face in REFERENCES:
        alike = look_alike(shapes(face, characters))
        assert (alike == alike.T).all()
        assert (alike == np.eye(len(characters), dtype=bool)).all()
    # One shape each: Latin A, Greek Alpha and Cyrillic A; O, o and Omicron; S and s. Others stay apart.
    for group in ("AΑА", "OoοОΟо", "Ss", "HΗН"):
        assert len(set(group) & set(characters)) == 1
    assert set("bdpqEF0123456789гдфЖяωδ") < set(characters)


def test_look_alikes_agree_with_a_loop_over_pixels() -> None:
    rng = np.random.default_rng(0)
    ink = np.zeros((4, 9, 9), np.float32)
    ink[0, 2:7, 4] = 1
    ink[1, 2:7, 5] = 1  # the same bar, one pixel aside
    ink[2, 2:7, 7] = 1  # three pixels aside
    ink[3] = rng.random((9, 9))
    found = look_alike(ink)
    for a in range(4):
        for b in range(4):
            shares = []
            for one, other in ((ink[a], ink[b]), (ink[b], ink[a])):
                inside = 0.0
                for y in range(9):
                    for x in range(9):
                        near = other[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].max()
                        inside += one[y, x] * near
                shares.append(inside / one.sum())
            assert found[a, b] == (min(shares) >= LOOK_ALIKE)
    assert found[0, 1]
    assert not found[0, 2]


def test_a_smaller_draw_is_a_part_of_a_larger_one_and_seeds_differ() -> None:
    assert set(draw_characters(50, seed=0)) < set(draw_characters(200, seed=0))
    assert draw_characters(50, seed=0) != draw_characters(50, seed=1)
    assert tuple(draw_characters(len(distinct_characters()), seed=3)) == distinct_characters()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": 5000}, r"8 to 4\d\d, not 5000"),
        ({"classes": 3}, "classes must be 8 to"),
        ({"classes": 12.5}, "whole number"),
        ({"size": 4}, "8 to 512 pixels, not 4"),
        ({"size": "big"}, "whole number, not 'big'"),
    ],
)
def test_options_out_of_range_are_named(options: dict[str, float | str], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        load_dataset("glyphs", options=options)


def test_unknown_option_offers_the_closest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'classes'"):
        load_dataset("glyphs", options={"clases": 100})


def test_the_twelve_faces_are_there() -> None:
    assert len(set(FACES)) == 12
    assert all(font_file(face).is_file() for face in FACES)
