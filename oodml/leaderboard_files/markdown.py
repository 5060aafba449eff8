"""Standings as Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence

from oodml.leaderboard_files.standing import Standing, Value, notes
from oodml.report import text
from oodml.report.markdown import escape

TIE = "†"
GAP = "–"


def markdown(shown: Sequence[Standing], *, intervals: bool = False) -> str:
    """One pipe table per standing under its title, best in bold and ties marked.

    Args:
        shown: The tables.
        intervals: Whether values have the half-width of their interval behind them.
    """
    return "\n".join(_table(standing, intervals) for standing in shown)


def _table(standing: Standing, intervals: bool) -> str:
    heads = [f"{head} (shift {shift})" if shift else head for head, shift in _heads(standing)]
    lines = [f"**{_escape(standing.title)}**", ""]
    lines.append("| " + " | ".join(["method", *map(_escape, heads)]) + " |")
    lines.append("|---|" + "---:|" * len(heads))
    for label, cells in standing.rows:
        values = [_value(cells.get(column), standing.ties_tell, intervals) for column in standing.columns]
        lines.append("| " + " | ".join([_escape(label), *values]) + " |")
    told = notes(standing, tie_mark=TIE, best="Bold", spreads=intervals)
    return "\n".join([*lines, "", " ".join(map(_escape, told)), ""])


def _heads(standing: Standing) -> Sequence[tuple[str, str]]:
    return list(zip(standing.heads, standing.shifts, strict=True))


def _value(value: Value | None, ties: bool, intervals: bool) -> str:
    if value is None or value.mean is None:
        return GAP
    number = text.number(value.mean)
    shown = f"**{number}**" if value.best else f"{number}{TIE}" if value.tied and ties else number
    if intervals and value.spread:
        shown += f" {_escape(value.spread)}"
    return f"{shown} ({value.row['n']}/{value.row['n_planned']})" if value.missing else shown


def _escape(raw: str) -> str:
    """As in reports, and no dollar sign or hash that some renderers take for a formula or a link to a ticket."""
    return escape(raw).replace("$", "\\$").replace("#", "\\#")
