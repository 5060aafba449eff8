"""`oodml inspect`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oodml import arguments as arg
from oodml.errors import DatasetError, MissingPackageError, OodmlError, UnknownNameError

if TYPE_CHECKING:
    from oodml.dataset_ref import DatasetRef
    from oodml.datasets import Dataset
    from oodml.records import Ladder

EXAMPLES = """Examples:

`oodml inspect splits/glyphs`

`oodml inspect splits/photos --superclasses groups.csv --plot build/photos --map tsne`

`oodml inspect splits/photos --dataset folder:moved/photos.zip --weights FILE --plot build/photos`

Without the dataset everything prints that needs none. Exit code 2: the dataset is another one."""

Plot = Annotated[Path | None, typer.Option(metavar="DIR", help="Write figures there: PNG, SVG and PDF.")]
Map = Annotated[str, typer.Option("--map", metavar="pca|tsne", help="How the map of the classes is made.")]


def inspect(
    ladder: arg.LadderPath,
    plot: Plot = None,
    map_: Map = "pca",
    dataset: arg.DatasetOverride = None,
    superclasses: arg.Superclasses = None,
    root: arg.Root = Path("data"),
    download: arg.Download = False,
    weights: arg.Weights = None,
    device: arg.Device = None,
) -> None:
    """Show the levels of a ladder, check it against its dataset and draw it."""
    from oodml.commands.ladder_dataset import dataset_ref
    from oodml.commands.ladder_facts import facts_table
    from oodml.console import out, say
    from oodml.report.ladder_tables import composition_table, ladder_table
    from oodml.report.projection import METHODS
    from oodml.splits import load_ladder

    if map_ not in METHODS:
        raise UnknownNameError("--map", map_, METHODS)
    opened = load_ladder(ladder)
    out.print(facts_table(opened))
    for note in opened.generator.get("notes", []):
        say(f"note: {note}")
    say("")
    out.print(ladder_table(opened))
    say("")
    where = dataset_ref(opened, dataset, root, download)
    data = _open(opened, where)
    groups = _superclasses(opened, data, superclasses)
    out.print(composition_table(opened, groups))
    say("")
    if data is not None:
        say(f"dataset: {where.spec} matches the ladder (hash {data.content_hash})")
    if plot is not None:
        _draw(opened, data, groups, plot, map_, weights, device)


def _open(ladder: Ladder, where: DatasetRef) -> Dataset | None:
    """The ladder's dataset; None with a warning if there is nothing to compare or it is not here.

    Raises:
        LadderError: If it is another one.
    """
    from oodml.console import warn

    if not ladder.dataset_hash or not where.spec:
        warn("dataset: not checked, because the ladder does not say which dataset it was made from")
        return None
    try:
        return where.open_for(ladder)
    except (DatasetError, MissingPackageError) as error:
        warn(f"dataset: not checked, because it cannot be opened here: {error}")
    except UnknownNameError as error:
        if where.spec != ladder.dataset:
            raise
        warn(f"dataset: not checked, because it cannot be opened here: {error}")
    return None


def _superclasses(ladder: Ladder, data: Dataset | None, file: Path | None) -> Mapping[str, str]:
    """Superclass by class: from the file, else the dataset's own."""
    from oodml.datasets.superclasses import read_superclasses

    if file is None:
        return data.superclasses if data is not None else {}
    known = {name for level in ladder.levels for name in (*level.train, *level.test)}
    return read_superclasses(file, data.class_names if data is not None else sorted(known))


def _draw(
    ladder: Ladder,
    data: Dataset | None,
    groups: Mapping[str, str],
    folder: Path,
    method: str,
    weights: Path | None,
    device: str | None,
) -> None:
    from oodml.console import bars, say, warn
    from oodml.report import ladder_pictures

    stems = [ladder_pictures.draw_progression(folder, ladder)]
    if groups:
        stems.append(ladder_pictures.draw_composition(folder, ladder, groups))
    else:
        warn("figure of the composition: left out, because the superclasses are unknown; see --superclasses")
    if data is None:
        warn("map of the classes: left out, because it needs the dataset; name it with --dataset")
    else:
        from oodml.devices import pick_device
        from oodml.ladder_embedder import own_class_means, own_embedder

        on = pick_device(device or "auto")
        try:
            embedder = own_embedder(ladder, weights, on)
            with bars() as bar:
                names, means = own_class_means(ladder, data, embedder, bar)
        except OodmlError as error:
            warn(f"map of the classes: left out: {error}")
        else:
            stems.append(ladder_pictures.draw_map(folder, ladder, names, means, method))
    for stem in stems:
        say(f"figure:  {folder / stem}.png, .svg, .pdf")
