"""`oodml leaderboard show`, `merge`, `validate` and `export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodml import arguments as arg
from oodml.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from oodml.leaderboard_files.selecting import Filters

SHOW_EXAMPLES = """Examples:

`oodml leaderboard show results/glyphs`

`oodml leaderboard show results/glyphs --metric map_at_r --methods study --sort 7 --top 10`

`oodml leaderboard show results/glyphs --level ags`

`oodml leaderboard show results/glyphs --metric nmi --json | jq '.[0].mean'`

--level with one level shows it in detail."""
VALIDATE_EXAMPLES = """Examples:

`oodml leaderboard validate results/glyphs results/omniglot`

`oodml leaderboard validate board.parquet --ladder splits/glyphs`

Rows are counted from 0. Exit code 2: a file has problems."""
MERGE_EXAMPLES = """Examples:

`oodml leaderboard merge results/mine alice=from-alice/leaderboard.parquet bob=bob.parquet --out all.parquet`

`oodml leaderboard merge board.parquet --out board.parquet` sorts, ranks and writes it in the current version.

A name before = says whose rows they are; without one it is that of the folder or file. Runs of one cell are not
joined: `oodml report SWEEP SWEEP` does that from sweep folders."""
EXPORT_EXAMPLES = """Examples:

`oodml leaderboard export results/glyphs --out glyphs.csv`

`oodml leaderboard export results/glyphs --to markdown --metric map_at_r --methods study`

`oodml leaderboard export results/omniglot --out table.tex --intervals --top 10`

