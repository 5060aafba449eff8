"""Draws the figures of the guide and prints the numbers that it quotes: `python docs/make_figures.py`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from oodml.datasets import load_dataset
from oodml.embedder import embed_dataset
from oodml.embeddings import class_means
from oodml.report.export import export
from oodml.report.style import Theme
from oodml.splits.frechet import frechet_distance
from oodml.splits.measures import measured_space
from oodml.splits.threads import threads_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FOLDER = Path(__file__).parent / "figures"
SIZES = (100, 80, 60, 50, 40, 30, 20)
DRAWS = 200


def glyph_means() -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Class means of glyphs under the pixel embedder."""
    embedded = embed_dataset(load_dataset("glyphs"))
    names = embedded.dataset.class_names
    return class_means(embedded.features, embedded.dataset.labels, len(names)), names


def random_removal() -> dict[str, NDArray[np.float64]]:
    """Shift of random divisions from which classes are removed at random: measure -> (sizes, draws)."""
    means, names = glyph_means()
    found = {}
    for measure in ("fid", "kid"):
        space = measured_space(means, names, measure=measure)
        rng = np.random.default_rng(0)
        values = np.empty((len(SIZES), DRAWS))
        for draw in range(DRAWS):
            order = rng.permutation(len(names))
            for row, size in enumerate(SIZES):  # the same classes, fewer and fewer of them
                values[row, draw] = space.shift(np.sort(order[:size]), np.sort(order[100 : 100 + size]))
        found[measure] = values
    return found


def paint_removal(values: dict[str, NDArray[np.float64]], theme: Theme) -> Figure:
    """Both measures against the classes that are left."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 2.7), layout="constrained", facecolor=theme.face)
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for axes, measure, colour, title in (
        (left, "fid", theme.colours[1], "Fréchet distance: rises"),
        (right, "kid", theme.colours[0], "KID: stays at zero"),
    ):
        _panel(axes, values[measure], colour, title, theme)
    return figure


def _panel(axes: Axes, values: NDArray[np.float64], colour: str, title: str, theme: Theme) -> None:
    mean, spread = values.mean(axis=1), values.std(axis=1, ddof=1)
    axes.fill_between(SIZES, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0)
    axes.plot(SIZES, mean, color=colour, marker="o", markersize=4)
    axes.axhline(0, color=theme.muted, linewidth=0.8)
    axes.invert_xaxis()
    axes.set_title(title, loc="left", color=theme.ink, fontsize=10)
    axes.set_xlabel("classes left on each side", color=theme.muted)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=theme.muted)
    axes.set_facecolor(theme.face)


def isotropic(n: int, d: int, draws: int = 20) -> tuple[float, float]:
    """Measured and predicted distance of two samples of one isotropic distribution."""
    rng = np.random.default_rng(0)
    measured = np.mean([frechet_distance(rng.normal(size=(n, d)), rng.normal(size=(n, d))) for _ in range(draws)])
    return float(measured), 2 * d * (1 + 1 / n) - 16 / (3 * np.pi) * np.sqrt(n * d)


def main() -> None:
    """Draws and prints everything."""
    with threads_for(1):
        values = random_removal()
        print("random removal on glyphs, mean shift of 200 random divisions")
        print("classes left  " + "  ".join(f"{size:6d}" for size in SIZES))
        for measure, draws in values.items():
            print(f"{measure:12s}  " + "  ".join(f"{value:6.3f}" for value in draws.mean(axis=1)))
        print("two samples of n rows from one isotropic distribution in 2048 dimensions")
        for n in (100, 50, 25):
            print(f"n = {n:3d}: measured {isotropic(n, 2048)[0]:.0f}, predicted {isotropic(n, 2048)[1]:.0f}")
    FOLDER.mkdir(exist_ok=True)
    alt = "Shift of random divisions against the number of classes left: the Frechet distance rises, KID does not."
    export(FOLDER, "removal", lambda theme: paint_removal(values, theme), "Removal", alt, "")
    for unused in FOLDER.glob("*.pdf"):
        unused.unlink()


if __name__ == "__main__":
    main()
