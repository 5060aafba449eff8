"""What `oodml sweep --dry-run` shows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from oodml.records import RunSpec

if TYPE_CHECKING:
    from rich.table import Table


def plan_table(specs: Sequence[RunSpec], todo: Collection[str]) -> Table:
    """The plan by method: levels, seeds, runs, and how many of them are still to do.

    Args:
        specs: All runs of the plan.
        todo: Ids of the runs that a start would execute.
    """
    from rich.table import Table

    table = Table("method", "levels", "seeds", "runs", "to do", "options", title="plan", title_justify="left")
    for method in dict.fromkeys(spec.method for spec in specs):
        own = [spec for spec in specs if spec.method == method]
        table.add_row(
            method,
            _listed(sorted({spec.level for spec in own})),
            _listed(sorted({spec.seed for spec in own})),
            str(len(own)),
            str(sum(spec.run_id in todo for spec in own)),
            " ".join(f"{name}={value}" for name, value in own[0].config),
        )
    return table


def duration(seconds: float) -> str:
    """A time as a person says it: "40 s", "12 min", "3.4 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _listed(numbers: Sequence[int]) -> str:
    """`0, 1, 2` as "0-2", other numbers one by one."""
    if len(numbers) > 2 and list(numbers) == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]}-{numbers[-1]}"
    return ", ".join(map(str, numbers))
