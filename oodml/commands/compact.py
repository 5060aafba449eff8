"""`oodml compact`."""

from __future__ import annotations

from oodml import arguments as arg

EXAMPLES = """Examples:

`oodml compact results/photos`

`oodml compact results/*`

A sweep goes on from packed runs as from single files, and reports read both. Safe to stop at any moment."""


def compact(sweeps: arg.SweepPaths) -> None:
    """Pack the run files of a sweep into one, which is quick to read and easy to pass on."""
    from oodml.compaction import compact as pack
    from oodml.console import say, warn

    for sweep in sweeps:
        done = pack(sweep)
        for reason in done.left:
            warn(f"{reason}; it stays as it is")
        if done.packed and done.path:
            say(f"{sweep}: {done.packed} files packed into {done.path} ({done.path.stat().st_size / 1024:,.0f} KiB)")
        else:
            say(f"{sweep}: nothing to pack{f', all runs are in {done.path}' if done.path else ''}")
