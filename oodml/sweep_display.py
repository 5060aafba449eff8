"""What a sweep shows while it runs: one table that is kept up to date on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from oodml import console
from oodml.commands.plan_view import duration
from oodml.job_files import rows_of
from oodml.progress import Progress
from oodml.report.screen import new_table, plain, tight
from oodml.standings import Standings
from oodml.watching import Watcher

if TYPE_CHECKING:
    from oodml.executors.jobs import Job, Outcome

MOST_RUNNING = 8  # names of running jobs that are shown
REFRESHES_PER_S = 2


class SweepDisplay(Watcher):
    """Runs that are done, running, failed and to do, the time that is left, and the best method of every level.

    Args:
        sweep: The sweep folder, for the scores.
        runs: Ids of the runs of this sweep: of those finished before the scores count too.
        clock: Seconds that pass.
    """

    def __init__(self, sweep: Path, runs: Collection[str] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self.sweep, self.runs, self.clock = sweep, runs, clock
        self.progress, self.what = Progress(0, clock), "runs"
        self.standings: Standings | None = None
        self.images: tuple[int, int] | None = None
        self._over = False
        self._lock = threading.Lock()  # the table is drawn by a thread of its own
        self.live: Live | None = None
        if console.err.is_terminal:
            self.live = Live(get_renderable=self.table, console=console.err, refresh_per_second=REFRESHES_PER_S)

    def __enter__(self) -> SweepDisplay:
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        if self.live:
            self.live.stop()

    def packing(self, done: int, total: int) -> None:
        """Shows the decoding of images before the first run."""
        self.images = (done, total)
        if not self.live and done == total:
            console.err.print(f"decoding images: {total}")

    def stage(self, jobs: int) -> None:
        """Begins a stage with the number of runs to execute, or of jobs that adapt them."""
        with self._lock:
            self.progress, self.images = Progress(jobs, self.clock), None
        if self.live and jobs and self.standings is None:
            self.standings = Standings()
            if self.runs:
                self.standings.note_finished(self.sweep, self.runs)

    def started(self, job: Job) -> None:
        """Notes a running job."""
        with self._lock:
            self.progress.start(job)
            self.what = "adaptations" if hasattr(job, "units") else "runs"

    def ended(self, outcome: Outcome) -> None:
        """Notes a finished job; failures stay on screen."""
        with self._lock:
            self.progress.end(outcome.job, outcome.status)
            if self.standings is not None and outcome.status == "done":
                for rows in rows_of(outcome.job, self.sweep):
                    self.standings.add(rows)
        text = f"{outcome.job.label}: {outcome.status} in {outcome.seconds:.1f} s"
        if not self.live:
            tail = f": {outcome.error}" if outcome.error else ""
            sys.stderr.write(f"[{self.progress.over}/{self.progress.total}] {text}{tail}\n")
            sys.stderr.flush()
        elif outcome.status != "done":
            console.warn(f"{text}: {outcome.error}")

    def table(self) -> RenderableType:
        """Everything at this moment; of a sweep that is over the counts only."""
        with self._lock:
            progress, parts = self.progress, list[RenderableType]()
            if self.images and not self._over:
                parts.append(_bar("decoding images", *self.images))
            if progress.total:
                parts += [_bar(self.what, progress.over, progress.total), _counts(progress, self._over)]
            if progress.total and not self._over:
                best = _best(self.standings)
                room = console.err.height - 7 - (best.row_count + 3 if best else 0)
                if progress.running:
                    parts.append(_running(progress, max(1, min(MOST_RUNNING, room))))
                if best:
                    parts += [plain("best so far: mean recall@1 (seeds)", "bold"), best]
        return Group(*parts)


def _bar(name: str, done: int, total: int) -> Table:
    line = Table.grid(padding=(0, 1), expand=True)
    line.add_column(no_wrap=True)
    line.add_column(ratio=1)
    line.add_column(no_wrap=True, justify="right")
    line.add_row(name, ProgressBar(total=total, completed=done), f"{done}/{total}")
    return line


def _counts(progress: Progress, over: bool) -> Table:
    shown = _untitled()
    for name in ("done", "running", "failed", "to do", "so far", "left"):
        shown.add_column(name, justify="right", min_width=7)
    running, left = len(progress.running), progress.remaining()
    waiting = progress.waiting + (running if over else 0)  # what was running when the sweep was stopped is to do
    shown.add_row(
        plain(str(progress.statuses["done"]), "green"),
        "0" if over else str(running),
        plain(str(progress.failed), "red" if progress.failed else ""),
        str(waiting),
        duration(progress.elapsed()),
        "" if over or left is None else duration(left),
    )
    return shown


def _running(progress: Progress, most: int) -> Table:
    """The jobs that run, those that have run longest first."""
    jobs = sorted(progress.running.items(), key=lambda item: item[1])
    shown = Table.grid(padding=(0, 2))
    shown.add_column()
    shown.add_column(justify="right", no_wrap=True)
    for job, began in jobs[:most]:
        shown.add_row(_short(job.label), plain(duration(progress.clock() - began), "dim"))
    if len(jobs) > most:
        shown.add_row(plain(f"and {len(jobs) - most} more", "dim"), "")
    return shown


def _best(standings: Standings | None) -> Table | None:
    """Level by level who leads, in every setting."""
    if standings is None or not standings.levels():
        return None
    settings = standings.settings()
    shown = _untitled()
    shown.add_column("level", justify="right", no_wrap=True)
    for setting in settings:
        shown.add_column(setting or "no labels")
    for level in standings.levels():
        found = [standings.best(setting, level) for setting in settings]
        cells = [_short(f"{tight(f'{b.mean:.3f}')} ({b.seeds}) {b.name}" if b else "") for b in found]
        shown.add_row(str(level), *cells)
    return shown


def _short(words: str) -> Text:
    """One line, cut where the terminal is too narrow: such columns give way, the others stay whole."""
    return Text(words, no_wrap=True, overflow="ellipsis")


def _untitled() -> Table:
    shown = new_table("")
    shown.title = None  # a title would be wrapped at the width of the table
    return shown
