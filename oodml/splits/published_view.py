"""What a file of published splits needs to know of a dataset: the names of its classes and of their images."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from oodml.records import Scalar


@dataclass(frozen=True)
class DatasetView:
    """The classes and images of a dataset, found by the names that published splits give them.

    Attributes:
        spec: The dataset as the command line takes it, e.g. "cars196".
        image_ids: Ids of all images of every class.
        content_hash: Content hash of the dataset.
        options: Options of the dataset.
        aliases: Other names of classes, e.g. SOP's class numbers, to class names.
        skipped: Ids of unreadable images that were left out of the dataset.
    """

    spec: str
    image_ids: Mapping[str, Sequence[str]] = field(repr=False)
    content_hash: str = ""
    options: Mapping[str, Scalar] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict, repr=False)
    skipped: tuple[str, ...] = ()

    def class_name(self, given: str | int) -> str | None:
        """The class that goes by a name or number, None if there is none; class names come before aliases."""
        text = str(given)
        if text in self.image_ids:
            return text
        found = self.aliases.get(text)
        return found if found in self.image_ids else None

    def image_id(self, class_name: str, file: str) -> str | None:
        """The image of a class by its id or the name of its file; None if there is none, or if two share it."""
        ids, by_file = self._images[class_name]
        return file if file in ids else by_file.get(_base(file))

    def closest(self, name: str) -> str:
        """The most similar class name, "" if none is similar."""
        return next(iter(difflib.get_close_matches(name, self.image_ids, n=1)), "")

    @cached_property
    def _images(self) -> dict[str, tuple[frozenset[str], dict[str, str | None]]]:
        found = {}
        for class_name, ids in self.image_ids.items():
            by_file: dict[str, str | None] = {}
            for image_id in ids:
                by_file[_base(image_id)] = None if _base(image_id) in by_file else image_id
            found[class_name] = frozenset(ids), by_file
        return found


def _base(path: str) -> str:
    return path.rpartition("/")[2]
