"""Labels short enough for a figure."""

from __future__ import annotations

from collections.abc import Sequence

from oodml.report.text import ELLIPSIS, shorten

WIDTH, HEAD, BEFORE = 22, 8, 6  # characters: of a label, of its start, and of what stands before the difference


def short_names(methods: Sequence[str]) -> dict[str, str]:
    """Method to a label of at most 22 characters; different methods never share one.

    A long label loses its middle. Where that would make two alike, it keeps its start and the place from which
    they differ; where that fails as well, all of it.

    Args:
        methods: Labels as the tables show them, each once.
    """
    names = dict(zip(methods, shorten(methods, WIDTH), strict=True))
    long = [method for method, name in names.items() if len(name) > WIDTH]
    if len(long) < 2:
        return names
    same = next((i for i, letters in enumerate(zip(*long, strict=False)) if len(set(letters)) > 1), min(map(len, long)))
    start = max(HEAD, same - BEFORE)
    room = WIDTH - HEAD - 2
    cut = {
        method: f"{method[:HEAD]}{ELLIPSIS}{method[start : start + room]}"
        + (ELLIPSIS if len(method) > start + room else "")
        for method in long
    }
    taken = [*(name for method, name in names.items() if method not in cut), *cut.values()]
    return names | cut if len(set(taken)) == len(taken) else names
