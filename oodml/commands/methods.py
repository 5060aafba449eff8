"""`oodml methods`: the list of all methods, and the card of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodml import registry
from oodml.errors import UnknownNameError, UsageError
from oodml.options import scalar_text
from oodml.records import Scalar

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from oodml.methods.cards import MethodInfo

HEADINGS = {
    "study": "the eight methods of ooDML",
    "related": "work of the same line",
    "systems": "further systems, and the controls that any of them has to beat",
    "catalog": "losses of pytorch-metric-learning",
}
"""What the groups are; a third party may add its own."""

Name = Annotated[str | None, typer.Argument(metavar="NAME", help="Show the card of this method.")]
Group = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Only study, related, systems, catalog, or own (all but the catalog)."),
]
Family = Annotated[str | None, typer.Option(metavar="NAME", help="Only one family, e.g. proxies.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON list of records.")]


def methods(name: Name = None, group: Group = None, family: Family = None, json: AsJson = False) -> None:
    """List the methods, or show the card of one.

    The list has family, source, needs and default options of every method, by group. The card adds the loss in
    words, the study's options per dataset, what a training step costs, and notes.

    For example:

    `oodml methods`

    `oodml methods margin`

    `oodml methods --group study`

    `oodml methods --family proxies --json`
    """
    chosen = _chosen(name, group, family)
    if json:
        from json import dumps

        from oodml.console import say

        say(dumps([record(info) for info in chosen], indent=2, ensure_ascii=False))
    elif name is not None:
        _show_card(chosen[0])
    else:
        _show_list(chosen)


def _chosen(name: str | None, group: str | None, family: str | None) -> list[MethodInfo]:
    """The records asked for, in the order of the groups and within a group as they are registered."""
    if name is not None:
        if group is not None or family is not None:
            raise UsageError("a method's NAME goes without --group and --family, which shorten the list")
        return [registry.load("method", name)]
    from oodml.method_groups import expand_groups
    from oodml.methods.cards import GROUPS

    cards: list[MethodInfo] = [registry.load("method", known) for known in registry.targets("method")]
    for kind, asked, known in (
        ("group", group, {*GROUPS, "own", "all", *(card.group for card in cards)}),
        ("family", family, {card.family for card in cards}),
    ):
        if asked is not None and asked not in known:
            raise UnknownNameError(kind, asked, known)
    rank = {known: position for position, known in enumerate(GROUPS)}
    cards.sort(key=lambda card: (rank.get(card.group, len(rank)), card.group))
    members = expand_groups([group or "all"])
    found = [card for card in cards if card.name in members and family in (None, card.family)]
    if not found:
        raise UsageError(f"no method of the group {group!r} is in the family {family!r}; `oodml methods` lists them")
    return found


def record(info: MethodInfo) -> dict[str, Any]:
    """A method's record as JSON can hold it; `cost` is the time of a step over that of margin, or null."""
    from oodml.methods.cards.costs import cost_ratio

    return {
        "name": info.name,
        "group": info.group,
        "family": info.family,
        "summary": info.summary,
        "paper": info.paper,
        "equation": info.equation,
        "needs": list(info.needs),
        "options": dict(info.options),
        "dataset_options": {dataset: dict(values) for dataset, values in info.dataset_options.items()},
        "training": {dataset: dict(values) for dataset, values in info.training.items()},
        "notes": info.notes,
        "trains": info.trains,
        "trains_backbone": info.trains_backbone,
        "cost": cost_ratio(info.name),
        "target": info.target,
    }


def options_text(options: Mapping[str, Scalar]) -> str:
    """Options as "name=value name=value"."""
    return " ".join(f"{name}={scalar_text(value)}" for name, value in options.items())


def training_text(info: MethodInfo) -> str:
    """Where the paper preset treats a method differently from the others; "" if nowhere."""
    from oodml.methods.cards.record import EVERYWHERE

    parts = (
        f"{'everywhere' if dataset == EVERYWHERE else dataset}: {options_text(values)}"
        for dataset, values in info.training.items()
    )
    return "; ".join(parts)


def needs_text(info: MethodInfo) -> str:
    """What a method needs, in one line."""
    if not info.trains:
        return "no training"
    parts = [*info.needs, *(() if info.trains_backbone else ("a backbone that stays as it is",))]
    return ", ".join(parts) or "labelled batches"


def group_title(group: str, count: int) -> str:
    """Heading of a group with the number of its methods."""
    return f"{group}: {HEADINGS.get(group, 'of an installed package')} ({count})"


def _show_list(cards: list[MethodInfo]) -> None:
    """A bold name with its family, and below it, indented so that lines stay long, what it is."""
    from rich.padding import Padding
    from rich.text import Text

    from oodml.console import out, say

    for group in dict.fromkeys(card.group for card in cards):
        own = [card for card in cards if card.group == group]
        out.rule(Text(group_title(group, len(own)), "bold"), align="left", style="dim")
        for card in own:
            out.print(Text.assemble((card.name, "bold"), f"  {card.family}"))
            out.print(*(Padding(line, (0, 0, 0, 4)) for line in _details(card)), sep="\n")
        say("")
    say("`oodml methods NAME` shows the loss, the options and what a step costs.")
    say("A sweep takes names and groups with --methods, options with --set NAME.OPTION=VALUE.")


def _details(card: MethodInfo) -> Iterator[Text]:
    from rich.text import Text

    yield Text(card.summary)
    if card.paper != "-":
        yield Text(card.paper, style="dim")
    if card.needs:
        yield Text(f"needs {', '.join(card.needs)}", style="yellow")
    if card.options:
        yield Text(options_text(card.options), style="dim")


def _show_card(info: MethodInfo) -> None:
    """Facts beside their labels, then the options in a table of their own, which needs the width."""
    from rich.table import Table
    from rich.text import Text

    from oodml.console import out
    from oodml.methods.cards.costs import cost_conditions, cost_ratio, cost_text

    out.print(Text.assemble((info.name, "bold"), f"  {info.group}, {info.family}"))
    out.print(Text(f"{info.summary}\n"))
    conditions = "" if cost_ratio(info.name) is None else f" ({cost_conditions()})"
    facts = {
        "loss": info.equation,
        "source": info.paper if info.paper != "-" else "none: a control",
        "needs": needs_text(info),
        "cost": cost_text(info.name) + conditions if info.trains else "",
        "paper preset": training_text(info),
        "notes": info.notes,
    }
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column()
    for label, value in facts.items():
        if value:
            grid.add_row(label, Text(value))
    out.print(grid)
    if info.options:
        out.print(Text(f"\noptions: --set {info.name}.NAME=VALUE", "dim"), _options_table(info), sep="\n")


def _options_table(info: MethodInfo) -> Table:
    """Options with their defaults, and the values that they have on a dataset unless they are set."""
    from rich.table import Table

    datasets = list(info.dataset_options)
    table = Table(box=None, padding=(0, 2, 0, 2), collapse_padding=True, header_style="dim")
    table.add_column("name", no_wrap=True)
    for column in ("default", *datasets):
        table.add_column(column, overflow="fold")
    for row in option_rows(info):
        table.add_row(*row)
    return table


def option_rows(info: MethodInfo) -> Iterator[list[str]]:
    """Every option with its default and what it is on each dataset of the record, "" where that is the default."""
    for option, default in info.options.items():
        own = (values.get(option) for values in info.dataset_options.values())
        yield [option, scalar_text(default), *("" if value is None else scalar_text(value) for value in own)]
