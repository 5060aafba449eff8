"""SOP's class numbers, by which the published splits name some classes."""

from __future__ import annotations

from pathlib import Path

import pytest
from official_splits import CARS, ITEMS, place_cars, place_sop

from oodml.datasets import load_dataset
from oodml.errors import DatasetError


def test_class_numbers_come_from_the_lists_of_the_set(tmp_path: Path) -> None:
    place_sop(tmp_path)
    dataset = load_dataset("sop", root=tmp_path)
    assert dataset.aliases == {str(row + 1): item for row, item in enumerate(ITEMS)}
    assert load_dataset("sop", root=tmp_path / "sop").aliases == dataset.aliases
    assert dataset.without(dataset.image_ids[:1]).aliases == dataset.aliases


def test_aliases_are_no_part_of_the_content(tmp_path: Path) -> None:
    place_sop(tmp_path)
    listed = load_dataset("sop", root=tmp_path)
    for file in (tmp_path / "sop" / "Info_Files").iterdir():
        file.unlink()
    bare = load_dataset("sop", root=tmp_path)
    assert bare.aliases == {} and bare.content_hash == listed.content_hash


def test_other_sets_have_none(tmp_path: Path) -> None:
    dataset = load_dataset("cars196", root=place_cars(tmp_path))
    assert dataset.class_names == tuple(sorted(CARS)) and dataset.aliases == {}


def test_a_damaged_list_is_named(tmp_path: Path) -> None:
    place_sop(tmp_path)
    (tmp_path / "sop" / "Info_Files" / "Ebay_test.txt").write_bytes(b"\xff\xfe\n\xff")
    with pytest.raises(DatasetError, match="'sop' could not be read .*utf-8"):
        load_dataset("sop", root=tmp_path)
