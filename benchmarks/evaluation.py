"""Time and memory of the evaluation engine against its peers, in one run.

    python benchmarks/evaluation.py                # 5,900 x 512 with 100 classes: about a minute
    python benchmarks/evaluation.py --large        # 56,580 x 512 with 11,316 classes: about ten minutes on 2 cores

Peers: the metrics of pytorch-metric-learning's AccuracyCalculator; a plain faiss search of the 1,001 nearest with the
study's metrics from its lists and scikit-learn; and half of the bare product of all rows with all rows, the least that
any exact search of a set in itself has to compute. Data: Gaussian classes on the sphere, fixed seed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import faiss
import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from sklearn.metrics import normalized_mutual_info_score

from oodml.clusters import kmeans
from oodml.evaluation import evaluate
from oodml.memory import PeakMemory
from oodml.metrics.clustering import pair_f1

RETRIEVAL = ["recall_at_1", "recall_at_2", "recall_at_4", "map_at_1000_paper", "map_at_c_paper"]
STUDY = [
    *RETRIEVAL,
    *("nmi", "f1", "intra", "inter", "intra_over_inter", "rho_1", "rho_2", "rho_10", "rho_minus_1"),
]
"""The study's names; its fifteenth, the singular values themselves, is what the rho metrics are made of."""
Rows = NDArray[np.float32]
Labels = NDArray[np.int64]


def data(num_rows: int, num_classes: int, dimension: int = 512) -> tuple[Rows, Labels]:
    """Unit rows around random centres, in random order."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(num_rows) % num_classes)
    centres = rng.normal(size=(num_classes, dimension)).astype(np.float32)
    rows = centres[labels] + 4 * rng.normal(size=(num_rows, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), labels


def calculator(rows: Rows, labels: Labels) -> dict[str, float]:
    """pytorch-metric-learning's five metrics with its defaults, on the CPU."""
    found = AccuracyCalculator(device=torch.device("cpu"), k="max_bin_count")
    return dict(found.get_accuracy(torch.from_numpy(rows), torch.from_numpy(labels)))


def plain(rows: Rows, labels: Labels) -> dict[str, float]:
    """Lists of neighbours by faiss, metrics from the lists: what one writes without thinking about memory."""
    near = faiss.knn(rows, rows, min(1001, len(rows)))[1]
    hits = labels[near[:, 1:]] == labels[:, None]
    size = np.bincount(labels)[labels]
    rank = np.arange(1, hits.shape[1] + 1)
    precision = hits * np.cumsum(hits, axis=1) / rank
    clusters = kmeans(rows, int(labels.max()) + 1)
    return {
        **{f"recall_at_{k}": float(hits[:, :k].any(axis=1).mean()) for k in (1, 2, 4)},
        "map_at_1000_paper": float((precision.sum(axis=1) / size).mean()),
        "map_at_c_paper": float(((precision * (rank <= size[:, None])).sum(axis=1) / size).mean()),
        "nmi": float(normalized_mutual_info_score(labels, clusters)),
        "f1": pair_f1(labels, clusters),
    }


def half_product(rows: Rows) -> float:
    """Seconds of half of the product of all rows with all rows, in slices that fit the memory of the engine."""
    table = torch.from_numpy(rows)
    out = torch.empty((2000, len(rows)))
    started = time.perf_counter()
    for start in range(0, len(rows), 2000):
        block = table[start : start + 2000]
        torch.mm(block, table.t(), out=out[: len(block)])
    return (time.perf_counter() - started) / 2


def timed(function: Callable[[], Any], repeats: int) -> tuple[float, float, Any]:
    """Least seconds of some repeats, growth of the resident memory in MiB, and the result."""
    best, result = float("inf"), None
    memory = PeakMemory("cpu")
    before = memory.peak_mb()
    for _ in range(repeats):
        started = time.perf_counter()
        result = function()
        best = min(best, time.perf_counter() - started)
    return best, memory.peak_mb() - before, result


def compare(num_rows: int, num_classes: int, repeats: int, peers: bool) -> None:
    """Prints a table for one size."""
    rows, labels = data(num_rows, num_classes)
    print(f"\n{num_rows} x {rows.shape[1]}, {num_classes} classes, {torch.get_num_threads()} threads")
    product = min(half_product(rows) for _ in range(max(2, repeats)))
    print(f"{'half of the bare product':48s} {product:8.2f} s")

    def show(name: str, function: Callable[[], Any], against: float) -> tuple[float, Any]:
        seconds, memory, result = timed(function, repeats)
        ratio = f"{seconds / against:8.2f}" if against else ""
        print(f"{name:48s} {seconds:8.2f} s {memory:8.0f} MiB above {ratio}", flush=True)
        return seconds, result

    exact, _ = show(
        "oodml, recall and maps (against the product)", lambda: evaluate(rows, labels, metrics=RETRIEVAL), product
    )
    show(
        "oodml, the same --approximate (against exact)",
        lambda: evaluate(rows, labels, metrics=RETRIEVAL, approximate=True),
        exact,
    )
    ours, found = show("oodml, the study's metrics", lambda: evaluate(rows, labels, metrics=STUDY), 0)
    print("    " + ", ".join(f"{part} {seconds:.2f} s" for part, seconds in found.seconds.items()))
    show("oodml, default (against the study's)", lambda: evaluate(rows, labels), ours)
    if not peers:
        return
    _, theirs = show("faiss k=1001 and scikit-learn (against ours)", lambda: plain(rows, labels), ours)
    for name, value in theirs.items():
        assert abs(value - found.scores[name]) < 1e-4, (name, value, found.scores[name])
    show("AccuracyCalculator, 5 metrics (against ours)", lambda: calculator(rows, labels), ours)


def main() -> None:
    """Runs the sizes that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="56,580 rows of 11,316 classes as well")
    parser.add_argument("--no-peers", action="store_true", help="only oodml and the product")
    options = parser.parse_args()
    evaluate(*data(500, 10), metrics=STUDY)  # imports and thread pools
    compare(5_900, 100, 5, not options.no_peers)
    if options.large:
        compare(56_580, 11_316, 1, not options.no_peers)


if __name__ == "__main__":
    main()
