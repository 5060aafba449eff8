"""A report as one HTML page that needs nothing beside it: styles, figures and a script are inside."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from oodml.report import text
from oodml.report.content import Content
from oodml.report.export import Picture, PicturePoint
from oodml.report.inline import figure_colours, inline_svg

if TYPE_CHECKING:
    from markupsafe import Markup


def render(content: Content, reading: Sequence[tuple[str, str]]) -> str:
    """The HTML text of a report; everything that comes from users is escaped.

    Args:
        content: What it says.
        reading: Terms and what they mean, for the end of the page.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("oodml", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"inline": _inline, "plot_data": plot_data, "digest": _digest}
    script = Markup(files("oodml.report").joinpath("page.js").read_text(encoding="utf-8"))
    shared: dict[str, object] = {"script": script, "figure_colours": figure_colours()}
    title = content.sections[0].title if len(content.sections) == 1 else "oodml report"
    shared |= {"blocks": content.sections, "overall": content.overall, "reading": reading, "title": title}
    return environment.get_template("page.html.j2").render(**shared)


def plot_data(picture: Picture) -> Markup:
    """What the script needs of a picture, as JSON that cannot end the element around it."""
    from markupsafe import Markup

    data = {
        "methods": {point.series: point.method for point in picture.points},
        "points": [[p.series, round(p.x, 1), round(p.y, 1), _point_text(p)] for p in picture.points],
    }
    return Markup(json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"))


def _point_text(point: PicturePoint) -> str:
    value = f"{text.number(point.value)} {text.spread(point.value, point.low, point.high)}".rstrip()
    seeds = f", n={point.n}" if point.n is not None else ""
    return f"{value}{seeds}; level {point.level}, shift {text.shift(point.shift)}"


def _inline(picture: Picture) -> Markup:
    from markupsafe import Markup

    return Markup(inline_svg(picture, text.slug(picture.stem)))


def _digest(script: str) -> str:
    """Names a script for the page's own rule about which scripts may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(str(script).encode()).digest()).decode("ascii")
