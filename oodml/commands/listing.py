"""`oodml datasets`, `backbones`, `methods`, `adapters` and `metrics`: what the names can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from oodml import registry
from oodml.commands.methods import methods, options_text
from oodml.records import Scalar

__all__ = ["adapters", "backbones", "datasets", "methods", "metrics"]


def datasets() -> None:
    """List the datasets."""
    rows = []
    for name in registry.names("dataset"):
        info = registry.load("dataset", name)
        given = f"{name}:{info.argument}" if info.argument else name
        rows.append((given, info.summary, _options("--dataset-args", info.options)))
    _show(rows)


def backbones(
    pattern: Annotated[str, typer.Argument(metavar="FILTER", help="Part of a name, e.g. resnet50.")] = "",
) -> None:
    """List the backbones and embedders; FILTER is a part of a name."""
    from oodml.backbones import list_backbones
    from oodml.errors import UnknownNameError

    found = list_backbones(pattern)
    if not found:
        known = (name for name, _ in list_backbones())
        raise UnknownNameError("backbone", pattern, known, "(without FILTER all are listed)")
    _show([(name, summary, "") for name, summary in found])


def adapters(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Show the card of this adapter.")] = None,
) -> None:
    """List the adapters of `--shots`, or show the card of one."""
    from oodml.console import out, say

    if name is None:
        found = [registry.load("adapter", known) for known in registry.targets("adapter")]
        _show([(info.name, f"{info.summary}", _options("options:", info.options)) for info in found])
        say("\n`--adapters NAME:OPTION=VALUE` sets options; `oodml adapters NAME` shows what it computes.")
        return
    info = registry.load("adapter", name)
    out.print(f"[bold]{info.name}[/bold]  works on {info.works_on}")
    facts = {
        "what": info.summary,
        "computes": info.equation,
        "source": info.paper if info.paper != "-" else "none",
        "options": options_text(info.options),
        "notes": info.notes,
    }
    _show([(label, text, "") for label, text in facts.items() if text])


def metrics() -> None:
    """List the metrics with their direction and bounds."""
    from oodml.console import say
    from oodml.metrics import METRICS

    rows = []
    for metric in METRICS.values():
        better = "higher is better" if metric.higher_is_better else "lower is better"
        asked = "" if metric.by_default else "; on request"
        low, high = (f"{bound:g}" for bound in metric.bounds)
        rows.append((metric.name, metric.summary, f"{metric.family}; {better}, {low} to {high}{asked}"))
    _show(rows)
    say("\nrecall_at_<k>, map_at_<k>, rho_<m> and fnmr_at_fmr_1e-<p> exist for every number. Every retrieval")
    say("metric has a variant <name>_macro: the mean over classes of the mean of their queries.")


def _options(flag: str, options: Mapping[str, Scalar]) -> str:
    """Options with their defaults as they are written on the command line; "" if there are none."""
    return f"{flag} {options_text(options)}" if options else ""


def _show(rows: Sequence[tuple[str, str, str]]) -> None:
    """Names in bold, a line about each, details dimmed below it."""
    from rich.table import Table
    from rich.text import Text

    from oodml.console import out

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    for name, summary, details in rows:
        table.add_row(Text(name, style="bold"), summary)
        if details:
            table.add_row("", Text(details, style="dim"))
    out.print(table)
