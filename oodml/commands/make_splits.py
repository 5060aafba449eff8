"""`oodml make-splits`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodml import arguments as arg
from oodml.errors import UsageError
from oodml.options import parse_names, parse_pairs

if TYPE_CHECKING:
    from oodml.make_splits import EmbedderOptions
    from oodml.records import Ladder

EXAMPLES = """Examples:

`oodml make-splits glyphs`

`oodml make-splits folder:photos.zip --embedder mobilenetv2_100 --weights FILE --image-size 96`

`oodml make-splits embeddings:features.npz --levels 5 --out splits/mine`"""


def make_splits(
    dataset: arg.DatasetName,
    out: arg.Out = None,
    levels: arg.Levels = 8,
    initial: arg.Initial = "auto",
    swaps_per_iteration: arg.Swaps = None,
    iterations: arg.Iterations = None,
    easier_iterations: arg.EasierIterations = None,
    removal_iterations: arg.RemovalIterations = None,
    removal_rule: arg.RemovalRule = "saturated",
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
    given = dict(locals())
    from oodml.console import bars
    from oodml.datasets import load_dataset
    from oodml.make_splits import ladder_from_dataset

    options = parse_pairs(dataset_args, "--dataset-args")
    data = load_dataset(dataset, options=options, superclasses=superclasses, root=root, download=download)
    with bars() as bar:
        ladder = ladder_from_dataset(
            data,
            dataset,
            name=out.name if out else None,
            dataset_options=options,
            embedder=_embedder(given),
            skip_bad_images=skip_bad_images,
            progress=bar,
            **_generator(given),
        )
    _save_and_show(ladder, out or Path("splits") / ladder.name, force)


def _embedder(given: dict[str, Any]) -> EmbedderOptions:
    from oodml.make_splits import EmbedderOptions
    from oodml.networks import NetworkConfig
    from oodml.sweep import pick_device

    network = None
    if given["embedder"]:
        network = NetworkConfig(
            name=given["embedder"],
            pretrained=given["pretrained"] is not False and given["weights"] is None,
            weights=given["weights"],
            args=arg.keywords(given["backbone_args"]),
            mean=arg.channels(given["mean"], "--mean"),
            std=arg.channels(given["std"], "--std"),
        )
    elif given["weights"] or given["backbone_args"] or given["pretrained"] is not None:
        raise UsageError("--weights, --backbone-args and --no-pretrained need --embedder to say which network")
    return EmbedderOptions(network, given["image_size"], pick_device(given["device"] or "auto"))


def _generator(given: dict[str, Any]) -> dict[str, Any]:
    names = ("levels", "removal_rule", "episodes", "null_draws", "seed", "swaps_per_iteration", "iterations")
    values = {name: given[name] for name in (*names, "easier_iterations")}
    if given["removal_iterations"] is not None:  # else the dataset decides
        values["removal_iterations"] = given["removal_iterations"]
    if given["initial"] not in ("auto", "sorted", "random"):
        raise UsageError(f"--initial {given['initial']!r} should be auto, sorted or random")
    if given["initial"] != "auto":
        values["initial"] = given["initial"]
    try:
        values["shots"] = tuple(int(part) for part in parse_names(given["shots"]))
    except ValueError as error:
        raise UsageError(f"--shots {given['shots']!r} should be numbers such as 2,5,10") from error
    return values


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
