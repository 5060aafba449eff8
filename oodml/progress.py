"""Counts and times of the jobs of a stage: what is running, what is over, how long the rest takes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any


class Progress:
    """Follows the jobs of one stage.

    Args:
        total: Number of jobs.
        clock: Seconds that pass.
    """

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.total, self.clock = total, clock
        self.began = clock()
        self.running: dict[Any, float] = {}  # a job and when it began
        self.statuses: Counter[str] = Counter()
        self._most = 1  # jobs at a time, as far as seen
        self._spent = 0.0  # seconds of the jobs that are over

    def start(self, job: Any) -> None:
        """Notes that a job begins, or begins anew after its process died."""
        self.running[job] = self.clock()
        self._most = max(self._most, len(self.running))

    def end(self, job: Any, status: str) -> None:
        """Notes that a job is over."""
        self._spent += self.clock() - self.running.pop(job, self.clock())
        self.statuses[status] += 1

    @property
    def over(self) -> int:
        """Jobs that are over, however they ended."""
        return sum(self.statuses.values())

    @property
    def failed(self) -> int:
        """Jobs that are over without a result."""
        return self.over - self.statuses["done"]

    @property
    def waiting(self) -> int:
        """Jobs that have not begun."""
        return max(0, self.total - self.over - len(self.running))

    def elapsed(self) -> float:
        """Seconds since the stage began."""
        return self.clock() - self.began

    def remaining(self) -> float | None:
        """Seconds that the rest should take, by the mean of the jobs that are over; None before the first one."""
        if not self.over:
            return None
        mean, now = self._spent / self.over, self.clock()
        left = self.waiting * mean + sum(max(0.0, mean - (now - began)) for began in list(self.running.values()))
        return left / self._most
