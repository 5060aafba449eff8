"""Arguments and options of the commands, declared once each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oodml.errors import UsageError
from oodml.executors.places import EXECUTORS
from oodml.options import parse_pairs
from oodml.records import Options, as_options
from oodml.trackers import TRACKERS

_DATA, _NET, _GEN, _TRAIN, _RUN = "Dataset", "Network", "Generator", "Training", "Execution"
_FEW = "Few-shot adaptation"
EXIT_FAILED = 1

DatasetName = Annotated[
    str,
    typer.Argument(metavar="DATASET", help="glyphs, folder:PATH, embeddings:FILE, cub200, … (`oodml datasets`)"),
]
LadderPath = Annotated[str, typer.Argument(metavar="LADDER", help="Ladder folder, or its name under splits/.")]
SplitsFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="Published splits: a pickle, or .json from export-splits.")
]
SweepPaths = Annotated[list[Path], typer.Argument(metavar="SWEEP...", help="One or several sweep folders.")]
SweepPath = Annotated[Path, typer.Argument(metavar="SWEEP", help="Folder of a sweep.")]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder to write to.")]
OutJson = Annotated[Path | None, typer.Option("--out", metavar="FILE.json", help="File to write.")]

DatasetOfSplits = Annotated[
    str, typer.Option("--dataset", metavar="DATASET", help="What they divide, e.g. cars196.", rich_help_panel=_DATA)
]
DatasetArgs = Annotated[
    list[str],
    typer.Option(metavar="NAME=VALUE", help="Dataset option, e.g. classes=400.", rich_help_panel=_DATA),
]
Superclasses = Annotated[
    Path | None, typer.Option(metavar="FILE.csv", help="Columns class, superclass.", rich_help_panel=_DATA)
]
Root = Annotated[Path, typer.Option(metavar="DIR", help="Where published sets lie.", rich_help_panel=_DATA)]
Download = Annotated[bool, typer.Option("--download", help="Fetch a missing set.", rich_help_panel=_DATA)]
SkipBad = Annotated[
    bool,
    typer.Option("--skip-bad-images", help="Leave unreadable images out, recorded.", rich_help_panel=_DATA),
]
DatasetOverride = Annotated[
    str | None, typer.Option(metavar="DATASET", help="Where the images are now.", rich_help_panel=_DATA)
]

Embedder = Annotated[
    str | None, typer.Option(help="pixels, or a timm model such as resnet50.tv_in1k.", rich_help_panel=_NET)
]
BackboneName = Annotated[
    str | None, typer.Option(help="A timm model such as resnet50.tv_in1k, or pixels.", rich_help_panel=_NET)
]
Weights = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Local safetensors or pth file.", rich_help_panel=_NET)
]
BackboneArgs = Annotated[
    list[str],
    typer.Option(metavar="NAME=VALUE", help="Constructor keyword, e.g. pad_type=same.", rich_help_panel=_NET),
]
Mean = Annotated[
    str | None,
    typer.Option(metavar="R,G,B", help="Normalisation, instead of the model's.", rich_help_panel=_NET),
]
Std = Annotated[
    str | None,
    typer.Option(metavar="R,G,B", help="Normalisation, instead of the model's.", rich_help_panel=_NET),
]
Pretrained = Annotated[
    bool | None,
    typer.Option("--pretrained/--no-pretrained", help="Start from published weights.", rich_help_panel=_NET),
]
ImageSize = Annotated[
    int | None,
    typer.Option(min=8, metavar="PIXELS", help="Side of the network's input.", rich_help_panel=_NET),
]

Generator = Annotated[
    str,
    typer.Option(help="swap, removal, search, matched, random or superclass.", rich_help_panel=_GEN),
]
Measure = Annotated[str, typer.Option(help="fid, kid, mmd or sliced_wasserstein.", rich_help_panel=_GEN)]
Statistics = Annotated[str, typer.Option(help="Measure class-means or all images.", rich_help_panel=_GEN)]
Targets = Annotated[
    str | None, typer.Option(metavar="S,S", help="Shifts to reach, instead of --levels.", rich_help_panel=_GEN)
]
SidesShare = Annotated[float, typer.Option(metavar="SHARE", help="Share of classes that train.", rich_help_panel=_GEN)]
MatchTolerance = Annotated[
    float, typer.Option(min=0, max=1, help="matched: how far recall@1 may move.", rich_help_panel=_GEN)
]
Levels = Annotated[int, typer.Option(min=2, help="Number of levels, evenly spaced.", rich_help_panel=_GEN)]
Swaps = Annotated[int | None, typer.Option(min=1, help="Class pairs swapped per iteration.", rich_help_panel=_GEN)]
Iterations = Annotated[int | None, typer.Option(min=0, help="Towards a larger shift.", rich_help_panel=_GEN)]
EasierIterations = Annotated[int | None, typer.Option(min=0, help="Towards a smaller shift.", rich_help_panel=_GEN)]
RemovalIterations = Annotated[
    int | None, typer.Option(min=0, help="Of class removal after the swaps.", rich_help_panel=_GEN)
]
RemovalRule = Annotated[str, typer.Option(help="saturated, or published.", rich_help_panel=_GEN)]
Initial = Annotated[
    str,
    typer.Option(
        metavar="HOW", help="Default division: sorted, random, FILE.json, FILE.csv, auto.", rich_help_panel=_GEN
    ),
]
Seed = Annotated[int, typer.Option(min=0, rich_help_panel=_GEN)]
Shots = Annotated[str, typer.Option(metavar="K,K", help="Labelled images per class.", rich_help_panel=_GEN)]
Episodes = Annotated[int, typer.Option(min=0, help="Few-shot draws per level.", rich_help_panel=_GEN)]
NullDraws = Annotated[
    int | None, typer.Option(min=2, help="Random relabellings for the null shift.", rich_help_panel=_GEN)
]

Methods = Annotated[
    str | None, typer.Option(metavar="A,B", help="Names, groups, own or all (`oodml methods`).", rich_help_panel=_TRAIN)
]
Seeds = Annotated[str | None, typer.Option(metavar="N|A,B", help="A count, or a list.", rich_help_panel=_TRAIN)]
SweepLevels = Annotated[
    str | None, typer.Option(metavar="A,B", help="Indices or names, e.g. 0,default.", rich_help_panel=_TRAIN)
]
Preset = Annotated[str | None, typer.Option(help="quick (default) or paper.", rich_help_panel=_TRAIN)]
EmbeddingDim = Annotated[int | None, typer.Option(min=1, rich_help_panel=_TRAIN)]
Steps = Annotated[int | None, typer.Option(min=1, help="Optimiser steps per run.", rich_help_panel=_TRAIN)]
Selection = Annotated[str | None, typer.Option(help="Weights to score: last, val or oracle.", rich_help_panel=_TRAIN)]
RunMetrics = Annotated[
    str | None,
    typer.Option("--metrics", metavar="A,B", help="default, all, or names such as nmi.", rich_help_panel=_TRAIN),
]
Set = Annotated[
    list[str],
    typer.Option("--set", metavar="NAME.OPTION=VALUE", help="E.g. margin.beta=0.6.", rich_help_panel=_TRAIN),
]
Config = Annotated[Path | None, typer.Option(metavar="FILE.toml", help="Options as a file.", rich_help_panel=_TRAIN)]

FewShots = Annotated[
    str | None,
    typer.Option("--shots", metavar="K,K", help="Labelled images per test class, e.g. 2,5.", rich_help_panel=_FEW),
]
Adapters = Annotated[
    str | None,
    typer.Option(metavar="A,B", help="Names with options, e.g. linear,ridge (`oodml adapters`).", rich_help_panel=_FEW),
]
Views = Annotated[
    str | None,
    typer.Option(
        metavar="N|online", help="Augmented views per labelled image (16), or new ones each step.", rich_help_panel=_FEW
    ),
]
SmallClasses = Annotated[
    str | None,
    typer.Option(
        metavar="drop|error", help="What to do with classes that have no image left to ask for.", rich_help_panel=_FEW
    ),
]

FewShotMetrics = Annotated[
    str | None,
    typer.Option("--metrics", metavar="A,B", help="Retrieval metrics by default.", rich_help_panel=_FEW),
]
AdaptedMethods = Annotated[
    str | None,
    typer.Option("--methods", metavar="A,B", help="Only these methods or groups.", rich_help_panel=_TRAIN),
]

Device = Annotated[str | None, typer.Option(help="auto, cpu or cuda.", rich_help_panel=_RUN)]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Processes; default one per core, or one per GPU.", rich_help_panel=_RUN),
]
Share = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Keep the results folder the same at a directory, s3://… or gs://…, and begin with what is there.",
        rich_help_panel=_RUN,
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(min=0.1, metavar="SECONDS", help="A run that takes longer is given up.", rich_help_panel=_RUN),
]
Executor = Annotated[
    str | None,
    typer.Option(
        metavar="local|ray",
        help="Processes of this machine (local), or a Ray cluster.",
        autocompletion=lambda: list(EXECUTORS),
        rich_help_panel=_RUN,
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        metavar="auto|HOST:PORT|ray://HOST:PORT",
        help="The cluster; without it one is started here.",
        rich_help_panel=_RUN,
    ),
]
GpusPerRun = Annotated[
    float | None,
    typer.Option(min=0, metavar="SHARE", help="Of a GPU, on a cluster (1); 0.5 puts two on one.", rich_help_panel=_RUN),
]
MemoryPerRun = Annotated[
    str | None,
    typer.Option(metavar="SIZE", help="Reserved on a cluster, e.g. 8GiB.", rich_help_panel=_RUN),
]
Trackers = Annotated[
    list[str],
    typer.Option(
        "--tracker",
        metavar="NAME",
        help="Send scores to tensorboard, wandb or mlflow too; repeat it, or A,B.",
        autocompletion=lambda: list(TRACKERS),
        rich_help_panel=_RUN,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="As JSON, for scripts.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads per process (1).", rich_help_panel=_RUN)]
CheckpointEvery = Annotated[
    float | None,
    typer.Option(
        "--checkpoint-every",
        min=0,
        metavar="SECONDS",
        help="Put unfinished runs away this often (60); 0 never.",
        rich_help_panel=_RUN,
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show the plan and its time, run nothing.", rich_help_panel=_RUN)
]
KeepModels = Annotated[
    bool, typer.Option("--keep-models", help="Keep every trained network, for `oodml adapt`.", rich_help_panel=_RUN)
]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Run failed runs again.", rich_help_panel=_RUN)]
Force = Annotated[bool, typer.Option("--force", help="Replace a different ladder in the folder.")]
ForceFile = Annotated[bool, typer.Option("--force", help="Replace a different file.")]
Metrics = Annotated[str, typer.Option("--metrics", "--metric", metavar="A,B", help="Metrics to show.")]
Figures = Annotated[
    str | None,
    typer.Option(
        metavar="A,B",
        help="Figures to draw: curves, ags, mean, reference, critical, heat, pareto, ladder (all).",
        autocompletion=lambda: _figures(),
    ),
]
Controls = Annotated[
    list[Path],
    typer.Option("--control", metavar="SWEEP", help="A sweep over random divisions, for the band of chance."),
]
ComparePublished = Annotated[
    bool, typer.Option("--compare-published", help="Show the published study beside sweeps on its ladders.")
]
ShownMethods = Annotated[str | None, typer.Option(metavar="A,B", help="Methods to show: names, groups.")]


def _figures() -> list[str]:
    from oodml.report.figure_names import FIGURES

    return list(FIGURES)


def channels(text: str | None, flag: str) -> tuple[float, ...] | None:
    """`"0.5"` or `"0.485,0.456,0.406"` as three numbers.

    Raises:
        UsageError: If it is neither; the flag is named.
    """
    if text is None:
        return None
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 3):
        raise UsageError(f"{flag} {text!r} should be one number or three, such as 0.485,0.456,0.406")
    return numbers if len(numbers) == 3 else numbers * 3


def keywords(pairs: list[str]) -> Options:
    """`--backbone-args` as options."""
    return as_options(parse_pairs(pairs, "--backbone-args"))
