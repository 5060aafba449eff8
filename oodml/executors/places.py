"""Where jobs run and how long they may: what changes no number."""

from __future__ import annotations

from dataclasses import dataclass

EXECUTORS = ("local", "ray")


@dataclass(frozen=True)
class Places:
    """Where the jobs of a sweep run.

    Attributes:
        executor: "local" (processes of this machine) or "ray" (a cluster).
        workers: Jobs at a time; None takes what fits the device.
        threads: CPU threads of each job. Sums over threads depend on their number, so values are comparable between
            sweeps of the same number only.
        timeout: Seconds that a job may take; None for ever.
        ray_address: The cluster: "auto", "ray://HOST:PORT", or None for one that is started on this machine.
        gpus_per_run: Share of a GPU that a job on a cluster takes.
        memory_per_run: Bytes that a job on a cluster reserves; None leaves it to the cluster.
    """

    executor: str = "local"
    workers: int | None = None
    threads: int = 1
    timeout: float | None = None
    ray_address: str | None = None
    gpus_per_run: float = 1.0
    memory_per_run: int | None = None
