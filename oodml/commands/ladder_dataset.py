"""Where the dataset of a ladder is, as the flags of a command say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from oodml.records import Ladder

if TYPE_CHECKING:
    from oodml.dataset_ref import DatasetRef


def dataset_ref(ladder: Ladder, named: str | None, root: Path, download: bool) -> DatasetRef:
    """How to open the dataset of a ladder again.

    Args:
        ladder: The ladder; its options of the dataset go on only with a dataset of the same kind.
        named: The dataset of the command line, None for the ladder's own.
        root: Folder of published sets.
        download: Whether a missing set may be fetched.
    """
    from oodml.dataset_ref import DatasetRef

    spec = named or ladder.dataset
    same = spec.partition(":")[0] == ladder.dataset.partition(":")[0]
    return DatasetRef(spec, dict(ladder.dataset_options) if same else {}, root=root, download=download)
