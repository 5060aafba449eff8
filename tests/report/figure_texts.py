"""What stands in a figure: texts of an SVG, and boxes of labels that must not touch."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from collections.abc import Iterable

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

SVG = "{http://www.w3.org/2000/svg}"


def svg_texts(svg: bytes) -> list[str]:
    """All texts of an SVG, in its order."""
    return ["".join(node.itertext()) for node in ET.fromstring(svg).iter(f"{SVG}text")]


def svg_groups(svg: bytes) -> dict[str, ET.Element]:
    """Groups of an SVG by id."""
    return {str(node.get("id")): node for node in ET.fromstring(svg).iter(f"{SVG}g") if node.get("id")}


def all_texts(figure: Figure) -> list[Text]:
    """Every text that is drawn somewhere."""
    found = [artist for artist in figure.findobj(Text) if isinstance(artist, Text)]
    return [artist for artist in found if artist.get_text() and artist.get_visible()]


def along(line: Line2D, axis: str) -> list[float]:
    """Coordinates of a line on "x" or "y", as data."""
    return [float(value) for value in np.asarray(getattr(line, f"get_{axis}data")(), dtype=float)]


def assert_apart_and_inside(figure: Figure, texts: Iterable[Text]) -> None:
    """No two of the texts cover each other (by more than a pixel), and none leaves the figure."""
    figure.draw_without_rendering()
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    assert boxes
    wide, tall = figure.get_size_inches() * figure.dpi
    for name, box in boxes:
        assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= wide + 1 and box.y1 <= tall + 1, name
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        across, along = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across <= 1 or along <= 1.5, (one, other)
