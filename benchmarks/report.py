"""A report of a million rows: time, memory, and size of the page.

    python benchmarks/report.py                       # 50 methods x 8 levels x 5 seeds, zero-shot and few-shot
    python benchmarks/report.py --methods 9 --seeds 3

The numbers are drawn at random; the ladder is that of glyphs. The peer is pandas: it reads the same file and takes
mean, standard deviation and count of every cell, and draws nothing. Everything happens in a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from oodml import schema, store
from oodml.parts import PACKED, PART, PARTS
from oodml.presets import QUICK
from oodml.reporting import make_report
from oodml.schema import FEW_SHOT, UNADAPTED
from oodml.splits import load_ladder

LADDER = Path(__file__).parent.parent / "splits" / "glyphs"
METRICS = ("recall_at_1", "recall_at_2", "map_at_r", "nmi", "rho_1", "uniformity", "intra", "inter", "intra_over_inter")
ADAPTERS = (UNADAPTED, "linear", "prototypes", "whitening", "ridge", "lda", "teen", "tip")
FEW_METRICS = ("recall_at_1", "map_at_r")
SHOTS, EPISODES = (2, 5, 10), 10
CELL = ["method", "level", "setting", "shots", "adapter", "metric"]


def run_rows(run: dict[str, Any], generator: np.random.Generator, few_shot: bool) -> Iterator[pd.DataFrame]:
    """Rows of one run, zero-shot and adapted."""
    quality = 0.9 - 0.01 * run["rank"] - 0.02 * run["level"] + 0.01 * generator.normal()
    zero = pd.DataFrame({"metric": METRICS, "value": quality + 0.01 * generator.normal(size=len(METRICS))})
    yield zero.assign(setting="zero_shot", **{PACKED: f"runs/{run['run_id']}"})
    if not few_shot:
        return
    index = pd.MultiIndex.from_product([SHOTS, ADAPTERS, range(EPISODES), FEW_METRICS])
    rows = index.to_frame(index=False, name=["shots", "adapter", "episode", "metric"])
    gain = 0.01 * rows["shots"] * (rows["adapter"] != UNADAPTED)
    rows["value"] = quality + gain + 0.01 * generator.normal(size=len(rows))
    names = "adapted/" + run["run_id"] + "-" + rows["shots"].astype(str) + rows["adapter"]
    yield rows.assign(setting=FEW_SHOT, **{PACKED: names})


def write_sweep(folder: Path, methods: int, seeds: int, few_shot: bool) -> int:
    """A finished sweep in one part; returns its number of rows."""
    ladder = load_ladder(LADDER)
    shutil.copytree(LADDER, folder / "ladder")
    generator = np.random.default_rng(0)
    frames, plan = [], []
    for rank in range(methods):
        config = json.dumps({"method": {"rank": rank}, "training": QUICK.as_dict(), "backbone": {"weights": "none"}})
        for level in ladder.levels:
            for seed in range(seeds):
                run = {"rank": rank, "level": level.index, "run_id": f"{rank:02d}{level.index}{seed}"}
                own = {"run_id": run["run_id"], "level": level.index, "seed": seed, "method": f"method_{rank:02d}"}
                own |= {"benchmark": ladder.name, "backbone": "net", "embedding_dim": 64, "config": config}
                own |= {"selection": "last"}
                plan.append(own)
                shift = {"shift": level.shift, "shift_scaled": level.shift_scaled, "ladder_hash": ladder.ladder_hash}
                more = {"status": "done", "train_s": 10.0 + rank, "device": "cpu", "oodml_version": "0"}
                more |= {"torch_version": "0", "started_at": "2026-01-01T00:00:00", "dataset": ladder.dataset}
                frames += [rows.assign(**own, **shift, **more) for rows in run_rows(run, generator, few_shot)]
    rows = pd.concat(frames, ignore_index=True)
    columns = {name: rows[name] for name in rows.columns if name in PART.names}
    store.write_table(folder / PARTS / "all.parquet", schema.table(PART, columns))
    planned = pd.DataFrame(plan)
    store.write_table(folder / "plan.parquet", schema.table(schema.PLAN, {name: planned[name] for name in planned}))
    return len(rows)


def peer(folder: Path) -> pd.DataFrame:
    """What pandas alone takes for the means."""
    rows = pd.read_parquet(folder / PARTS / "all.parquet", columns=[*CELL, "seed", "value"])
    by_seed = rows.groupby([*CELL, "seed"], dropna=False)["value"].mean().reset_index()
    return by_seed.groupby(CELL, dropna=False)["value"].agg(["mean", "std", "count"])


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--no-few-shot", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name) / "sweep", Path(name) / "report"
        rows = write_sweep(folder, arguments.methods, arguments.seeds, not arguments.no_few_shot)
        started = time.perf_counter()
        peer(folder)
        means = time.perf_counter() - started
        started = time.perf_counter()
        page, _ = make_report([folder], out, processes=2)
        seconds = time.perf_counter() - started
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        files = sum(1 for _ in out.iterdir())
        print(f"{rows} rows: report in {seconds:.1f} s, {files} files, peak memory {memory:.2f} GiB")
        size = page.stat().st_size / 1e6
        print(f"page {size:.2f} MB; means alone with pandas {means:.1f} s, ratio {seconds / means:.1f}")


if __name__ == "__main__":
    main()
