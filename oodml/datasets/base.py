"""What a dataset is: images (or vectors) with a class name each, never a train/test division of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from oodml.errors import DatasetError
from oodml.records import Scalar, content_hash

if TYPE_CHECKING:
    from PIL import Image

MIN_CLASSES = 8


@dataclass(frozen=True)
class Request:
    """What a user asks of a dataset: the part after the colon, options, and where downloads live.

    Attributes:
        argument: Path after "folder:" or "embeddings:", else "".
        options: Overrides of the dataset's own options.
        superclasses: CSV file with columns class, superclass.
        root: Folder of downloaded sets.
        download: Whether a missing set may be downloaded into root.
    """

    argument: str = ""
    options: Mapping[str, Scalar] = field(default_factory=dict)
    superclasses: Path | None = None
    root: Path = Path("data")
    download: bool = False


@dataclass(frozen=True)
class DatasetInfo:
    """A registered dataset.

    Attributes:
        name: Registered name.
        summary: One line for `oodml datasets`.
        build: Makes the dataset; cheap, decodes no image.
        argument: What follows the colon, e.g. "PATH"; "" if nothing does.
        options: Own options with their defaults (`--dataset-args`).
    """

    name: str
    summary: str
    build: Callable[[Request], Dataset]
    argument: str = ""
    options: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images or vectors with a class each.

    Attributes:
        name: Short name without a path, e.g. "glyphs" or "grocery96"; the default name of the ladder.
        class_names: Unique names; a label is an index into them.
        labels: Class of every row, shape (n,), int64.
        image_ids: Unique name of every row; never contains a machine's path.
        read: Decodes the image of a row as RGB, upright; None for vectors. Raises DatasetError naming a bad
            file.
        vectors: Float32 vectors, shape (n, d); None for images.
        superclasses: Class name to superclass; empty if unknown.
        photographs: Whether mirrored pictures keep their class and ImageNet networks fit.
        native_size: Side in pixels that small images already have; None for photographs of any size.
        initial: Default division when nothing else is asked: "sorted" (published sets) or "random".
        fingerprint: Whatever else identifies the content (file sizes, a hash of vectors); part of the hash.
        skipped: Ids of unreadable images left out on request.
        aliases: Other names that classes go by in published splits, to class names; no part of the hash.
    """

    name: str
    class_names: tuple[str, ...]
    labels: NDArray[np.int64]
    image_ids: tuple[str, ...]
    read: Callable[[int], Image.Image] | None = None
    vectors: NDArray[np.float32] | None = None
    superclasses: Mapping[str, str] = field(default_factory=dict)
    photographs: bool = True
    native_size: int | None = None
    initial: str = "random"
    fingerprint: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.image_ids)

    @cached_property
    def content_hash(self) -> str:
        """Hash of classes, image ids and fingerprint; the same wherever the files lie."""
        names = [self.class_names[label] for label in self.labels]
        rows = sorted(zip(self.image_ids, names, self.fingerprint or [""] * len(self), strict=True))
        return content_hash(rows)

    def rows_of(self, classes: Collection[str]) -> NDArray[np.int64]:
        """Sorted row numbers of all images of the named classes.

        Raises:
            DatasetError: If a class does not exist.
        """
        known = {name: index for index, name in enumerate(self.class_names)}
        missing = [name for name in classes if name not in known]
        if missing:
            raise DatasetError(f"dataset {self.name!r} has no class {missing[0]!r} ({len(missing)} missing)")
        return np.flatnonzero(np.isin(self.labels, [known[name] for name in classes]))

    def without(self, image_ids: Collection[str]) -> Dataset:
        """The dataset less some images (recorded as skipped) and less the classes that lose all of theirs."""
        if not image_ids:
            return self
        gone = set(image_ids)
        keep = np.array([i for i, name in enumerate(self.image_ids) if name not in gone], dtype=np.int64)
        used = np.unique(self.labels[keep])
        read, vectors = self.read, self.vectors
        return replace(
            self,
            class_names=tuple(self.class_names[label] for label in used),
            labels=np.searchsorted(used, self.labels[keep]).astype(np.int64),
            image_ids=tuple(self.image_ids[i] for i in keep),
            read=None if read is None else lambda row: read(int(keep[row])),
            vectors=None if vectors is None else vectors[keep],
            fingerprint=tuple(self.fingerprint[i] for i in keep) if self.fingerprint else (),
            skipped=tuple(sorted({*self.skipped, *gone})),
        )


def check_classes(name: str, class_names: Sequence[str], minimum: int = MIN_CLASSES) -> None:
    """Raises DatasetError if class names repeat or are too few to divide into two sides."""
    repeated = [text for text, count in Counter(class_names).items() if count > 1]
    if repeated:
        raise DatasetError(f"dataset {name!r} names the class {repeated[0]!r} twice; class names must be unique")
    if len(class_names) < minimum:
        raise DatasetError(
            f"dataset {name!r} has {len(class_names)} classes; at least {minimum} are needed to divide them"
        )
