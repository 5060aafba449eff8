"""Figures to files: the same picture gives the same bytes."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from oodml import store
from oodml.report.style import FONT, LIGHT, SCREEN_FONTS, Theme, drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Painter = Callable[[Theme], "Figure"]
Locator = Callable[["Figure"], tuple["PicturePoint", ...]]
PIXEL = 96 / 72  # CSS pixels in a point
_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@dataclass(frozen=True)
class PicturePoint:
    """Where a value stands in a picture.

    Everything that shows the method, its label as well, lies in groups of the SVG whose ids start with
    `m<series>-`; its line alone is the group `line-<series>`.

    Attributes:
        method: Label of the method.
        series: Number of the method, the same in all curve figures of a view.
        level: Index of the level.
        shift: Shift of the level.
        value: The value drawn.
        low: Lower end of its interval; None without one.
        high: Upper end.
        n: Number of seeds; None where it is not known.
        x: From the left edge in CSS pixels at natural size, which are the units of the SVG.
        y: From the top edge.
    """

    method: str
    series: int
    level: int
    shift: float
    value: float
    low: float | None
    high: float | None
    n: int | None
    x: float
    y: float


@dataclass(frozen=True)
class Picture:
    """A figure as written.

    Attributes:
        stem: File name without its ending.
        title: Heading.
        alt: What the picture shows, for those who cannot see it.
        caption: How to read it.
        svg: The picture in the colours of the light theme; `inline_svg` gives it those of a page.
        width: Natural width in CSS pixels.
        height: Natural height in CSS pixels.
        points: Where the values stand, for a script; empty where no one asked.
    """

    stem: str
    title: str
    alt: str
    caption: str
    svg: bytes
    width: int
    height: int
    points: tuple[PicturePoint, ...] = ()


def render(figure: Figure, kind: str) -> bytes:
    """The bytes of a figure as "png", "svg" or "pdf", without dates or versions inside."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=200, metadata=_METADATA[kind])
    data = buffer.getvalue()
    if kind != "svg":
        return data
    return _slim(data)


def _slim(svg: bytes) -> bytes:
    """Less than it was: coordinates to a hundredth of a point, no empty metadata or turns, fonts named once.

    Text stays text in the reader's own screen face, which is sharper than outlines. The units of the whole are
    CSS pixels; what matplotlib drew in points is scaled as one group.
    """
    svg = re.sub(rb'(?<= )(?:d|x|y)="[^"]*"', lambda found: re.sub(rb"(\.\d\d)\d+", rb"\1", found[0]), svg)
    svg = re.sub(rb" <metadata>.*?</metadata>\n", b"", svg, count=1, flags=re.DOTALL)
    svg = re.sub(rb' transform="rotate\(-0 [\d. -]*\)"', b"", svg)
    svg = re.sub(rb'width="([\d.]+)pt" height="([\d.]+)pt" viewBox="[^"]*"', _pixels, svg, count=1)
    svg = svg.replace(b'<g id="figure_1">', b'<g id="figure_1" transform="scale(%.6f)">' % PIXEL, 1)
    svg = svg.replace(f"font-family: '{FONT}'; ".encode(), b"")
    return svg.replace(b"*{", f"text{{font-family: {SCREEN_FONTS}}} *{{".encode(), 1)


def _pixels(found: re.Match[bytes]) -> bytes:
    width, height = (f"{float(size) * PIXEL:.2f}".encode() for size in found.groups())
    return b'width="%b" height="%b" viewBox="0 0 %b %b"' % (width, height, width, height)


def export(
    folder: Path, stem: str, paint: Painter, title: str, alt: str, caption: str, locate: Locator | None = None
) -> Picture:
    """Paints a figure and writes it as PNG, SVG and PDF.

    Args:
        folder: Where the files go.
        stem: Their name without its ending.
        paint: The figure in a theme.
        title: Heading.
        alt: What the picture shows.
        caption: How to read it.
        locate: Where its values stand; None if no one asks.

    Raises:
        StorageError: If a file cannot be written.
    """
    with drawing():
        figure = paint(LIGHT)
        files = {kind: render(figure, kind) for kind in _METADATA}
        width, height = (round(float(inches) * 96) for inches in figure.get_size_inches())
        points = locate(figure) if locate else ()
    for kind, data in files.items():
        with store.atomic(folder / f"{stem}.{kind}") as temporary:
            temporary.write_bytes(data)
    return Picture(stem, title, alt, caption, files["svg"], width, height, points)
