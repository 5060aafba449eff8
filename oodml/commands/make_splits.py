"""`oodml make-splits`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodml import arguments as arg
from oodml.errors import UsageError
from oodml.options import parse_names, parse_pairs

if TYPE_CHECKING:
    from oodml.records import Ladder

EXAMPLES = """Examples:

`oodml make-splits glyphs`

`oodml make-splits folder:photos.zip --embedder mobilenetv2_100 --weights FILE --image-size 96`

`oodml make-splits embeddings:features.npz --generator search --targets 20,40,80 --out splits/mine`

`oodml make-splits glyphs --generator matched --out splits/glyphs-matched`

Generators: swap (the study's rule), removal (swap, then drops classes), search (any target, the largest range),
matched (search with the difficulty of the test side held constant), random (control divisions of one difficulty),
superclass (whole superclasses change sides)."""


_PASSED_ON = (
    "generator",
    "levels",
    "measure",
    "statistics",
    "sides",
    "swaps_per_iteration",
    "iterations",
    "easier_iterations",
    "removal_iterations",
    "removal_rule",
    "match_tolerance",
    "episodes",
    "null_draws",
    "seed",
)


def make_splits(
    dataset: arg.DatasetName,
    out: arg.Out = None,
    generator: arg.Generator = "swap",
    levels: arg.Levels = 8,
    targets: arg.Targets = None,
    measure: arg.Measure = "fid",
    statistics: arg.Statistics = "class-means",
    sides: arg.SidesShare = 0.5,
    initial: arg.Initial = "auto",
    swaps_per_iteration: arg.Swaps = None,
    iterations: arg.Iterations = None,
    easier_iterations: arg.EasierIterations = None,
    removal_iterations: arg.RemovalIterations = None,
    removal_rule: arg.RemovalRule = "saturated",
    match_tolerance: arg.MatchTolerance = 0.02,
    shots: arg.Shots = "2,5,10",
    episodes: arg.Episodes = 10,
    null_draws: arg.NullDraws = None,
    seed: arg.Seed = 0,
    embedder: arg.Embedder = None,
    pretrained: arg.Pretrained = None,
    weights: arg.Weights = None,
    backbone_args: arg.BackboneArgs = [],  # noqa: B006 - typer copies it
    mean: arg.Mean = None,
    std: arg.Std = None,
    image_size: arg.ImageSize = None,
    device: arg.Device = None,
    dataset_args: arg.DatasetArgs = [],  # noqa: B006
    superclasses: arg.Superclasses = None,
    root: arg.Root = Path("data"),
    download: arg.Download = False,
    skip_bad_images: arg.SkipBad = False,
    force: arg.Force = False,
) -> None:
    """Divide the classes of a dataset into train and test at rising distance."""
    ladder = _make(dict(locals()))
    _save_and_show(ladder, out or Path("splits") / ladder.name, force)


def _make(given: dict[str, Any]) -> Ladder:
    from oodml.commands.embedder_flags import embedder_options
    from oodml.console import bars
    from oodml.datasets import load_dataset
    from oodml.make_splits import ladder_from_dataset

    options = parse_pairs(given["dataset_args"], "--dataset-args")
    where = {name: given[name] for name in ("superclasses", "root", "download")}
    data = load_dataset(given["dataset"], options=options, **where)
    with bars() as bar:
        return ladder_from_dataset(
            data,
            given["dataset"],
            name=given["out"].name if given["out"] else None,
            dataset_options=options,
            embedder=embedder_options(given),
            skip_bad_images=given["skip_bad_images"],
            progress=bar,
            **_generator(given),
        )


def _generator(given: dict[str, Any]) -> dict[str, Any]:
    from oodml.splits.generators import check_generator
    from oodml.splits.measures import check_measure
    from oodml.splits.sides_file import read_sides

    check_generator(given["generator"])  # before the images are embedded, which can take minutes
    check_measure(given["measure"], given["statistics"])
    values = {name: given[name] for name in _PASSED_ON}
    if given["initial"] in ("sorted", "random"):
        values["initial"] = given["initial"]
    elif Path(given["initial"]).suffix.lower() in (".json", ".csv"):
        values["initial"] = read_sides(Path(given["initial"]))
    elif given["initial"] != "auto":  # else the dataset decides
        raise UsageError(f"--initial {given['initial']!r} should be auto, sorted, random, or a .json or .csv file")
    values["shots"] = _numbers("--shots", given["shots"], int, "2,5,10")
    values["targets"] = _numbers("--targets", given["targets"] or "", float, "20,40,80")
    return values


def _numbers(flag: str, text: str, kind: type[int] | type[float], example: str) -> tuple[float, ...]:
    try:
        return tuple(kind(part) for part in parse_names(text))
    except ValueError as error:
        raise UsageError(f"{flag} {text!r} should be numbers such as {example}") from error


def _save_and_show(ladder: Ladder, folder: Path, force: bool) -> None:
    from oodml.console import out, say
    from oodml.report.terminal import ladder_table
    from oodml.splits import save_ladder
    from oodml.splits.plot import plot_progression

    save_ladder(ladder, folder, overwrite=force)
    plot_progression(ladder, folder / "progression.png")
    out.print(ladder_table(ladder))
    for note in ladder.generator.get("notes", []):
        say(f"note: {note}")
    if ladder.skipped:
        say(f"note: left out {len(ladder.skipped)} unreadable images, named in ladder.json")
    say(f"ladder: {folder / 'ladder.json'}")
    say(f"plot:   {folder / 'progression.png'}")
    say(f"next:   oodml sweep {folder}")
