"""Figures as part of the page's own markup, so that they follow its colours and a script can reach their lines."""

from __future__ import annotations

import re
from dataclasses import fields
from html import escape

from oodml.report.export import Picture
from oodml.report.style import DARK, LIGHT, Theme

TRANSPARENT = "none"


def inline_svg(picture: Picture, prefix: str) -> str:
    """The SVG of a picture for the body of a page.

    Ids get a prefix, so that figures of one page do not share them; the groups of a method, whose ids start with
    `m<series>-`, carry `data-series` as well. Colours of the light theme become variables of the style sheet
    (`figure_colours`), rules that would reach the rest of the page go.

    Args:
        picture: The picture.
        prefix: A name that no other figure of the page has.
    """
    svg = picture.svg.decode("utf-8")
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<style\b.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*</defs>\s*", "", svg)
    svg = re.sub(r'\bid="m(\d+)-([^"]*)"', r'id="m\1-\2" data-series="\1"', svg)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'href="#', f'href="#{prefix}-', svg)
    svg = re.sub(r"url\(#", f"url(#{prefix}-", svg)
    names = {colour: name for name, colour, _ in reversed(_colours())}
    svg = re.sub(r"#[0-9a-f]{6}\b(?=[;\"])", lambda found: _variable(found[0], names), svg)
    head, _, body = svg.partition(">")
    head = re.sub(r' (?:width|height|xmlns(?::\w+)?|version)="[^"]*"', "", head)
    size = f'width="{picture.width}" height="{picture.height}"'
    return f'{head} {size} role="img" aria-label="{escape(picture.alt)}">{body}'


def figure_colours() -> tuple[tuple[str, str, str], ...]:
    """Name, light and dark value of every colour that figures use."""
    return tuple((f"--fig-{name}", light, dark) for name, light, dark in _colours())


def _colours() -> list[tuple[str, str, str]]:
    """Colours by name; the face of a figure is that of the card it lies on."""
    names = [field.name for field in fields(Theme) if isinstance(getattr(LIGHT, field.name), str)]
    named = [name for name in names if name not in ("name", "face")]
    found = [(name, getattr(LIGHT, name), getattr(DARK, name)) for name in named]
    pairs = enumerate(zip(LIGHT.colours, DARK.colours, strict=True))
    return found + [(str(i), light, dark) for i, (light, dark) in pairs]


def _variable(colour: str, names: dict[str, str]) -> str:
    return f"var(--fig-{names[colour]})" if colour in names else colour
