"""Kills the workers and drivers of a sweep at random, and proves that nothing is lost, repeated or changed.

    python benchmarks/stress.py                         # 240 tiny runs, 100 kills: about half an hour on 2 cores
    python benchmarks/stress.py --runs 24 --kills 6     # a short version

The sweep runs as its own process with two workers. After one or two new results a worker gets SIGKILL, sometimes the
driver; a driver that is gone is started again with the same command. At the end the rows and the leaderboard are
compared with those of a sweep that nothing disturbed.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from os import kill
from pathlib import Path

import numpy as np
import pandas as pd

import oodml
from oodml.datasets import load_dataset
from oodml.make_splits import ladder_from_dataset
from oodml.reporting import load_sections
from oodml.schema import COSTS
from oodml.splits.files import save_ladder

METHODS = ("margin", "triplet", "multisimilarity")
LEVELS, DRIVER_SHARE, PATIENCE_S = 2, 0.1, 300.0
KEY = ["run_id", "metric"]
OPTIONS = ("--steps", "60", "--set", "train.batch_size=16", "--set", "train.per_class=4", "--embedding-dim", "6")


def make_splits(folder: Path) -> Path:
    """A ladder of two levels on a few vectors."""
    draw = np.random.default_rng(0)
    labels = np.repeat(np.arange(16), 8)
    vectors = folder / "vectors.npz"
    np.savez(vectors, embeddings=draw.normal(size=(128, 8)) + 0.5 * draw.normal(size=(16, 8))[labels], labels=labels)
    spec = f"embeddings:{vectors}"
    save_ladder(ladder_from_dataset(load_dataset(spec), spec, levels=LEVELS, episodes=1, null_draws=5), folder / "tiny")
    return folder / "tiny"


def start(ladder: Path, out: Path, seeds: int) -> subprocess.Popen[bytes]:
    """A driver; what it prints goes to a file beside the results."""
    command = [sys.executable, "-m", "oodml", "sweep", str(ladder), "--methods", ",".join(METHODS), *OPTIONS]
    command += ["--seeds", str(seeds), "--workers", "2", "--checkpoint-every", "0.1", "--retry-failed"]
    with out.with_suffix(".log").open("ab") as log:
        return subprocess.Popen([*command, "--out", str(out)], stdout=log, stderr=subprocess.STDOUT)


def workers_of(driver: int) -> list[int]:
    """Worker processes of a driver."""
    found = []
    for children in Path(f"/proc/{driver}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(text) for text in children.read_text().split()]
    workers = []
    for process in found:
        with suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes():
                workers.append(process)
    return workers


def count_results(out: Path) -> int:
    """Run files that are there."""
    return len(list((out / "runs").glob("*.parquet")))


def disturb(ladder: Path, out: Path, seeds: int, kills: int, chance: random.Random) -> Counter[str]:
    """Sweeps with so many kills; returns what was killed, and the number of drivers that were started."""
    done: Counter[str] = Counter()
    driver, quiet_since, at_last_kill = start(ladder, out, seeds), time.monotonic(), count_results(out)
    done["drivers started"] += 1
    wait_for = chance.randint(1, 2)
    while True:
        time.sleep(0.02)
        if time.monotonic() - quiet_since > PATIENCE_S:
            raise SystemExit(f"no new result for {PATIENCE_S:g} s; see {out.with_suffix('.log')}")
        code = driver.poll()
        if code == 0:
            return done
        if code is not None:
            driver = start(ladder, out, seeds)
            done["drivers started"] += 1
            quiet_since = time.monotonic()
        if count_results(out) - at_last_kill < wait_for or killed(done) >= kills:
            quiet_since = max(quiet_since, newest(out, quiet_since))
            continue
        workers = workers_of(driver.pid)
        kind, victim = ("driver", driver.pid) if chance.random() < DRIVER_SHARE else ("worker", 0)
        if kind == "worker" and not workers:
            continue
        time.sleep(chance.random() * 0.2)  # anywhere in a run, not at its end
        with suppress(ProcessLookupError):
            kill(victim or chance.choice(workers), signal.SIGKILL)
            done[kind] += 1
        if kind == "driver":
            driver.wait()
        at_last_kill, wait_for, quiet_since = count_results(out), chance.randint(1, 2), time.monotonic()


def killed(done: Counter[str]) -> int:
    """Kills so far."""
    return done["driver"] + done["worker"]


def newest(out: Path, otherwise: float) -> float:
    """The moment of now if a result is younger than a second."""
    times = [path.stat().st_mtime for path in (out / "runs").glob("*.parquet")]
    return time.monotonic() if times and time.time() - max(times) < 1 else otherwise


def compare(calm: Path, disturbed: Path, planned: int) -> None:
    """Refuses any difference between two sweeps but what they cost."""
    rows = [oodml.read_runs(folder).sort_values(KEY, ignore_index=True) for folder in (calm, disturbed)]
    assert [frame["run_id"].nunique() for frame in rows] == [planned, planned], "a run is lost"
    assert not any(frame.duplicated(KEY).any() for frame in rows), "a row is there twice"
    columns = [*KEY, "method", "level", "seed", "value", "num_queries", "status"]
    pd.testing.assert_frame_equal(rows[0][columns], rows[1][columns], check_exact=True)
    boards = [load_sections([folder])[0].frame.drop(columns=list(COSTS)) for folder in (calm, disturbed)]
    pd.testing.assert_frame_equal(boards[0], boards[1], check_exact=True)
    print(f"{planned} runs, {len(rows[0])} rows: none lost, none twice, leaderboard of {len(boards[0])} rows identical")


def main() -> None:
    """Parses the options, sweeps twice and compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=240, help="at least so many runs (240)")
    parser.add_argument("--kills", type=int, default=100, help="kills in all (100)")
    parser.add_argument("--seed", type=int, default=0, help="of the order of kills (0)")
    options = parser.parse_args()
    seeds = -(-options.runs // (LEVELS * len(METHODS)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ladder = make_splits(folder)
        if start(ladder, folder / "calm", seeds).wait():
            raise SystemExit((folder / "calm.log").read_text())
        done = disturb(ladder, folder / "disturbed", seeds, options.kills, random.Random(options.seed))
        print(", ".join(f"{kind}: {number}" for kind, number in sorted(done.items())))
        compare(folder / "calm", folder / "disturbed", seeds * LEVELS * len(METHODS))
        if killed(done) < options.kills:
            raise SystemExit(f"the sweep was over after {killed(done)} kills; ask for more --runs")


if __name__ == "__main__":
    main()
