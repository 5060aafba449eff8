"""`folder:PATH`: one folder per class, as a directory or a zip archive read in place."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from oodml.datasets.base import Dataset, DatasetInfo, Request
from oodml.datasets.decode import DECODE_ERRORS, read_image
from oodml.datasets.files import ENDINGS, Archive, Folder, ImageFile, open_files
from oodml.datasets.superclasses import superclasses_of
from oodml.errors import DatasetError

GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F"})
NUM_SAMPLED = 16
LARGEST_NATIVE = 128


def build(request: Request) -> Dataset:
    """Lists class folders; decodes no image and opens the headers of a few.

    The class of an image is the path of its folder below PATH. With nested folders the first part of that
    path is the superclass, unless a file of superclasses says otherwise. A folder that holds nothing but one
    folder of class folders (the usual shape of an archive) is looked through.

    Raises:
        DatasetError: If there are no class folders with images, or an image lies outside of all of them.
    """
    path = Path(request.argument).expanduser()
    source = open_files(path)
    files = source.files()
    paths = without_top([file.path for file in files])
    if not files:
        raise DatasetError(f"there are no images below {path}; class folders with {', '.join(ENDINGS)} are needed")
    stray = [name for name in paths if "/" not in name]
    if stray:
        raise DatasetError(
            f"{len(stray)} images lie directly in {path} (such as {stray[0]!r}); move each into a folder "
            "named after its class"
        )
    folders = [name.rpartition("/")[0] for name in paths]
    class_names = sorted(set(folders))
    number = {name: index for index, name in enumerate(class_names)}
    nested = any("/" in name for name in class_names)
    own = {name: name.partition("/")[0] for name in class_names} if nested else {}
    colour, side = sample_headers(source, files)
    return Dataset(
        name=path.resolve().stem if path.is_file() else path.resolve().name,
        class_names=tuple(class_names),
        labels=np.array([number[name] for name in folders], dtype=np.int64),
        image_ids=tuple(paths),
        read=lambda row: read_image(source.read(files[row].key), paths[row]),
        superclasses=superclasses_of(request, class_names, own),
        photographs=colour,
        native_size=side,
        fingerprint=tuple(str(file.size) for file in files),
    )


def without_top(paths: list[str]) -> list[str]:
    """The paths less the leading folders that all of them share, as long as a folder remains below."""
    while len({path.partition("/")[0] for path in paths}) == 1 and any(path.count("/") > 1 for path in paths):
        paths = [path.partition("/")[2] for path in paths]
    return paths


def sample_headers(source: Folder | Archive, files: Sequence[ImageFile]) -> tuple[bool, int | None]:
    """Whether pictures are in colour, and the side they share, from the headers of a few files.

    Returns:
        False if all sampled files are grey or 1-bit (drawings: not to be mirrored), and the side in pixels if
        all are squares of one size up to 128, else None. Unreadable files are passed over here.
    """
    modes, sizes = set[str](), set[tuple[int, int]]()
    for row in np.unique(np.linspace(0, len(files) - 1, NUM_SAMPLED).astype(int)):
        header = _header(source, files[row])
        if header is not None:
            modes.add(header[0])
            sizes.add(header[1])
    colour = not modes or bool(modes - GREY_MODES)
    width, height = max(sizes, default=(0, 0))
    native = len(sizes) == 1 and width == height and width <= LARGEST_NATIVE
    return colour, width if native else None


def _header(source: Folder | Archive, file: ImageFile) -> tuple[str, tuple[int, int]] | None:
    try:
        content = source.read(file.key)
        with Image.open(io.BytesIO(content) if isinstance(content, bytes) else content) as image:
            return image.mode, image.size
    except (DatasetError, *DECODE_ERRORS):
        return None


INFO = DatasetInfo(
    name="folder",
    summary="class folders of JPEG, PNG or WebP images: a directory, or a .zip read in place",
    build=build,
    argument="PATH",
)
