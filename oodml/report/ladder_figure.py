"""The progression of a ladder in the style of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oodml.records import Ladder
from oodml.report.style import WIDTH, Theme
from oodml.splits.plot import Palette, paint_progression

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def paint_ladder(ladder: Ladder, theme: Theme) -> Figure:
    """Shift against the progress of the generator, in the colours of a theme and as wide as other figures."""
    walks = tuple(theme.colours[i] for i in (0, 2, 3, 4))
    palette = Palette(
        face=theme.face,
        page=theme.page,
        ink=theme.ink,
        muted=theme.muted,
        line=theme.line,
        null=theme.reference,
        removed=theme.colours[1],
        walks=walks,
    )
    return paint_progression(ladder, palette, size=(WIDTH, 3.3))
