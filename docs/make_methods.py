"""Writes the guide to the methods from their records: `python docs/make_methods.py`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from oodml.commands.methods import HEADINGS, needs_text, option_rows, training_text
from oodml.methods.cards import CARDS, GROUPS, MethodInfo
from oodml.methods.cards.costs import NOT_MEASURED, cost_conditions, cost_ratio

FILE = Path(__file__).parent / "methods.md"
WIDTH = 110
INTRODUCTION = """\
# Methods

This page is made from the records of the methods; `oodml methods` shows the same for the installed version, third
parties' methods included, and `oodml methods --json` as data. A sweep takes names and groups:

<!-- slow; sweep --levels 0 --seeds 1 --steps 1 --backbone pixels -->
```bash
oodml methods --family proxies                                     # a part of the list
oodml methods margin                                               # one card
oodml sweep splits/glyphs --methods frozen,study                   # names and groups: study related systems catalog
oodml sweep splits/glyphs --methods own                            # all but the catalog; `all` takes that as well
oodml sweep splits/glyphs --methods margin --set margin.beta=0.6   # an option
```

*Cost* is the time of a training step over that of a step of `margin` on the same network and batch, measured by
`benchmarks/method_cost.py`. *Paper preset* says where `--preset paper` trains a method differently from the others. A
column named after a dataset holds the values that a method takes there unless they are set.
"""


def page() -> str:
    """The whole guide, the same for the same records."""
    conditions = cost_conditions()
    parts = [INTRODUCTION, f"Conditions of the measurement: {_plain(conditions)}." if conditions else ""]
    for group in GROUPS:
        cards = [card for card in CARDS.values() if card.group == group]
        if cards:
            parts += [f"## {group}: {HEADINGS[group]}", _table(_overview(cards)), *map(_card, cards)]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _overview(cards: Sequence[MethodInfo]) -> Iterator[Sequence[str]]:
    yield "method", "family", "source", "needs", "cost"
    for card in cards:
        source = "a control" if card.paper == "-" else card.paper
        yield f"[`{card.name}`](#{card.name})", card.family, _plain(source), _plain(needs_text(card)), _cost(card)


def _card(card: MethodInfo) -> str:
    training = training_text(card)
    parts = [
        f"### {card.name}",
        _plain(card.summary),
        f"```text\n{textwrap.fill(card.equation, WIDTH, break_long_words=False, break_on_hyphens=False)}\n```",
        "" if card.paper == "-" else f"Source: {_plain(card.paper)}.",
        _table(_options(card)) if card.options else "No options.",
        f"Paper preset: {_plain(training)}." if training else "",
        _plain(card.notes),
    ]
    return "\n\n".join(part for part in parts if part)


def _options(card: MethodInfo) -> Iterator[Sequence[str]]:
    yield "option", "default", *card.dataset_options
    for option, *values in option_rows(card):
        yield f"`{option}`", *values


def _cost(card: MethodInfo) -> str:
    ratio = cost_ratio(card.name)
    if not card.trains:
        return "–"
    return NOT_MEASURED if ratio is None else f"{ratio:.2f}"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is; records mark names as code with backticks, as Markdown does."""
    for character in "\\*<|":
        text = text.replace(character, f"\\{character}")
    return text


def _table(rows: Iterator[Sequence[str]]) -> str:
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|---" * (head.count(" | ") + 1) + "|", *body])


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")
    print(f"written: {FILE}")
