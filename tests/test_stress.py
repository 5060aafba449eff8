"""A short version of the stress script: workers and a driver are killed, and the results are those of a calm sweep."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "stress.py"


@pytest.mark.slow
def test_a_sweep_under_fire_ends_with_the_rows_of_a_calm_one() -> None:
    command = [sys.executable, str(SCRIPT), "--runs", "24", "--kills", "6", "--seed", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    killed = {kind: int(number) for kind, number in re.findall(r"(driver|worker): (\d+)", done.stdout)}
    assert sum(killed.values()) == 6 and set(killed) == {"driver", "worker"}
    assert "24 runs" in done.stdout and "none lost, none twice" in done.stdout
