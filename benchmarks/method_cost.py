"""What a training step of every method costs beside one of `margin`, in one run.

    python benchmarks/method_cost.py                             # every method on the quick preset's network: minutes
    python benchmarks/method_cost.py --methods arcface,diva --steps 5
    python benchmarks/method_cost.py --backbone resnet18.a1_in1k --image-size 64
    python benchmarks/method_cost.py --write                     # put the ratios where `oodml methods NAME` finds them

A step is what the training loop does: batch, forward pass, loss, optimiser and the method's hook after it. Blocks of
steps of the method and of `margin` alternate, so that a machine that slows down slows both, and the ratio is the
median over rounds. The row of `margin`, against a second network of its own, shows what is noise. The last column
adds the hook at the start of an epoch, spread over the steps of the epoch.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from oodml import registry
from oodml.dataset_ref import DatasetRef
from oodml.method_groups import expand_groups
from oodml.methods.cards import MethodInfo
from oodml.methods.cards.costs import COSTS_FILE
from oodml.presets import TrainingOptions
from oodml.runner import build_network, training_score, training_set
from oodml.seeds import torch_generator
from oodml.splits import load_ladder
from oodml.sweep import Prepared, SweepOptions, prepare_sweep
from oodml.training import optimizer_of, start

PEER, LIMIT, WARM_UP = "margin", 2.0, 3
EXCUSES = ("forward pass", "two views")  # needs by which the network runs more than once a step
LADDER = Path(__file__).parent.parent / "splits" / "glyphs"


class Trainee:
    """A method in training, whose steps are timed in blocks."""

    def __init__(self, prepared: Prepared, name: str) -> None:
        bench = prepared.bench
        spec = next(spec for spec in prepared.specs if spec.method == name)
        options = TrainingOptions(**dict(spec.training))  # type: ignore[arg-type]
        rows, labels = training_set(bench, bench.ladder.levels[spec.level].train)
        card: MethodInfo = registry.load("method", name)
        network, source = build_network(bench, spec, card, options, int(labels.max()) + 1)
        random = {purpose: torch_generator(spec.run_id, purpose) for purpose in ("sampling", "augmentation")}

        self.network, self.device, self.num_images = network, torch.device(bench.device), len(rows)
        optimizer, score = optimizer_of(network, options), training_score(bench, network, source, rows)
        self.state = start(network, source, rows, torch.from_numpy(labels), options, random, optimizer, score)
        self.epoch_s = self._begin_epoch()
        self.block_s(WARM_UP)

    def _begin_epoch(self) -> float:
        """Seconds of the hook at the start of the second epoch: the first may do less, or set things up."""
        for _ in range(2):
            began = self._now()
            self.network.method.on_epoch_start(self.state)
            self.state.epoch += 1
            seconds = self._now() - began
        return seconds

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def block_s(self, steps: int) -> float:
        """Seconds of so many steps."""
        state, method = self.state, self.network.method
        began = self._now()
        for _ in range(steps):
            batch = state.make_batch(next(state.batches), state.step)
            state.optimize(method.loss([self.network(view) for view in batch.inputs], batch))
            state.step += 1
            method.after_step(state)
        return self._now() - began


@dataclass(frozen=True)
class Cost:
    """Steps of a method beside steps of `margin`.

    Attributes:
        name: The method.
        step_ms: Median time of a step of the method.
        ratio: Median over rounds of its time over that of `margin`.
        low: Least ratio of a round.
        high: Greatest ratio of a round.
        epoch_ratio: The ratio with the hook at the start of an epoch spread over the steps of the epoch.
    """

    name: str
    step_ms: float
    ratio: float
    low: float
    high: float
    epoch_ratio: float

    @property
    def needs(self) -> tuple[str, ...]:
        """What the method needs, by its record."""
        info: MethodInfo = registry.load("method", self.name)
        return info.needs

    @property
    def too_slow(self) -> bool:
        """Whether it exceeds the limit although the network runs once a step."""
        return self.ratio > LIMIT and not any(excuse in need for need in self.needs for excuse in EXCUSES)


def measure(prepared: Prepared, peer: Trainee, name: str, rounds: int, steps: int) -> Cost:
    """Alternating blocks of a method and of `margin`; who begins alternates as well."""
    method = Trainee(prepared, name)
    pairs: list[tuple[float, float]] = []
    for turn in range(rounds):
        if turn % 2:
            theirs, own = peer.block_s(steps), method.block_s(steps)
        else:
            own, theirs = method.block_s(steps), peer.block_s(steps)
        pairs.append((own / steps, theirs / steps))
    ratios = [own / theirs for own, theirs in pairs]
    hook = method.epoch_s / method.state.steps_per_epoch
    with_hook = statistics.median((own + hook) / theirs for own, theirs in pairs)
    step_ms = 1000 * statistics.median(own for own, _ in pairs)
    return Cost(name, step_ms, statistics.median(ratios), min(ratios), max(ratios), with_hook)


def prepare(arguments: argparse.Namespace) -> Prepared:
    """A sweep of the methods on the lowest level with networks from scratch, which is never executed."""
    ladder = load_ladder(arguments.ladder)
    asked = expand_groups(arguments.methods.split(","))
    names = [name for name in dict.fromkeys([PEER, *asked]) if registry.load("method", name).trains]
    options = SweepOptions(
        methods=names,
        seeds=[0],
        levels=[0],
        backbone=arguments.backbone,
        pretrained=False,
        settings={"train": {"image_size": arguments.image_size}} if arguments.image_size else {},
        device=arguments.device,
    )
    where = DatasetRef(arguments.dataset or ladder.dataset, dict(ladder.dataset_options))
    return prepare_sweep(ladder, where, options, Path())


def conditions(prepared: Prepared, peer: Trainee, arguments: argparse.Namespace) -> str:
    """What was measured and how, in one line."""
    bench, training, threads = prepared.bench, prepared.training, torch.get_num_threads()
    where = torch.cuda.get_device_name() if bench.device != "cpu" else f"CPU, {threads} thread{'s'[: threads > 1]}"
    size = f"{training.image_size} px" if training.image_size else "vectors"
    return (
        f"torch {torch.__version__}, {where}; {bench.network.name} from scratch on {size}, {training.embedding_dim}-d, "
        f"batches of {training.batch_size} of the {peer.num_images} training images of {bench.ladder.name} level 0; "
        f"median of {arguments.rounds} alternating rounds of {arguments.steps} steps"
    )


def write(path: Path, text: str, costs: Sequence[Cost]) -> None:
    """Stores the ratios; those of methods not measured now stay if they were measured under the same conditions."""
    old: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept = old["ratio"] if old.get("conditions") == text else {}
    ratios = {**kept, **{cost.name: round(cost.ratio, 2) for cost in costs}}
    document = {"conditions": text, "ratio": dict(sorted(ratios.items()))}
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def show(cost: Cost) -> None:
    """One row of the table."""
    needs = f"  needs {', '.join(cost.needs) or 'labelled batches'}" if cost.ratio > LIMIT else ""
    spread = f"{cost.low:.2f} to {cost.high:.2f}"
    row = f"{cost.name:28s} {cost.step_ms:8.1f} {cost.ratio:7.2f}  {spread:14s} {cost.epoch_ratio:7.2f}{needs}"
    print(row, flush=True)


def main() -> None:
    """Measures, prints, and writes if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default="all", help="names and groups, separated by commas")
    parser.add_argument("--steps", type=int, default=10, help="steps of a block")
    parser.add_argument("--rounds", type=int, default=7, help="pairs of blocks per method")
    parser.add_argument("--backbone", help="a timm model, from scratch; default: the quick preset's")
    parser.add_argument("--image-size", type=int, help="default: what the quick preset takes")
    parser.add_argument("--ladder", default=str(LADDER), help="whose lowest level gives the batches")
    parser.add_argument("--dataset", help="where the ladder's images are, if elsewhere")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", action="store_true", help=f"store the ratios in {COSTS_FILE.name} of the package")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    prepared = prepare(arguments)
    peer = Trainee(prepared, PEER)
    text = conditions(prepared, peer, arguments)
    print(f"{text}\n\n{'method':28s} {'ms/step':>8s} {'ratio':>7s}  {'rounds':14s} {'+ epoch':>7s}")
    costs = []
    for name in dict.fromkeys(spec.method for spec in prepared.specs):
        costs.append(measure(prepared, peer, name, arguments.rounds, arguments.steps))
        show(costs[-1])
    slow = [cost.name for cost in costs if cost.too_slow]
    print(f"\nabove {LIMIT:g} without a second forward pass: {', '.join(slow) or 'none'}")
    if arguments.write:
        write(COSTS_FILE, text, costs)
        print(f"written: {COSTS_FILE}")


if __name__ == "__main__":
    main()
