"""What `oodml leaderboard show` prints: methods by level, or one level in detail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodml.leaderboard_files.standing import TEST, Standing, Value, notes
from oodml.report import text
from oodml.report.screen import new_table, plain, tight

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

BEST, TIE = "•", "="


def wide_table(standing: Standing) -> Table:
    """Methods x levels; the best in bold with a star, so that it shows without colours, and ties marked."""
    told = ["Below each level its shift.", *notes(standing, tie_mark=TIE, best=f"{BEST} and bold", spreads=False)]
    shown = new_table(standing.title, " ".join(told), padding=1 if len(standing.columns) < 8 else 0)
    shown.add_column("method", overflow="fold")
    for head, shift in zip(standing.heads, standing.shifts, strict=True):
        shown.add_column(f"{head} \n{shift} " if shift else f"{head} ", justify="right", no_wrap=True)
    for label, cells in standing.rows:
        shown.add_row(plain(label), *(_value(cells.get(key), standing.ties_tell) for key in standing.columns))
    return shown


def level_table(standing: Standing) -> Table:
    """One level: rank, mean with its interval, seeds, and how far it lies from the easiest level and the reference."""
    where = f"level {standing.heads[0]}" if standing.shifts[0] else "AGS, all levels"
    told = [f"In brackets behind ranks: those that {TEST} leaves open."]
    told += notes(standing, tie_mark=None, best=f"{BEST} and bold", spreads=True)
    shown = new_table(f"{standing.title}; {where}", " ".join(told))
    for name in ("rank", "method", "mean ", "interval", "seeds", f"{text.DELTA} first", f"{text.DELTA} ref."):
        method = name == "method"
        shown.add_column(name, justify="left" if method else "right", no_wrap=not method, overflow="fold")
    for label, cells in standing.rows:
        value = cells.get(standing.columns[0])
        if value is None:
            continue
        row = value.row
        shown.add_row(
            _ranks(value),
            plain(label),
            _value(value, False, brackets=False),
            tight(value.spread).replace(f"{text.PLUS_MINUS} 0.", f"{text.PLUS_MINUS} ."),
            f"{row['n']}/{row['n_planned']}" if value.missing else str(row["n"]),
            *(tight(text.signed(row[name])) for name in ("delta_first", "delta_reference")),
        )
    return shown


def _ranks(value: Value) -> str:
    open_ranks = text.rank_range(value.row["rank_low"], value.row["rank_high"])
    rank = "" if value.row["rank"] is None else str(value.row["rank"])
    return rank if open_ranks in ("", rank) else f"{rank} ({open_ranks})"


def _value(value: Value | None, ties: bool, *, brackets: bool = True) -> Text:
    from rich.text import Text

    if value is None:
        return Text("")
    short = f"({value.row['n']}/{value.row['n_planned']})" if value.missing and brackets else ""
    if value.mean is None:
        return Text(f"{short} ", style="yellow")
    mark = BEST if value.best else TIE if value.tied and ties else " "
    shown = Text(f"{tight(text.number(value.mean))}{mark}", style="bold" if value.best else "")
    if short:
        shown.append(f"\n{short} ", style="yellow")
    return shown
