"""`oodml datasets`, `oodml backbones` and `oodml methods`: what the names can be."""

from __future__ import annotations

from typing import Annotated

import typer

from oodml import registry


def datasets() -> None:
    """List the datasets."""
    from rich.table import Table

    from oodml.console import out

    table = Table("name", "what it is", "options (--dataset-args)", title="datasets", title_justify="left")
    for name in registry.names("dataset"):
        info = registry.load("dataset", name)
        options = " ".join(f"{key}={value}" for key, value in info.options.items())
        table.add_row(f"{name}:{info.argument}" if info.argument else name, info.summary, options)
    out.print(table)


def backbones(
    pattern: Annotated[str, typer.Argument(metavar="FILTER", help="Part of a name, e.g. resnet50.")] = "",
) -> None:
    """List the backbones and embedders; FILTER is a part of a name."""
    from oodml.backbones import list_backbones
    from oodml.console import out, say

    found = list_backbones(pattern)
    for name, summary in found:
        out.print(f"[bold]{name}[/bold]  {summary}", soft_wrap=True, highlight=False)
    if not found:
        say(f"no backbone has {pattern!r} in its name")
        raise typer.Exit(1)


def methods() -> None:
    """List the methods with their options and defaults."""
    from rich.table import Table

    from oodml.console import out

    table = Table(
        "name", "family", "what it is", "options (--set NAME.OPTION=…)", title="methods", title_justify="left"
    )
    for name in registry.names("method"):
        info = registry.load("method", name)
        options = " ".join(f"{key}={value}" for key, value in info.options.items())
        table.add_row(name, info.family, f"{info.summary} [dim]{info.paper}[/dim]", options)
    out.print(table)
