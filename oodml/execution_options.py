"""What a user says about where runs execute: mistakes show before anything is written. Free of torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oodml.errors import UnknownNameError, UsageError
from oodml.executors.places import EXECUTORS, Places


@dataclass(frozen=True)
class ExecutionOptions:
    """How a sweep or an adaptation is executed, which changes no number but for `device` and `threads`.

    Attributes:
        device: "auto", "cpu", "cuda" or one GPU.
        workers: See `Places`, as the other fields of its names.
        share: URL where the sweep folder is mirrored; None for nowhere.
        trackers: Names of trackers that get the scores.
        retry_failed: Whether what failed before is done again.
    """

    device: str = "auto"
    workers: int | None = None
    threads: int = 1
    timeout: float | None = None
    executor: str = "local"
    ray_address: str | None = None
    gpus_per_run: float = 1.0
    memory_per_run: int | None = None
    share: str | None = None
    trackers: Sequence[str] = ()
    retry_failed: bool = False

    @property
    def places(self) -> Places:
        """Where the jobs run."""
        return Places(
            self.executor,
            self.workers,
            self.threads,
            self.timeout,
            self.ray_address,
            self.gpus_per_run,
            self.memory_per_run,
        )


def check_places(places: Places) -> None:
    """Refuses places that cannot be meant.

    Raises:
        UnknownNameError: If there is no such executor.
        MissingPackageError: If it needs Ray, which is not installed.
        UsageError: If a number is out of range, or an option of a cluster is given without one.
    """
    if places.executor not in EXECUTORS:
        raise UnknownNameError("executor", places.executor, EXECUTORS)
    if places.gpus_per_run < 0:
        raise UsageError(f"--gpus-per-run {places.gpus_per_run:g} should be 0 or more, such as 0.5 for two runs a GPU")
    if places.executor == "local":
        share = None if places.gpus_per_run == Places.gpus_per_run else places.gpus_per_run
        given = (
            ("--ray-address", places.ray_address),
            ("--memory-per-run", places.memory_per_run),
            ("--gpus-per-run", share),
        )
        for flag, value in given:
            if value is not None:
                raise UsageError(f"{flag} {value} is for a cluster; add --executor ray, or leave it out")
    else:
        from oodml.executors.ray_connection import import_ray

        import_ray()
