"""`oodml import-splits` and `oodml export-splits`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodml import arguments as arg
from oodml.errors import UsageError
from oodml.options import parse_pairs

if TYPE_CHECKING:
    from oodml.datasets import Dataset
    from oodml.records import Ladder, Scalar
    from oodml.splits.published_view import DatasetView

IMPORT_EXAMPLES = """Examples:

`oodml import-splits CARS196_splits.pkl --dataset cars196 --root data`

`oodml import-splits sop.json --dataset sop --out splits/sop-study`

A pickle is read without running anything in it; one that asks for more than plain data is refused."""

EXPORT_EXAMPLES = """Examples:

`oodml export-splits splits/glyphs`

`oodml export-splits cars196-published --out build/cars196.json`"""


def import_splits(
    file: arg.SplitsFile,
    dataset: arg.DatasetOfSplits,
    out: arg.Out = None,
    dataset_args: arg.DatasetArgs = [],  # noqa: B006 - typer copies it
    root: arg.Root = Path("data"),
    download: arg.Download = False,
    force: arg.Force = False,
) -> None:
    """Turn published splits (.pkl, or .json from export-splits) into a ladder."""
    from oodml.datasets import load_dataset
    from oodml.splits.published import ladder_from_published
    from oodml.splits.published_file import read_published

    published = read_published(file)  # before the dataset is opened or even downloaded
    options = parse_pairs(dataset_args, "--dataset-args")
    data = load_dataset(dataset, options=options, root=root, download=download)
    folder = out or Path("splits") / f"{data.name}-published"
    ladder = ladder_from_published(published, _view(data, dataset, options), name=folder.absolute().name)
    _save_and_show(ladder, folder, force)


def export_splits(ladder: arg.LadderPath, out: arg.OutJson = None, force: arg.ForceFile = False) -> None:
    """Write a ladder as JSON in the structure of the published splits."""
    from oodml import store
    from oodml.console import say
    from oodml.splits import load_ladder
    from oodml.splits.published import to_published

    opened = load_ladder(ladder)
    path, content = out or Path(f"{opened.name}.json"), to_published(opened)
    if path.exists() and not force and not _holds(path, content):
        raise UsageError(f"{path} is there and holds something else; choose another --out, or replace it with --force")
    store.write_json(path, content)
    say(f"splits: {path}")
    say(f"next:   oodml import-splits {path} --dataset {opened.dataset or 'DATASET'}")


def _view(data: Dataset, spec: str, options: dict[str, Scalar]) -> DatasetView:
    from oodml.splits.published_view import DatasetView

    ids: dict[str, list[str]] = {name: [] for name in data.class_names}
    for label, image_id in zip(data.labels, data.image_ids, strict=True):
        ids[data.class_names[label]].append(image_id)
    return DatasetView(spec, ids, data.content_hash, options, data.aliases, data.skipped)


def _save_and_show(ladder: Ladder, folder: Path, force: bool) -> None:
    from oodml.console import out, say
    from oodml.report.terminal import ladder_table
    from oodml.splits import save_ladder
    from oodml.splits.files import EPISODES_FILE, LADDER_FILE

    save_ladder(ladder, folder, overwrite=force)
    out.print(ladder_table(ladder))
    for note in ladder.generator["notes"]:
        say(f"note: {note}")
    say(f"ladder:   {folder / LADDER_FILE}")
    say(f"episodes: {folder / EPISODES_FILE}")
    say(f"next:     oodml sweep {folder}")


def _holds(path: Path, content: dict[str, Any]) -> bool:
    try:
        return bool(json.loads(path.read_bytes()) == content)
    except (OSError, ValueError, RecursionError):
        return False
