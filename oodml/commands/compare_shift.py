"""`oodml compare-shift`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodml import arguments as arg
from oodml.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from oodml.compare_shift import ClassFeatures
    from oodml.datasets import Dataset
    from oodml.records import Ladder
    from oodml.shift_embedders import NetworkFlags

EXAMPLES = """Examples:

`oodml compare-shift splits/glyphs --embedders pixels --measures fid,kid,mmd`

`oodml compare-shift splits/photos --embedders resnet18.tv_in1k,resnet50.tv_in1k,clip.npz --out shifts.csv`

`oodml compare-shift splits/photos --embedders mobilenetv2_100,dino.parquet --weights FILE --image-size 96`

A file of embeddings (`embeddings`, `labels`, `class_names`) is matched by class name; for files alone the images
of the ladder are not needed."""

Embedders = Annotated[
    str, typer.Option(metavar="A,B", help="pixels, timm models, FILE.npz, FILE.parquet, embeddings:FILE.")
]
Measures = Annotated[
    str | None, typer.Option(metavar="A,B", help="fid, kid, mmd, sliced_wasserstein; default the ladder's.")
]
Statistics = Annotated[str | None, typer.Option(metavar="NAME", help="class-means or images; default the ladder's.")]
Table = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Table to write: .csv or .parquet.")]


def compare_shift(
    ladder: arg.LadderPath,
    embedders: Embedders,
    measures: Measures = None,
    statistics: Statistics = None,
    out: Table = None,
    pretrained: arg.Pretrained = None,
    weights: arg.Weights = None,
    backbone_args: arg.BackboneArgs = [],  # noqa: B006 - typer copies it
    mean: arg.Mean = None,
    std: arg.Std = None,
    image_size: arg.ImageSize = None,
    dataset: arg.DatasetOverride = None,
    root: arg.Root = Path("data"),
    download: arg.Download = False,
    device: arg.Device = None,
) -> None:
    """Measure every level again with other networks and measures: does the order of the levels hold?"""
    given = dict(locals())
    from oodml.commands.shift_tables import correlation_table, shift_table, step_note
    from oodml.compare_shift import compare_shift as compare
    from oodml.console import bars, say
    from oodml.console import out as console
    from oodml.options import parse_names
    from oodml.splits import load_ladder

    _check_out(out)
    opened = load_ladder(ladder)
    wanted = parse_names(measures) if measures else None
    with bars() as bar:
        found = _features(opened, parse_names(embedders), given, bar)
        result = compare(opened, found, measures=wanted, statistics=statistics, progress=bar("measuring shifts"))
    console.print(shift_table(result))
    say("")
    if len(result.rows) > 2:
        console.print(correlation_table(result))
        say("")
    say(step_note(len(opened.levels)))
    if out is not None:
        _write(result.frame(), out)
        say(f"table: {out}")


def _features(ladder: Ladder, names: list[str], given: dict[str, Any], bar: Any) -> list[ClassFeatures]:
    """Features of every embedder, in the order of the command line."""
    from oodml.shift_embedders import check_embedders, embed, embedding_file, needs_dataset, read_embeddings

    flags, names = _flags(given), list(dict.fromkeys(names))
    check_embedders(names, flags)
    data = _dataset(ladder, given) if needs_dataset(names) else None
    files = [file.name for name in names if (file := embedding_file(name))]
    found = []
    for name in names:
        file = embedding_file(name)
        if file is not None:
            found.append(read_embeddings(file, file.name if files.count(file.name) == 1 else str(file)))
        else:
            assert data is not None
            found.append(embed(name, data, flags, bar))
    return found


def _flags(given: dict[str, Any]) -> NetworkFlags:
    from oodml.devices import pick_device
    from oodml.networks import NetworkConfig
    from oodml.shift_embedders import NetworkFlags

    config = NetworkConfig(
        name="",
        weights=given["weights"],
        args=arg.keywords(given["backbone_args"]),
        mean=arg.channels(given["mean"], "--mean"),
        std=arg.channels(given["std"], "--std"),
    )
    device = pick_device(given["device"] or "auto")
    return NetworkFlags(config, given["pretrained"] is not False, given["image_size"], device)


def _dataset(ladder: Ladder, given: dict[str, Any]) -> Dataset:
    """The images for the networks: the ladder's, or others of the same classes where it was made from vectors."""
    from oodml.commands.ladder_dataset import dataset_ref
    from oodml.console import warn

    spec, own = given["dataset"], ladder.dataset
    vectors = own.startswith("embeddings:")
    if not spec and (vectors or not own):
        holds = "ready-made vectors" if vectors else "arrays"
        raise UsageError(
            f"ladder {ladder.name!r} was made from {holds}; name images of its classes with --dataset, or "
            "give only files of embeddings as --embedders"
        )
    where = dataset_ref(ladder, spec, given["root"], given["download"])
    if not vectors and ladder.dataset_hash:
        return where.open_for(ladder)
    warn(f"classes of {spec!r} are matched by name: the ladder does not say which images it stands for")
    return where.open()


def _check_out(path: Path | None) -> None:
    if path is not None and path.suffix.lower() not in (".csv", ".parquet"):
        raise UsageError(f"--out {str(path)!r} should end in .csv or .parquet")


def _write(frame: pd.DataFrame, path: Path) -> None:
    from oodml import store

    with store.atomic(path) as temporary:
        if path.suffix.lower() == ".csv":
            frame.to_csv(temporary, index=False)
        else:
            frame.to_parquet(temporary, index=False)
