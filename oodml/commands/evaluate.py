"""`oodml evaluate`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodml import arguments as arg
from oodml.errors import UsageError

if TYPE_CHECKING:
    from oodml.commands.evaluation_files import Result
    from oodml.datasets import Dataset
    from oodml.evaluation import Evaluation

EXAMPLES = """Examples:

`oodml evaluate embeddings.npz`

`oodml evaluate embeddings:test.parquet --metrics all --distance euclidean --json scores.json`

`oodml evaluate new.npz --against old.npz --per-query queries.parquet`

`oodml evaluate queries.npz --gallery gallery.npz --json - | jq .scores.map_at_r`

A file holds `embeddings` and `labels`, optionally `class_names` and `ids`. Classes of a gallery are matched by name; a
row that is in both files is not recognised and finds itself. Rows of `--against` are matched by `ids` where both files
have the same, else by their order. Intervals and p-values resample classes with replacement."""

_RUN, _OUT = "Execution", "Files to write"

Vectors = Annotated[
    str, typer.Argument(metavar="DATASET", help="embeddings:FILE, or a path that ends in .npz or .parquet.")
]
Gallery = Annotated[str | None, typer.Option(metavar="DATASET", help="Search there, not among the other rows.")]
Against = Annotated[str | None, typer.Option(metavar="DATASET", help="A second embedding of the same images.")]
Metrics = Annotated[str, typer.Option(metavar="A,B", help="default, all, or names such as map_at_r.")]
DistanceName = Annotated[str, typer.Option("--distance", metavar="NAME", help="cosine or euclidean.")]
TrainClasses = Annotated[int | None, typer.Option(min=1, help="Clusters of nmi_paper and f1_paper.")]
Memory = Annotated[
    float, typer.Option(metavar="GIB", help="Memory to work in, above that of the vectors.", rich_help_panel=_RUN)
]
Approximate = Annotated[
    bool,
    typer.Option(
        "--approximate", help="Search a part of the gallery; says how wrong it was on a sample.", rich_help_panel=_RUN
    ),
]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; default one per core.", rich_help_panel=_RUN)]
Intervals = Annotated[bool, typer.Option("--intervals/--no-intervals", help="95 % intervals over classes.")]
Json = Annotated[
    str | None, typer.Option("--json", metavar="FILE", help="Scores; - prints nothing else.", rich_help_panel=_OUT)
]
Parquet = Annotated[Path | None, typer.Option(metavar="FILE", help="One row per metric.", rich_help_panel=_OUT)]
PerQuery = Annotated[
    Path | None, typer.Option(metavar="FILE", help="One row per query: .parquet.", rich_help_panel=_OUT)
]


@dataclass(frozen=True)
class _Request:
    """The options that say what is computed, checked."""

    names: list[str]
    distance: str
    train_classes: int | None
    memory: float
    device: str
    threads: int | None
    approximate: bool


def evaluate(
    dataset: Vectors,
    gallery: Gallery = None,
    against: Against = None,
    metrics: Metrics = "default",
    distance: DistanceName = "cosine",
    train_classes: TrainClasses = None,
    memory: Memory = 1.0,
    device: arg.Device = None,
    threads: Threads = None,
    approximate: Approximate = False,
    intervals: Intervals = True,
    json: Json = None,
    parquet: Parquet = None,
    per_query: PerQuery = None,
) -> None:
    """Score embeddings: retrieval, clustering and more, exact, with intervals over classes."""
    from oodml.commands.evaluation_data import full_spec
    from oodml.commands.evaluation_files import check_outputs, json_text, write_results
    from oodml.console import say, warn

    specs = [None if spec is None else full_spec(spec) for spec in (dataset, gallery, against)]
    written = None if json in (None, "-") else Path(str(json))
    inputs = [Path(spec.partition(":")[2]).expanduser() for spec in specs if spec and ":" in spec]
    check_outputs({"--json": written, "--parquet": parquet, "--per-query": per_query}, inputs)
    names = _names(metrics, train_classes, approximate, {"--against": against, "--per-query": per_query})
    if gallery is not None and against is not None:
        raise UsageError("--against compares embeddings that are searched in themselves: leave --gallery out")
    request = _Request(names, distance, train_classes, memory, device or "auto", threads, approximate)
    data, result = _compute(request, *specs, intervals=intervals)
    note = warn if json == "-" else say
    if json == "-":
        typer.echo(json_text(result))
    else:
        _show(result)
    for line in write_results(result, data.image_ids, written, parquet, per_query):
        note(line)


def _names(metrics: str, train_classes: int | None, approximate: bool, needing: dict[str, Any]) -> list[str]:
    """The metrics as asked for; what the engine would refuse after the search is refused here."""
    from oodml.metrics import metric_info, metric_names
    from oodml.options import parse_names

    names = parse_names(metrics)
    infos = [metric_info(name) for name in metric_names(names, 1, neighbours_only=approximate)]
    if not infos:
        raise UsageError("--metrics names none; give default, all or names such as map_at_r,nmi")
    for metric in infos:
        if metric.family == "clustering" and metric.name.endswith("_paper") and train_classes is None:
            raise UsageError(f"{metric.name} needs the number of training classes: give --train-classes")
    for flag, value in needing.items():
        if value is not None and not any(metric.family == "retrieval" for metric in infos):
            raise UsageError(f"{flag} is about queries: name a retrieval metric in --metrics, such as map_at_r")
    return names


def _compute(
    request: _Request, dataset: str | None, gallery: str | None, against: str | None, *, intervals: bool
) -> tuple[Dataset, Result]:
    """Opens everything before the first search, so that a mistake costs no time."""
    from oodml.commands.evaluation_data import open_vectors, paired, same_ids, vectors_of
    from oodml.commands.evaluation_files import Facts, Result
    from oodml.console import bars, warn
    from oodml.query_table import compare_evaluations, score_intervals

    data = open_vectors(str(dataset))
    stored = open_vectors(gallery) if gallery is not None else None
    other = paired(data, open_vectors(against)) if against is not None else None
    if other is not None and not same_ids(data, other):
        warn(f"the ids of {against} are others: its rows are compared with those of {dataset} by their order")
    _use_threads(request.threads)
    with bars() as bar:
        found = _evaluate(request, data, stored, request.names, bar("searching"))
        retrieval = [metric.name for metric in found.retrieval]
        second = _evaluate(request, other, None, retrieval, bar("searching --against")) if other is not None else None
    facts = Facts(
        str(dataset),
        request.distance,
        vectors_of(data).shape[1],
        gallery,
        0 if stored is None else len(stored),
        request.approximate,
    )
    bounds = score_intervals(found) if intervals else {}
    comparison = compare_evaluations(found, second) if second is not None else None
    return data, Result(facts, found, bounds, against, comparison)


def _evaluate(
    request: _Request, data: Dataset, stored: Dataset | None, names: list[str], progress: Callable[[int, int], None]
) -> Evaluation:
    from oodml.commands.evaluation_data import labels_of, vectors_of
    from oodml.devices import pick_device
    from oodml.evaluation import evaluate

    return evaluate(
        vectors_of(data),
        labels_of(data),
        gallery=None if stored is None else vectors_of(stored),
        gallery_labels=None if stored is None else labels_of(stored),
        metrics=names,
        distance=request.distance,
        num_train_classes=request.train_classes,
        memory_gib=request.memory,
        device=pick_device(request.device),
        approximate=request.approximate,
        progress=progress,
    )


def _show(result: Result) -> None:
    from oodml.commands import evaluation_tables as tables
    from oodml.console import out, say

    # Headings are lines of their own: a table would wrap a path to its width.
    say(result.facts.dataset)
    out.print(tables.score_screen(result))
    for line in [tables.legend(result), "", *tables.fact_lines(result), *tables.clustering_note(result)]:
        say(line)
    if result.comparison is not None:
        say(f"\nfirst:  {result.facts.dataset}\nsecond: {result.against}")
        out.print(tables.comparison_screen(result.comparison))
        say("difference: second − first; interval and p: classes resampled")


def _use_threads(threads: int | None) -> None:
    import os

    import torch

    torch.set_num_threads(threads or os.cpu_count() or 1)
