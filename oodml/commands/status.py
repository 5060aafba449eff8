"""`oodml status`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from oodml import arguments as arg

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from oodml.sweep_status import Cell, SweepStatus

EXAMPLES = """Examples:

`oodml status results/glyphs`

`watch oodml status results/*`

`oodml status results/glyphs --json | jq '.[0].missing'`

Only looks: a running sweep is not disturbed."""
MOST_LISTED = 20


def status(sweeps: arg.SweepPaths, as_json: arg.Json = False) -> None:
    """Show how far sweeps are, from another terminal: done, running, failed, to do, and the scores so far."""
    from oodml import sweep_status

    found = [sweep_status.sweep_status(sweep) for sweep in sweeps]
    if as_json:
        import json

        typer.echo(json.dumps([sweep_status.as_json(one) for one in found], indent=2))
        return
    for number, one in enumerate(found):
        _show(one, apart=number > 0)


def _show(status: SweepStatus, apart: bool) -> None:
    from oodml.console import out, say, warn

    say(("\n" if apart else "") + f"{status.sweep}: {_state(status)}")
    if not status.planned:
        say("runs: none planned yet")
        return
    say(f"runs: {_counts(status)}")
    for name, age in status.begun[:MOST_LISTED]:
        say(f"{'running' if status.active else 'begun'}: {name}; last sign of it {_ago(age)}")
    out.print(_table(status.cells))
    say("level by level: mean recall@1 of the runs that are done; done/planned where some are not")
    for cell in status.adapted:
        failed = f", {cell.failed} failed" if cell.failed else ""
        say(f"adapted: {cell.adapter}, {cell.shots} shots: {cell.done} done{failed}{_mean(cell.recall_at_1)}")
    for name, kind, error in status.failures[:MOST_LISTED]:
        say(f"{kind}: {name}: {error}")
    if len(status.failures) > MOST_LISTED:
        say(f"and {len(status.failures) - MOST_LISTED} more that failed; --json lists all")
    for _, reason in status.unreadable:
        warn(f"{reason}; left out")


def _state(status: SweepStatus) -> str:
    words = {True: "a sweep is running", False: "no sweep is running", None: "its lock cannot be tried"}[status.active]
    return words if status.written_s is None else f"{words}; last file written {_ago(status.written_s)}"


def _counts(status: SweepStatus) -> str:
    from oodml.commands.plan_view import duration

    parts = [f"{status.done} of {status.planned} done", f"{status.failed} failed", f"{status.missing} to do"]
    text = ", ".join(parts)
    if not status.missing or status.remaining_s is None:
        return text
    left = "left" if status.active else "when it goes on"
    return f"{text}; about {duration(status.remaining_s)} {left}, from {status.timed_by} finished runs"


def _ago(seconds: float) -> str:
    from oodml.commands.plan_view import duration

    return f"{duration(seconds)} ago"


def _mean(value: float | None) -> str:
    return "" if value is None else f", mean recall@1 {value:.3f}"


def _table(cells: Sequence[Cell]) -> Table:
    from oodml.report.screen import new_table, plain

    levels = sorted({cell.level for cell in cells})
    shown = new_table("methods by level", padding=1 if len(levels) < 9 else 0)
    shown.add_column("method", overflow="fold")
    for level in levels:
        shown.add_column(str(level), justify="right", no_wrap=True)
    by_place = {(cell.method, cell.level): cell for cell in cells}
    for method in dict.fromkeys(cell.method for cell in cells):
        shown.add_row(plain(method), *(_cell(by_place.get((method, level))) for level in levels))
    return shown


def _cell(cell: Cell | None) -> Text:
    from rich.text import Text

    from oodml.report.screen import tight

    shown = Text()
    if cell is None:
        return shown
    lines = [] if cell.recall_at_1 is None else [(tight(f"{cell.recall_at_1:.3f}"), "")]
    if cell.done < cell.planned:
        lines.append((f"{cell.done}/{cell.planned}", "yellow"))
    if cell.failed:
        lines.append((f"{cell.failed} bad", "red"))
    for number, (words, style) in enumerate(lines):
        shown.append(("\n" if number else "") + words, style=style)
    return shown
