"""Colours, markers and type of the figures, for light and for dark pages."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from oodml.errors import MissingPackageError

FONT = "DejaVu Sans"  # ships with matplotlib: the same picture on every machine
SCREEN_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
WIDTH = 4.9  # inches; narrow on purpose: on a phone the type is still nine CSS pixels tall
MARKERS = ("o", "s", "^", "D", "v", "p", "<", "h", ">", "P", "X")
DASHES: tuple[tuple[float, ...], ...] = ((), (4.5, 1.6), (1.2, 1.4), (6, 1.5, 1.2, 1.5))


@dataclass(frozen=True)
class Theme:
    """Colours of one page style.

    Attributes:
        name: "light" or "dark".
        face: Background, "none" where the page's own shows through.
        ink: Text.
        muted: Axis labels, notes.
        line: Grid and spines.
        reference: The untrained reference.
        other: Methods that are not among the best, where there are many.
        page: Colour of the page behind, drawn around markers.
        colours: One per method; told apart by people with a colour-vision deficiency.
    """

    name: str
    face: str
    ink: str
    muted: str
    line: str
    reference: str
    other: str
    page: str
    colours: tuple[str, ...]


LIGHT = Theme(
    name="light",
    face="#ffffff",
    ink="#1c2127",
    muted="#5a6470",
    line="#dfe3e8",
    reference="#7a838d",
    other="#98a1ab",
    page="#ffffff",
    colours=("#0072bc", "#c03800", "#03966a", "#b5458e", "#c98a00", "#47a4e0", "#322288", "#678834"),
)
DARK = Theme(
    name="dark",
    face="none",
    ink="#e6e9ed",
    muted="#a3adb8",
    line="#343b45",
    reference="#98a2ad",
    other="#68727e",
    page="#171b21",
    colours=("#63acef", "#e77135", "#3ad0a5", "#e38ac2", "#f6d485", "#a4d7fe", "#808fff", "#c7d14d"),
)


@dataclass(frozen=True)
class Look:
    """How one method is drawn in every figure; a grey one has neither marker nor name."""

    colour: str
    marker: str
    dashes: tuple[float, ...]
    hollow: bool
    grey: bool = False


class Looks(dict[str, Look]):
    """Look per method; one that is not among them is grey."""

    def __init__(self, known: Mapping[str, Look], other: Look) -> None:
        super().__init__(known)
        self.other = other

    def __missing__(self, method: str) -> Look:
        return self.other

    def only(self, methods: Collection[str]) -> Looks:
        """The same looks, for some methods alone; the rest is grey."""
        return Looks({method: look for method, look in self.items() if method in methods}, self.other)


def looks(methods: Sequence[str], theme: Theme) -> Looks:
    """A look per method, in the order given: colours repeat with another marker and other dashes.

    Methods beyond those given are grey.
    """
    size = len(theme.colours)
    known = {
        method: Look(
            colour=theme.colours[i % size],
            marker=MARKERS[i % len(MARKERS)],
            dashes=DASHES[i // size % len(DASHES)],
            hollow=i // size % 2 == 1,
        )
        for i, method in enumerate(methods)
    }
    return Looks(known, Look(theme.other, "", (), hollow=False, grey=True))


@contextmanager
def drawing() -> Iterator[None]:
    """Matplotlib's own defaults with our type, whatever the user's configuration says.

    Raises:
        MissingPackageError: If matplotlib is not installed.
    """
    try:
        from matplotlib import style
    except ImportError as error:
        raise MissingPackageError("matplotlib", "a report", "pip install matplotlib") from error
    ours = {
        "font.family": [FONT],
        "font.size": 9.0,
        "axes.linewidth": 0.8,
        "svg.fonttype": "none",
        "svg.hashsalt": "oodml",
        "pdf.fonttype": 42,
        "path.simplify": False,
    }
    with style.context(["default", ours]):
        yield
