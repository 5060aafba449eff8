"""`oodml report`."""

from __future__ import annotations

import os

from oodml import arguments as arg
from oodml.options import parse_names

EXAMPLES = """Examples:

`oodml report results/glyphs`

`oodml report results/glyphs results/photos --out report --metrics recall_at_1,recall_at_8`

`oodml report results/glyphs --methods study,frozen --figures curves,ags`

`oodml report results/glyphs --control results/glyphs-random`

`oodml report results/cub200 --compare-published`

Unfinished sweeps are welcome: gaps are shown, never averaged over."""


def report(
    sweeps: arg.SweepPaths,
    out: arg.Out = None,
    metrics: arg.Metrics = "recall_at_1,map_at_r",
    methods: arg.ShownMethods = None,
    figures: arg.Figures = None,
    control: arg.Controls = [],  # noqa: B006 - typer copies it
    compare_published: arg.ComparePublished = False,
) -> None:
    """Draw degradation curves and tables, and write the leaderboard."""
    from oodml.console import out as console
    from oodml.console import say
    from oodml.report.terminal import summary_table
    from oodml.reporting import make_report

    names = parse_names(metrics)
    folder = out or sweeps[0] / "report"
    page, sections = make_report(
        sweeps,
        folder,
        metrics=names,
        methods=parse_names(methods) if methods else None,
        figures=parse_names(figures) if figures else None,
        published=compare_published,
        controls=control,
        processes=min(2, os.cpu_count() or 1),
    )
    for section in sections:
        console.print(summary_table(section, names[0]))
    say(f"leaderboard: {folder / 'leaderboard.parquet'}")
    say(f"report:      {page}")
