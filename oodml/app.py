"""The `oodml` command: every subcommand is one function in `oodml.commands`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
import typer.core

from oodml.commands import (
    adapt,
    compact,
    compare_shift,
    evaluate,
    import_splits,
    inspect,
    leaderboard,
    make_splits,
    report,
    status,
    sweep,
)
from oodml.commands.listing import adapters, backbones, datasets, methods, metrics
from oodml.errors import OodmlError
from oodml.version import __version__

EXIT_USER_ERROR = 2


class _Commands(typer.core.TyperGroup):
    """Turns errors that a user can act on into a message and exit code 2."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except OodmlError as error:
            typer.secho(f"error: {error}", err=True, fg="red")
            raise typer.Exit(EXIT_USER_ERROR) from error


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"oodml {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """How learned visual similarity holds up when test classes drift away from training classes.

    Three commands, each of which continues from the files of the one before:

    `oodml make-splits glyphs`, `oodml sweep splits/glyphs`, `oodml report results/glyphs`
    """


app.command("make-splits", epilog=make_splits.EXAMPLES)(make_splits.make_splits)
app.command("sweep", epilog=sweep.EXAMPLES)(sweep.sweep)
app.command("status", epilog=status.EXAMPLES)(status.status)
app.command("adapt", epilog=adapt.EXAMPLES)(adapt.adapt)
app.command("report", epilog=report.EXAMPLES)(report.report)
boards = typer.Typer(
    no_args_is_help=True, rich_markup_mode="markdown", help="Show, check, join and export leaderboards."
)
boards.command("show", epilog=leaderboard.SHOW_EXAMPLES)(leaderboard.show)
boards.command("validate", epilog=leaderboard.VALIDATE_EXAMPLES)(leaderboard.validate)
boards.command("merge", epilog=leaderboard.MERGE_EXAMPLES)(leaderboard.merge)
boards.command("export", epilog=leaderboard.EXPORT_EXAMPLES)(leaderboard.export)
app.add_typer(boards, name="leaderboard")
app.command("compact", epilog=compact.EXAMPLES)(compact.compact)
app.command("evaluate", epilog=evaluate.EXAMPLES)(evaluate.evaluate)
app.command("inspect", epilog=inspect.EXAMPLES)(inspect.inspect)
app.command("compare-shift", epilog=compare_shift.EXAMPLES)(compare_shift.compare_shift)
app.command("import-splits", epilog=import_splits.IMPORT_EXAMPLES)(import_splits.import_splits)
app.command("export-splits", epilog=import_splits.EXPORT_EXAMPLES)(import_splits.export_splits)
app.command("datasets")(datasets)
app.command("backbones")(backbones)
app.command("methods")(methods)
app.command("adapters")(adapters)
app.command("metrics")(metrics)
