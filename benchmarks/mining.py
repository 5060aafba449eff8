"""Time of distance-weighted mining against a loop over anchors and pytorch-metric-learning, in one run.

    python benchmarks/mining.py                    # on the CPU, seconds
    python benchmarks/mining.py --device cuda      # on a GPU, with the host synchronisations of a call

Data: random unit vectors, 112 x 512 as in the study, two per class. All take turns, so that a busy machine slows all of
them; the least time of each counts. The loop is written twice, on tensors, as the published miner has it, and in NumPy,
which is faster at such small rows and starts with a copy to the host. The goal on the CPU is a twentieth of the time of
the loop on tensors.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_metric_learning.miners import DistanceWeightedMiner
from torch import Tensor
from torch.nn import functional

from oodml.methods.mining import distance_weighted

BATCH, DIMENSION, PER_CLASS = 112, 512, 2
GOAL = 20
CALLS = 5  # in a row, so that nobody's caches are only those of the one before
SYNC_BATCHES = (28, 112, 448)


def data(batch: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Unit vectors and labels."""
    rows = torch.randn(batch, DIMENSION, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(batch) // PER_CLASS
    return functional.normalize(rows, dim=1).to(device), labels.to(device)


def loop(rows: Tensor, labels: Tensor, rng: np.random.Generator) -> list[tuple[int, int, int]]:
    """One triplet per anchor, anchor by anchor, as the published miner goes about it."""
    z, y = rows.cpu().numpy(), labels.cpu().numpy()
    distances: NDArray[np.float32] = np.sqrt(np.maximum(2 - 2 * z @ z.T, 0)).clip(0.5, 1.999)
    triplets = []
    for anchor, d in enumerate(distances):
        same = y == y[anchor]
        log_weights = (2 - DIMENSION) * np.log(d) - (DIMENSION - 3) / 2 * np.log(1 - d**2 / 4)
        log_weights[same] = 0
        weights = np.exp(log_weights - log_weights.max())
        weights[same] = 0
        negative = rng.choice(len(y), p=weights / weights.sum())
        same[anchor] = False
        positive = rng.choice(np.flatnonzero(same)) if same.any() else anchor
        triplets.append((anchor, int(positive), int(negative)))
    return triplets


def tensor_loop(rows: Tensor, labels: Tensor, generator: torch.Generator) -> list[tuple[int, int, int]]:
    """The same loop on tensors, which is where the embeddings of a training step are."""
    distances = (2 - 2 * rows @ rows.T).clamp(min=0).sqrt().clamp(0.5, 1.999)
    triplets = []
    for anchor, d in enumerate(distances):
        same = labels == labels[anchor]
        log_weights = (2 - DIMENSION) * d.log() - (DIMENSION - 3) / 2 * (1 - d.square() / 4).log()
        log_weights[same] = 0
        weights = (log_weights - log_weights.max()).exp()
        weights[same] = 0
        negative = torch.multinomial(weights / weights.sum(), 1, generator=generator)
        same[anchor] = not bool(same.sum() > 1)
        positive = torch.multinomial(same.float(), 1, generator=generator)
        triplets.append((anchor, int(positive), int(negative)))
    return triplets


def timed(functions: dict[str, Callable[[], Any]], device: torch.device, repeats: int) -> dict[str, float]:
    """Least milliseconds of each, which take turns of a few calls."""
    best = dict.fromkeys(functions, float("inf"))
    for _ in range(repeats):
        for name, function in functions.items():
            for _ in range(CALLS):
                started = time.perf_counter()
                function()
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                best[name] = min(best[name], 1000 * (time.perf_counter() - started))
    return best


def synchronisations(batch: int, device: torch.device) -> int:
    """How often one call of our miner makes the host wait for the GPU."""
    rows, labels = data(batch, device)
    generator = torch.Generator(device).manual_seed(0)
    distance_weighted(rows, labels, generator)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            distance_weighted(rows, labels, generator)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(warning.message) for warning in caught)


def compare(device: torch.device, repeats: int) -> None:
    """Prints the table of a device."""
    rows, labels = data(BATCH, device)
    generator, rng, theirs = torch.Generator(device).manual_seed(0), np.random.default_rng(0), DistanceWeightedMiner()
    found = timed(
        {
            "oodml": lambda: distance_weighted(rows, labels, generator),
            "pytorch-metric-learning": lambda: theirs(rows, labels),
            "loop over anchors": lambda: tensor_loop(rows, labels, generator),
            "loop over anchors in numpy": lambda: loop(rows, labels, rng),
        },
        device,
        repeats,
    )
    where = f"{torch.get_num_threads()} threads" if device.type == "cpu" else torch.cuda.get_device_name(device)
    print(f"\n{BATCH} x {DIMENSION}, {PER_CLASS} per class, {device} ({where}), least of {repeats * CALLS}")
    for name, milliseconds in found.items():
        print(f"{name:32s} {milliseconds:9.3f} ms {milliseconds / found['oodml']:8.1f} x oodml")
    if device.type == "cpu":
        ratio = found["loop over anchors"] / found["oodml"]
        print(f"goal: {GOAL} x faster than the loop on tensors: {'met' if ratio >= GOAL else 'missed'}")
        return
    counts = {batch: synchronisations(batch, device) for batch in SYNC_BATCHES}
    print(f"host synchronisations per call by batch size: {counts}")
    assert len(set(counts.values())) == 1, "the number of synchronisations grows with the batch"


def main() -> None:
    """Runs the device that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("this machine has no CUDA device; leave out --device")
    compare(device, options.repeats)


if __name__ == "__main__":
    main()
