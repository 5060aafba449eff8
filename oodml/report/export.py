"""Figures to files: the same picture gives the same bytes."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from oodml import store
from oodml.report.style import DARK, FONT, LIGHT, SCREEN_FONTS, Theme, drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Painter = Callable[[Theme], "Figure"]
_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@dataclass(frozen=True)
class Picture:
    """A figure as written, with both renderings for the page.

    Attributes:
        stem: File name without its ending.
        title: Heading.
        alt: What the picture shows, for those who cannot see it.
        caption: How to read it.
        light: SVG for light pages.
        dark: SVG for dark pages.
        width: Natural width in CSS pixels.
        height: Natural height in CSS pixels.
    """

    stem: str
    title: str
    alt: str
    caption: str
    light: bytes
    dark: bytes
    width: int
    height: int


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

    Text stays text in the reader's own screen face, which is sharper than outlines.
    """
    svg = re.sub(rb'(?<= )(?:d|x|y)="[^"]*"', lambda found: re.sub(rb"(\.\d\d)\d+", rb"\1", found[0]), svg)
    svg = re.sub(rb" <metadata>.*?</metadata>\n", b"", svg, count=1, flags=re.DOTALL)
    svg = re.sub(rb' transform="rotate\(-0 [\d. -]*\)"', b"", svg)
    svg = svg.replace(f"font-family: '{FONT}'; ".encode(), b"")
    return svg.replace(b"*{", f"text{{font-family: {SCREEN_FONTS}}} *{{".encode(), 1)


def export(folder: Path, stem: str, paint: Painter, title: str, alt: str, caption: str) -> Picture:
    """Paints a figure in both themes and writes the light one as PNG, SVG and PDF.

    Raises:
        StorageError: If a file cannot be written.
    """
    with drawing():
        figure = paint(LIGHT)
        files = {kind: render(figure, kind) for kind in _METADATA}
        dark = render(paint(DARK), "svg")
        width, height = (round(float(inches) * 96) for inches in figure.get_size_inches())
    for kind, data in files.items():
        with store.atomic(folder / f"{stem}.{kind}") as temporary:
            temporary.write_bytes(data)
    return Picture(stem, title, alt, caption, files["svg"], dark, width, height)
