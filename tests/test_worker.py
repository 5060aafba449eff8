"""A worker process never outlives its sweep."""

from __future__ import annotations

import subprocess
import sys


def test_a_worker_whose_driver_is_already_gone_ends() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    code = (
        "import time; from pathlib import Path\n"
        "from oodml.executors.worker import prepare\n"
        f"prepare(None, Path('.'), 1, {gone.pid})\n"
        "time.sleep(100)"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=60, check=False)
    assert done.returncode == 1
