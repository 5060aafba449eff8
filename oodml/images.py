"""Packs the pictures of a dataset once, at the size that training needs, into a memory-mapped file."""

from __future__ import annotations

import math
import os
import re
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from oodml import store
from oodml.datasets.base import Dataset
from oodml.errors import DatasetError, StorageError, UsageError
from oodml.records import content_hash

VERSION = 1  # Raise it when the same settings would store other pixels.
FITS = ("squash", "crop")
WIDEST = 4  # a panorama is cut to this many times its shorter side, in its middle
SHOWN = 5
CHUNK = 8  # pictures that a thread reads at a time

Progress = Callable[[int, int], None]
Pixels = NDArray[np.uint8]
Rows = NDArray[np.int64] | Sequence[int]


@dataclass(frozen=True)
class ImageSettings:
    """How pictures are stored and shown to a network.

    Attributes:
        size: Side in pixels of what the network sees.
        resize: Side of the stored picture ("squash"), or its shorter side ("crop"); at least `size`.
        fit: "squash" squeezes the whole picture into a square; "crop" keeps its aspect.
    """

    size: int
    resize: int
    fit: str

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise UsageError(f"fit must be {' or '.join(FITS)}, not {self.fit!r}")
        if not 1 <= self.size <= self.resize:
            raise UsageError(f"image size {self.size} must be at least 1 and at most resize {self.resize}")


