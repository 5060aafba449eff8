"""Peak memory of one run."""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from pathlib import Path

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """Peak since construction: of the accelerator where one trains, else of the process's resident memory.

    Linux lets a process reset its own peak; elsewhere the peak is that of the whole process so far.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        if device.startswith("cuda"):
            import torch

            torch.cuda.reset_peak_memory_stats()
        else:
            with suppress(OSError):
                RESET.write_text("5")  # resets VmHWM, see proc(5)

    def peak_mb(self) -> float:
        """The peak in MiB."""
        if self.device.startswith("cuda"):
            import torch

            return torch.cuda.max_memory_allocated() / 2**20
        with suppress(OSError):
            for line in STATUS.read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
        scale = 2**20 if sys.platform == "darwin" else 1024  # macOS counts bytes, others KiB
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