CSV has all rows; Markdown and LaTeX (booktabs) have methods by level for one metric, best in bold, ties marked."""
MOST_PROBLEMS = 50
MOST_COLUMNS = 9  # of levels side by side in 80 columns of text

_ROWS, _TABLE = "Rows", "Table"
BoardPath = Annotated[Path, typer.Argument(metavar="PATH", help="A leaderboard, or a folder with leaderboard.parquet.")]
Benchmark = Annotated[str | None, typer.Option(metavar="A,B", help="Where a file has several.", rich_help_panel=_ROWS)]
Metric = Annotated[str | None, typer.Option(metavar="NAME", help="Default recall_at_1.", rich_help_panel=_ROWS)]
Level = Annotated[
    str | None, typer.Option(metavar="A,B", help="Indices, names such as default, ags.", rich_help_panel=_ROWS)
]
Setting = Annotated[str | None, typer.Option(metavar="A,B", help="zero_shot, few_shot.", rich_help_panel=_ROWS)]
Shots = Annotated[int | None, typer.Option(min=1, help="Labelled images per class.", rich_help_panel=_ROWS)]
Adapter = Annotated[str | None, typer.Option(metavar="A,B", help="Names of adapters.", rich_help_panel=_ROWS)]
Methods = Annotated[str | None, typer.Option(metavar="A,B", help="Names, groups.", rich_help_panel=_ROWS)]
Selection = Annotated[str | None, typer.Option(metavar="A,B", help="last, val, oracle.", rich_help_panel=_ROWS)]
Sort = Annotated[
    str | None, typer.Option(metavar="ags|LEVEL|method", help="Best first by this column.", rich_help_panel=_TABLE)
]
Top = Annotated[int | None, typer.Option(min=1, help="Only so many methods.", rich_help_panel=_TABLE)]
Intervals = Annotated[bool, typer.Option("--intervals", help="With the intervals.", rich_help_panel=_TABLE)]
OutFile = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write there instead of printing.")]


def show(
    path: BoardPath,
    metric: Metric = None,
    level: Level = None,
    benchmark: Benchmark = None,
    setting: Setting = None,
    shots: Shots = None,
    adapter: Adapter = None,
    methods: Methods = None,
    selection: Selection = None,
    sort: Sort = None,
    top: Top = None,
    as_json: arg.Json = False,
) -> None:
    """Show a leaderboard: methods by level with ties, or one level in detail."""
    filters = _filters(locals())
    from oodml.leaderboard_files.selecting import select_rows
    from oodml.results import read_leaderboard

    frame = read_leaderboard(path)
    rows = select_rows(frame, filters)
    if as_json:
        typer.echo(rows.to_json(orient="records", indent=2, double_precision=15))
        return
    _show_tables(rows, metric, sort, top, detailed=len(filters.levels) == 1)
    from oodml.console import say
    from oodml.leaderboard_files.validation import describe_leaderboard

    say(describe_leaderboard(frame))


def _show_tables(rows: pd.DataFrame, metric: str | None, sort: str | None, top: int | None, *, detailed: bool) -> None:
    from oodml.commands.leaderboard_tables import level_table, wide_table
    from oodml.console import out, say
    from oodml.leaderboard_files.standing import standings

    found, hidden = standings(rows, metric)
    if not found:
        say("the leaderboard is empty")
    for standing in found:
        ordered = standing.sorted_by(sort).top(top)
        for part in ordered.parts(MOST_COLUMNS):
            out.print(level_table(part) if detailed and len(standing.columns) == 1 else wide_table(part))
            say("")
    for words in hidden:
        say(f"not shown: {words}; ask with --setting, --shots, --adapter or --selection")


def validate(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Leaderboards, or folders that hold one.")],
    ladder: Annotated[
        str | None, typer.Option(metavar="LADDER", help="Also check against this ladder (folder or name).")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="List all problems, not 50 per file.")] = False,
) -> None:
    """Check leaderboard files: schema, keys, types, ranges, ranks, ladder, protocol."""
    from oodml.console import say
    from oodml.leaderboard_files.validation import describe_leaderboard, validate_leaderboard
    from oodml.results import read_leaderboard
    from oodml.splits import load_ladder

    opened = load_ladder(ladder) if ladder else None
    bad = 0
    for path in paths:
        problems = validate_leaderboard(path, opened)
        if not problems:
            say(f"ok   {path}: {describe_leaderboard(read_leaderboard(path))}")
            continue
        bad += 1
        say(f"bad  {path}: {len(problems)} problem{'s' if len(problems) > 1 else ''}")
        for problem in problems if everything else problems[:MOST_PROBLEMS]:
            say(f"     {problem}")
        if len(problems) > MOST_PROBLEMS and not everything:
            say(f"     and {len(problems) - MOST_PROBLEMS} more; --all lists them")
    if bad:
        raise typer.Exit(2)


def merge(
    sources: Annotated[
        list[str], typer.Argument(metavar="[NAME=]PATH...", help="Leaderboards with the name of who made them.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE.parquet", help="Leaderboard to write.")],
) -> None:
    """Join leaderboards of several people for the same ladder; ranks are computed anew."""
    import warnings

    from oodml.console import say, warn
    from oodml.leaderboard_files.compatibility import MergeWarning
    from oodml.leaderboard_files.merging import merge_leaderboards
    from oodml.leaderboard_files.validation import describe_leaderboard
    from oodml.results import write_leaderboard

    _check_target(out)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MergeWarning)
        merged = merge_leaderboards(_sources(sources))
    for warning in caught:
        warn(str(warning.message))
    write_leaderboard(out, merged)
    say(f"leaderboard: {out}")
    say(describe_leaderboard(merged))


def export(
    path: BoardPath,
    to: Annotated[str | None, typer.Option(metavar="csv|markdown|latex", help="Default by the end of --out.")] = None,
    out: OutFile = None,
    metric: Metric = None,
    level: Level = None,
    benchmark: Benchmark = None,
    setting: Setting = None,
    shots: Shots = None,
    adapter: Adapter = None,
    methods: Methods = None,
    selection: Selection = None,
    sort: Sort = None,
    top: Top = None,
    intervals: Intervals = False,
) -> None:
    """Write a leaderboard as CSV, Markdown or LaTeX."""
    filters = _filters(locals())
    from oodml import store
    from oodml.console import say, warn
    from oodml.leaderboard_files import exporting
    from oodml.leaderboard_files.selecting import select_rows
    from oodml.results import read_leaderboard

    kind = exporting.choose_format(to, out)
    rows = select_rows(read_leaderboard(path), filters)
    text, hidden = exporting.export(rows, kind, metric=metric, sort=sort, top=top, intervals=intervals)
    for words in hidden:
        warn(f"left out: {words}; ask with --setting, --shots, --adapter or --selection")
    if out is None:
        typer.echo(text, nl=False)
    else:
        store.write_text(out, text)
        say(f"{kind}: {out}")


def _filters(given: dict[str, Any]) -> Filters:
    """The filters of a command from its arguments."""
    from oodml.leaderboard_files.selecting import Filters
    from oodml.options import parse_names

    def several(name: str) -> list[str]:
        return parse_names(given[name]) if given[name] else []

    return Filters(
        benchmarks=several("benchmark"),
        metrics=[given["metric"]] if given["metric"] else [],
        levels=several("level"),
        settings=several("setting"),
        shots=given["shots"],
        adapters=several("adapter"),
        methods=several("methods"),
        selections=several("selection"),
    )


def _sources(texts: list[str]) -> dict[Path, str | None]:
    """Files with the names before them; what exists as it is written has none, whatever its name."""
    found: dict[Path, str | None] = {}
    for text in texts:
        name, equals, rest = text.partition("=")
        named = bool(equals) and not Path(text).exists()
        found[Path(rest if named else text)] = name if named else None
    return found


def _check_target(out: Path) -> None:
    """Refuses to replace anything but a leaderboard, and names that readers would not take for Parquet."""
    from oodml.results import read_leaderboard

    if not out.is_dir() and out.suffix != ".parquet":
        raise UsageError(f"--out {out} should be a folder that exists, or a file that ends in .parquet")
    if out.is_file():
        read_leaderboard(out)
