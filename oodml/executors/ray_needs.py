"""What a job takes of a Ray cluster, and how many of it fit. Needs no Ray."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oodml.errors import UsageError
from oodml.executors.places import Places


@dataclass(frozen=True)
class Needs:
    """Cores, GPUs (or a share of one) and bytes of memory that Ray reserves for a job."""

    cpus: int
    gpus: float = 0.0
    memory: int = 0

    @classmethod
    def of(cls, device: str, places: Places) -> Needs:
        """What a job takes on a device.

        Raises:
            UsageError: If no cluster could give it.
        """
        if not device.startswith("cuda"):
            return cls(places.threads, 0.0, places.memory_per_run or 0)
        share = places.gpus_per_run
        if share <= 0:
            raise UsageError(f"--gpus-per-run {share:g} with device cuda: a run needs some of a GPU, such as 0.5")
        if share > 1 and share != int(share):
            raise UsageError(f"--gpus-per-run {share:g}: Ray gives a share of one GPU, or whole ones, such as 0.5 or 2")
        return cls(places.threads, share, places.memory_per_run or 0)

    @property
    def options(self) -> dict[str, Any]:
        """The same as options of a Ray task."""
        asked = {"num_cpus": self.cpus, "num_gpus": self.gpus}
        return {**asked, "memory": self.memory} if self.memory else asked

    def slots(self, nodes: Sequence[Mapping[str, Any]]) -> int:
        """How many jobs fit at a time into nodes, as `ray.nodes()` lists them."""
        return sum(self._slots(node) for node in _resources(nodes))

    def _slots(self, has: Mapping[str, float]) -> int:
        fits = [has.get("CPU", 0.0) // self.cpus]
        if self.gpus:
            gpus = has.get("GPU", 0.0)  # shares of different GPUs do not add up
            fits.append(gpus // self.gpus if self.gpus > 1 else gpus * math.floor(1 / self.gpus + 1e-9))
        if self.memory:
            fits.append(has.get("memory", 0.0) // self.memory)
        return int(min(fits))

    def check(self, nodes: Sequence[Mapping[str, Any]]) -> None:
        """Refuses what no node of a cluster can do.

        Raises:
            UsageError: Names what is missing.
        """
        alive = _resources(nodes)
        most = {name: max((has.get(name, 0.0) for has in alive), default=0.0) for name in ("CPU", "GPU", "memory")}
        if self.gpus and not most["GPU"]:
            raise UsageError("device cuda: the Ray cluster has no GPU; use --device cpu, or add a node that has one")
        asked = (
            ("--gpus-per-run", self.gpus, most["GPU"], "GPUs"),
            ("--threads", self.cpus, most["CPU"], "CPUs"),
            ("--memory-per-run", self.memory, most["memory"], "bytes of memory for Ray"),
        )
        for flag, wanted, there, what in asked:
            if wanted > there:
                raise UsageError(f"{flag} {wanted:.15g}: no node of the Ray cluster has more than {there:.15g} {what}")
        if not self.slots(alive_nodes := nodes):
            raise UsageError(
                f"none of the {len(alive_nodes)} nodes of the Ray cluster has all that a run needs: {self}"
            )


def _resources(nodes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, float]]:
    return [node["Resources"] for node in nodes if node["Alive"]]
