"""Standings as LaTeX tables that need the package booktabs and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from oodml.leaderboard_files.standing import Standing, Value, notes
from oodml.report import text

TIE = r"$^{\dagger}$"
GAP = "--"
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",  # \textquotedbl is not in LaTeX's default encoding of fonts
    "`": r"\textasciigrave{}",
    **{character: f"\\{character}" for character in "{}_&#$%"},
    text.MINUS: "$-$",
    text.PLUS_MINUS: r"$\pm$",
    text.EN_DASH: "--",
    text.DELTA: r"$\Delta$",
    text.ELLIPSIS: r"\ldots{}",
    "\u03c1": r"$\rho$",
    "\u2193": r"$\downarrow$",
    "†": TIE,
}
_TABLE = str.maketrans(_SPECIAL)


def latex(shown: Sequence[Standing], *, intervals: bool = False) -> str:
    r"""One `table` per standing with its caption, best in bold and ties marked by a dagger.

    Args:
        shown: The tables.
        intervals: Whether values have the half-width of their interval behind them.
    """
    head = "% needs \\usepackage{booktabs}\n"
    return head + "\n".join(_table(standing, intervals) for standing in shown)


def escape(raw: str) -> str:
    """Text that LaTeX sets as it is, on one line."""
    return " ".join("".join(c for c in raw if c.isprintable() or c.isspace()).split()).translate(_TABLE)


def _table(standing: Standing, intervals: bool) -> str:
    told = notes(standing, tie_mark="†", best="Bold", spreads=intervals)
    caption = " ".join([f"{standing.title}. Shift below the level.", *told])
    ties = standing.ties_tell
    rows = [
        [escape(label), *(_value(cells.get(column), ties, intervals) for column in standing.columns)]
        for label, cells in standing.rows
    ]
    lines = [
        r"\begin{table}",
        r"  \centering",
        f"  \\caption{{{escape(caption)}}}",
        f"  \\begin{{tabular}}{{l{'r' * len(standing.columns)}}}",
        r"    \toprule",
        _line(["method", *map(escape, standing.heads)]),
        _line(["", *map(escape, standing.shifts)]),
        r"    \midrule",
        *map(_line, rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    r"""A row; braces before a bracket, which would be an option of the `\\` or rule before it."""
    return "    " + " & ".join(f"{{}}{cell}" if cell.startswith(("[", "*")) else cell for cell in cells) + r" \\"


def _value(value: Value | None, ties: bool, intervals: bool) -> str:
    if value is None or value.mean is None:
        return GAP
    number = escape(text.number(value.mean))
    shown = f"\\textbf{{{number}}}" if value.best else f"{number}{TIE}" if value.tied and ties else number
    if intervals and value.spread:
        shown += f" {escape(value.spread)}"
    return f"{shown} ({value.row['n']}/{value.row['n_planned']})" if value.missing else shown
