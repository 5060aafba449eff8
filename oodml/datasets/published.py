"""The three sets of the published study, through pytorch-metric-learning's loaders or as class folders."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from oodml import store
from oodml.datasets.aliases import sop_numbers
from oodml.datasets.base import Dataset, DatasetInfo, Request
from oodml.datasets.files import Folder
from oodml.datasets.hosted import Row, from_files, guarded, missing


@dataclass(frozen=True)
class Published:
    """Where a set lies and how its files are named.

    Attributes:
        name: Registered name.
        loader: Class in `pytorch_metric_learning.datasets`.
        folders: Names that its folder goes by, below the root.
        index: File by which the loader's own layout is recognised, below one of the folders or the root.
        images: Folder that the loader's paths start from, beside the index file.
        example: A file below `images` in the layout of the published splits.
        class_of: Class and superclass ("" if there is none) of an image by its path below `images`.
        aliases: Finds other names of the classes in the folders that the set may lie in.
    """

    name: str
    loader: str
    folders: tuple[str, ...]
    index: str
    images: str
    example: str
    class_of: Callable[[str], tuple[str, str]]
    aliases: Callable[[Iterable[Path], Callable[[str], str]], Mapping[str, str]] = lambda homes, class_of: {}

    def build(self, request: Request) -> Dataset:
        """Opens the set in either layout, or downloads it.

        Raises:
            DatasetError: If it is neither there nor to be had; says what to place where.
        """
        home = self.folders[0]
        layout = f"{home}/images/{self.example} (or {home}/{self.index} with {home}/{self.images}/)"
        rows = guarded(self.name, request, layout, lambda: self._rows(request))
        if not rows and request.download:
            guarded(self.name, request, layout, lambda: self._download(request))
            rows = guarded(self.name, request, layout, lambda: self._rows(request))
        if not rows:
            raise missing(self.name, request, layout)
        superclasses = {row.class_name: self.class_of(row.image_id)[1] for row in rows}
        known = superclasses if all(superclasses.values()) else {}
        dataset = from_files(self.name, request, rows, known, initial="sorted")
        return replace(dataset, aliases=guarded(self.name, request, layout, lambda: self._aliases(request)))

    def _rows(self, request: Request) -> list[Row]:
        candidates = list(self._candidates(request.root))
        for folder in candidates:
            base = folder / self.images
            if (folder / self.index).is_file() and base.is_dir():
                paths = map(Path, self._loader()(root=str(folder)).paths)
                return [self._row(path.relative_to(base).as_posix(), path) for path in paths]
        for folder in candidates:
            if folder.name in self.folders and (folder / "images").is_dir():
                images = Folder(folder / "images")
                return [self._row(file.path, images.read(file.key)) for file in images.files()]
        return []

    def _aliases(self, request: Request) -> Mapping[str, str]:
        return self.aliases(self._candidates(request.root), lambda path: self.class_of(path)[0])

    def _candidates(self, root: Path) -> Iterator[Path]:
        yield from (root / name for name in self.folders)
        yield root
        yield root.parent  # the root is the folder of the set itself

    def _row(self, image_id: str, path: Path) -> Row:
        return Row(image_id, path, self.class_of(image_id)[0])

    def _download(self, request: Request) -> None:
        # The loader takes an interrupted download for a finished one: only a finished one gets the name.
        root = store.make_folder(request.root)
        target = root / self.folders[0]
        if target.is_dir() and any(target.iterdir()):
            raise FileExistsError(f"{target} is there but holds something else")
        with tempfile.TemporaryDirectory(dir=root, prefix=f".{self.name}.") as scratch:
            self._loader()(root=f"{scratch}/set", download=True)
            Path(scratch, "set").replace(target)

    def _loader(self) -> Any:
        import pytorch_metric_learning.datasets as loaders

        return getattr(loaders, self.loader)

    def info(self, summary: str) -> DatasetInfo:
        """The registered dataset."""
        return DatasetInfo(name=self.name, summary=summary, build=self.build)


def _by_folder(image_id: str) -> tuple[str, str]:
    """CUB200-2011 and CARS196: the class is the folder, such as 001.Black_footed_Albatross."""
    return image_id.split("/")[-2], ""


def _by_item(image_id: str) -> tuple[str, str]:
    """SOP: the class is the item, which the file name starts with; the folder is the product category."""
    *_, category, file = image_id.split("/")
    return file.partition("_")[0], category


CUB200 = Published(
    name="cub200",
    loader="CUB",
    folders=("cub200", "CUB_200_2011", "CUB200"),
    index="CUB_200_2011/images.txt",
    images="CUB_200_2011/images",
    example="001.Black_footed_Albatross/FILE.jpg",
    class_of=_by_folder,
).info("CUB200-2011: 200 species of birds, 11788 photographs")

CARS196 = Published(
    name="cars196",
    loader="Cars196",
    folders=("cars196", "CARS196"),
    index="names.csv",
    images="car_data/car_data",
    example="AM General Hummer SUV 2000/FILE.jpg",
    class_of=_by_folder,
).info("CARS196: 196 models of cars, 16185 photographs")

SOP = Published(
    name="sop",
    loader="StanfordOnlineProducts",
    folders=("sop", "SOP", "online_products", "Stanford_Online_Products"),
    index="Stanford_Online_Products/Ebay_train.txt",
    images="Stanford_Online_Products",
    example="bicycle_final/ITEM_NUMBER.JPG",
    class_of=_by_item,
    aliases=sop_numbers,
).info("Stanford Online Products: 22634 items in 12 categories, 120053 photographs")
