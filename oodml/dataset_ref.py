"""Where the images of a ladder are, and whether they are still those that it was made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from oodml.datasets import load_dataset
from oodml.datasets.base import Dataset
from oodml.errors import DatasetError, LadderError
from oodml.records import Ladder, Scalar


@dataclass(frozen=True)
class DatasetRef:
    """How to open a dataset again, in this or another process; nothing of it enters a run's identity."""

    spec: str
    options: dict[str, Scalar] = field(default_factory=dict)
    superclasses: Path | None = None
    root: Path = Path("data")
    download: bool = False

    def open(self, skipped: tuple[str, ...] = ()) -> Dataset:
        """The dataset, less the images that a ladder left out."""
        dataset = load_dataset(
            self.spec,
            options=self.options,
            superclasses=self.superclasses,
            root=self.root,
            download=self.download,
        )
        return dataset.without([name for name in skipped if name in set(dataset.image_ids)])

    def open_for(self, ladder: Ladder) -> Dataset:
        """The dataset that a ladder was made from.

        Raises:
            DatasetError: If it cannot be opened.
            LadderError: If it holds other classes or images than the ladder's.
        """
        try:
            data = self.open(ladder.skipped)
        except DatasetError as error:
            raise DatasetError(f"{error}; if the data of the ladder has moved, name it with --dataset") from error
        if data.content_hash != ladder.dataset_hash:
            raise LadderError(
                f"ladder {ladder.name!r} was made from other data than {self.spec!r} "
                f"(content {ladder.dataset_hash}, found {data.content_hash}): name the right one with "
                "--dataset, or make a new ladder with `oodml make-splits`"
            )
        return data
