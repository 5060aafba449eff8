"""Other names of the classes of a set, from lists that come with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

SOP_LISTS = ("Ebay_train.txt", "Ebay_test.txt")
SOP_FOLDERS = ("Stanford_Online_Products", "Info_Files", "")  # of the archive itself and of the study's layout


def sop_numbers(homes: Iterable[Path], class_of: Callable[[str], str]) -> dict[str, str]:
    """The class numbers of Stanford Online Products, by which the published splits name some classes.

    Args:
        homes: Folders that the set may lie in.
        class_of: Class of an image by its path.

    Returns:
        Class number (as text) to class name, from the first folder that has the lists; empty if none has.
    """
    for folder in (home / name for home in homes for name in SOP_FOLDERS):
        lists = [folder / name for name in SOP_LISTS if (folder / name).is_file()]
        if lists:
            return {number: class_of(path) for file in lists for number, path in _rows(file)}
    return {}


def _rows(file: Path) -> list[tuple[str, str]]:
    """Class number and path of every image; the columns are image_id, class_id, super_class_id, path."""
    lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines()[1:]]
    return [(fields[1], fields[3]) for fields in lines if len(fields) == 4]