@dataclass(frozen=True, eq=False)
class PackedImages:
    """The stored pictures of a dataset, in its order.

    Attributes:
        settings: What they were made with.
        pixels: All pictures one after the other, each (channels, height, width), memory-mapped.
        index: Offset into `pixels`, channels (1 if all are equal, else 3), height and width per row: (n, 4).
        bad: Ids of pictures that could not be read. The rows are those of `dataset.without(bad)`.
    """

    settings: ImageSettings
    pixels: Pixels = field(repr=False)
    index: NDArray[np.int64] = field(repr=False)
    bad: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.index)

    def picture(self, row: int) -> Pixels:
        """The stored picture of a row, (1 or 3, h, w), a read-only view."""
        offset, *shape = self.index[row].tolist()
        return self.pixels[offset : offset + math.prod(shape)].reshape(shape)

    def test_batch(self, rows: Rows, pinned: bool = False) -> torch.Tensor:
        """Centre crops of the stored pictures: uint8 (b, 3, size, size); `pinned` as in `source_batch`."""
        side = self.settings.size
        batch = torch.empty((len(rows), 3, side, side), dtype=torch.uint8, pin_memory=pinned)
        for image, row in zip(batch.numpy(), rows, strict=True):
            picture = self.picture(int(row))
            top, left = (round((length - side) / 2) for length in picture.shape[1:])
            image[:] = picture[:, top : top + side, left : left + side]
        return batch

    def source_batch(self, rows: Rows, pinned: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """Whole stored pictures, for random crops.

        Args:
            rows: Rows of the dataset, shape (b,).
            pinned: Whether the pictures lie where a GPU copies from without the host (page-locked memory).

        Returns:
            Pictures in the upper left corner of a common frame, zero elsewhere, uint8 (b, 3, H, W), and
            their true heights and widths, int64 (b, 2).
        """
        sizes = self.index[np.asarray(rows, dtype=np.int64), 2:]
        batch = torch.empty((len(rows), 3, *sizes.max(axis=0)), dtype=torch.uint8, pin_memory=pinned)
        for image, row, (height, width) in zip(batch.numpy(), rows, sizes, strict=True):
            image[:, :height, :width] = self.picture(int(row))
            image[:, height:] = 0  # the frame alone: most pictures fill theirs, and clearing it all costs as much
            image[:, :height, width:] = 0
        return batch, torch.from_numpy(sizes)


def cache_folder() -> Path:
    """Where packed images and embeddings are kept: `$OODML_CACHE`, else `~/.cache/oodml`."""
    chosen = os.environ.get("OODML_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "oodml"


def pack(
    dataset: Dataset,
    settings: ImageSettings,
    *,
    cache: Path | None = None,
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> PackedImages:
    """Decodes and shrinks every picture of a dataset, or finds them in the cache.

    The cache is addressed by content: the dataset's hash, the order of its rows, and the settings.

    Args:
        dataset: A dataset of images.
        settings: Size and shape to store.
        cache: Folder of the cache; `cache_folder()` by default.
        skip_bad: Leaves unreadable pictures out (see `PackedImages.bad`) instead of raising.
        progress: Called with the number of pictures done and their total.

    Raises:
        DatasetError: If pictures cannot be read; names up to five.
        StorageError: If the cache cannot be written.
    """
    folder = (cache or cache_folder()) / "images"
    known = _find(folder, dataset, settings)
    if known is not None:
        return known
    try:
        store.make_folder(folder)
        with tempfile.TemporaryDirectory(suffix=store.TEMPORARY_SUFFIX, prefix=".", dir=folder) as scratch:
            drawn = Path(scratch) / "pixels"
            with drawn.open("wb") as file:
                index, errors = _write(dataset, settings, file, progress)
                os.fsync(file.fileno())
            if errors and not (skip_bad and index):
                raise _unreadable(dataset, errors)
            kept = dataset.without(errors)
            pixels = _file(folder, kept, settings)
            drawn.replace(pixels)
        # The index comes last: without one that fits, pixels do not count.
        with store.atomic(pixels.with_suffix(".npy")) as temporary, temporary.open("wb") as file:
            np.save(file, np.array(index, dtype=np.int64))
    except (OSError, StorageError) as error:
        problem = error if isinstance(error, StorageError) else store.explain_os_error(error, folder)
        raise StorageError(f"{problem} (the image cache; the variable OODML_CACHE moves it)") from error
    packed = _find(folder, kept, settings)
    if packed is None:
        raise StorageError(f"{pixels} changed while it was written; repeat the command")
    return replace(packed, bad=tuple(sorted(errors)))


def _file(folder: Path, dataset: Dataset, settings: ImageSettings) -> Path:
    # The dataset's hash does not depend on the order of its rows; a packed file does.
    key = content_hash([VERSION, dataset.content_hash, content_hash(dataset.image_ids), asdict(settings)])
    name = re.sub(r"[^\w.-]+", "_", dataset.name)
    return folder / f"{name}-{key}.pixels"


def _find(folder: Path, dataset: Dataset, settings: ImageSettings) -> PackedImages | None:
    """The packed images in the cache; None if they are missing or cut short."""
    file = _file(folder, dataset, settings)
    try:
        index = np.load(file.with_suffix(".npy"), allow_pickle=False)
        size = file.stat().st_size
    except (OSError, ValueError, EOFError):
        return None
    if index.shape != (len(dataset), 4) or index.dtype != np.int64:
        return None
    if not len(index) or size != index[-1, 0] + np.prod(index[-1, 1:]):
        return None
    return PackedImages(settings, np.asarray(np.memmap(file, dtype=np.uint8, mode="r")), index)


def _write(
    dataset: Dataset, settings: ImageSettings, file: BinaryIO, progress: Progress | None
) -> tuple[list[tuple[int, int, int, int]], dict[str, DatasetError]]:
    """Writes all pictures in order; returns the index of the good ones and the errors of the others by id."""
    index, errors, offset = list[tuple[int, int, int, int]](), dict[str, DatasetError](), 0
    for row, picture in enumerate(_pictures(dataset, settings)):
        if isinstance(picture, DatasetError):
            errors[dataset.image_ids[row]] = picture
        else:
            channels, height, width = picture.shape
            index.append((offset, channels, height, width))
            offset += file.write(picture.tobytes())
        if progress is not None:
            progress(row + 1, len(dataset))
    return index, errors


def _pictures(dataset: Dataset, settings: ImageSettings) -> Iterator[Pixels | DatasetError]:
    """The pictures in order, read by several threads; a bounded number waits at any time."""
    read = dataset.read
    if read is None:
        raise DatasetError(f"dataset {dataset.name!r} holds vectors, no images; there is nothing to pack")

    def job(rows: range) -> list[Pixels | DatasetError]:
        return [_picture(read, row, settings) for row in rows]

    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        waiting = deque[Future[list[Pixels | DatasetError]]]()
        try:
            for start in range(0, len(dataset), CHUNK):
                waiting.append(pool.submit(job, range(start, min(start + CHUNK, len(dataset)))))
                if len(waiting) > 2 * workers:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _picture(read: Callable[[int], Image.Image], row: int, settings: ImageSettings) -> Pixels | DatasetError:
    try:
        return shrink(read(row), settings)
    except DatasetError as error:
        return error


def shrink(image: Image.Image, settings: ImageSettings) -> Pixels:
    """A picture as it is stored.

    Args:
        image: RGB picture of any size.
        settings: "squash" or "crop", and the side to reach.

    Returns:
        Resampled bilinearly with antialiasing, (c, h, w): c is 1 if all channels are equal, else 3.
    """
    width, height = image.size
    side = settings.resize
    if settings.fit == "squash":
        goal, box = (side, side), (0.0, 0.0, float(width), float(height))
    else:
        shorter = min(width, height)
        wide, high = min(width, WIDEST * shorter), min(height, WIDEST * shorter)
        left, top = (width - wide) / 2, (height - high) / 2
        goal, box = (int(side * wide / shorter), int(side * high / shorter)), (left, top, left + wide, top + high)
    red, green, blue = image.split()
    if red.tobytes() == green.tobytes() == blue.tobytes():
        return np.array(red.resize(goal, Image.Resampling.BILINEAR, box))[None]
    pixels = np.asarray(image.resize(goal, Image.Resampling.BILINEAR, box))
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _unreadable(dataset: Dataset, errors: dict[str, DatasetError]) -> DatasetError:
    first = next(iter(errors.values()))
    if len(errors) == 1:
        return first
    shown = ", ".join(map(repr, list(errors)[:SHOWN])) + (" and others" if len(errors) > SHOWN else "")
    return DatasetError(
        f"cannot read {len(errors)} of {len(dataset)} images of {dataset.name!r}: {shown}; "
        f"about the first of them: {first}"
    )
