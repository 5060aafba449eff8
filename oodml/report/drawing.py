"""What every figure of a view and a metric shares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from oodml.report import text
from oodml.report.export import Locator, Picture, export
from oodml.report.highlight import BEST
from oodml.report.style import Looks, Theme, looks
from oodml.report.view import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from oodml.records import Ladder


@dataclass(frozen=True)
class Drawing:
    """What every figure of a view and a metric needs.

    Attributes:
        folder: Where the files go.
        prefix: Start of their names.
        view: What to show.
        metric: The metric.
        methods: Methods with a colour in the report, in the order of the colours.
        named: Methods that this view and metric name.
        seconds: Method to its mean training time; empty if unknown.
        band: Range of the metric over control divisions; None if unknown.
        ladder: The ladder with what its generator visited; None if only the levels are known.
    """

    folder: Path
    prefix: str
    view: View
    metric: str
    methods: Sequence[str]
    named: Sequence[str]
    seconds: Mapping[str, float]
    band: tuple[float, float] | None
    ladder: Ladder | None

    @property
    def name(self) -> str:
        """The metric in prose."""
        return text.metric_name(self.metric)

    @property
    def made(self) -> str:
        """How the intervals were made; "" without any."""
        return "; ".join(self.view.intervals())

    @property
    def grey(self) -> str:
        """A sentence on the methods that are not named; "" if all are."""
        few, many = len(self.named), len(self.view.methods)
        controls = " and the controls" if few > BEST else ""
        return f" In colour: the best {min(few, BEST)} of {many} methods{controls}." if few < many else ""

    def looks(self, theme: Theme) -> Looks:
        """Look per method of a figure."""
        return looks(self.methods, theme).only(self.named)

    def export(
        self,
        kind: str,
        paint: Callable[[Theme], Figure],
        title: str,
        alt: str,
        caption: str,
        locate: Locator | None = None,
    ) -> Picture:
        """Writes a figure; `kind` ends the names of its files."""
        return export(self.folder, f"{self.prefix}_{self.metric}_{kind}", paint, title, alt, caption, locate)
