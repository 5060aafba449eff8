"""A report as one HTML page that needs nothing beside it: styles and figures are inside, and no scripts."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from oodml.report.content import SectionBlock


def render(blocks: Sequence[SectionBlock], reading: Sequence[tuple[str, str]]) -> str:
    """The HTML text of a report; everything that comes from users is escaped.

    Args:
        blocks: The sections.
        reading: Terms and what they mean, for the end of the page.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("oodml", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = data_uri
    title = blocks[0].title if len(blocks) == 1 else "oodml report"
    return environment.get_template("page.html.j2").render(blocks=blocks, reading=reading, title=title)


def data_uri(svg: bytes) -> str:
    """An SVG as an address that holds the picture itself."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode("ascii")
