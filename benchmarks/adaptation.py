"""Few-shot fine-tuning on kept features against the published protocol to the letter, in one run.

    python benchmarks/adaptation.py                            # 10 episodes of 2 and 5 shots: hours on 2 cores
    python benchmarks/adaptation.py --episodes 2 --steps 20    # minutes; the ratio is lower: features are kept once
    python benchmarks/adaptation.py --backbone resnet18 --weights resnet18.safetensors --preset paper
    python benchmarks/adaptation.py --ladder splits/grocery --dataset folder:photos --level 3

Both are the adapter `linear`, which trains the last layer in every episode with the same batches and mining draws. To
the letter (`online=true`), every step augments its images anew and runs the frozen backbone on them; otherwise it picks
from kept features of a few augmented views of every image. The time of each is all it does from images to adapted
embeddings. Recall@1 is that of the queries among each other, with the 95% t interval over episodes, before adapting and
after both. Data: a level of the ladder, by default of glyphs drawn up to 96 pixels; the backbone has random weights
unless a file is given, and the head is the random one that training would start from.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from oodml import registry
from oodml.adapters.base import Adapter, Problem, Trained
from oodml.adapters.cards import AdapterInfo
from oodml.adapters.episodes import draw_of, episodes_of
from oodml.dataset_ref import DatasetRef
from oodml.evaluation import evaluate_embeddings
from oodml.methods.cards import MethodInfo
from oodml.options import parse_pairs
from oodml.prepared_sweep import SweepOptions, prepare_sweep
from oodml.presets import TrainingOptions
from oodml.records import Scalar
from oodml.runner import Bench, build_network, training_set
from oodml.splits import load_ladder
from oodml.statistics import t_interval

LADDER = Path(__file__).parent.parent / "splits" / "glyphs"
FORMS: Mapping[str, Mapping[str, Scalar]] = {"kept features": {}, "to the letter": {"online": True}}


class Scene:
    """An untrained network at a level, and the episodes of the level."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        ladder = load_ladder(arguments.ladder)
        training = {"image_size": arguments.image_size, "embedding_dim": arguments.embedding_dim}
        options = SweepOptions(
            methods=[arguments.method],
            seeds=[0],
            levels=[arguments.level],
            preset=arguments.preset,
            backbone=arguments.backbone,
            pretrained=False,
            weights=arguments.weights,
            backbone_args=parse_pairs(arguments.backbone_args, "--backbone-args"),
            settings={"train": {name: value for name, value in training.items() if value}},
            device=arguments.device,
        )
        where = DatasetRef(arguments.dataset or ladder.dataset, dict(ladder.dataset_options))
        prepared = prepare_sweep(ladder, where, options, Path())
        self.bench: Bench = prepared.bench
        (self.spec,) = prepared.specs
        self.options = TrainingOptions(**dict(self.spec.training))  # type: ignore[arg-type]
        level = ladder.levels[self.spec.level]
        self.base, self.test = training_set(self.bench, level.train), training_set(self.bench, level.test)
        card: MethodInfo = registry.load("method", arguments.method)
        classes = int(self.base[1].max()) + 1
        self.network, self.source = build_network(self.bench, self.spec, card, self.options, classes)
        self.episodes = [
            episode
            for episode in episodes_of(ladder, self.spec.level, arguments.shots)
            if episode.episode < arguments.episodes
        ]

    def model(self) -> Trained:
        """The network with nothing kept."""
        augments = not self.bench.on_vectors
        return Trained(self.spec.run_id, self.network, self.source, *self.test, *self.base, augments)

    def problems(self, model: Trained) -> list[Problem]:
        """All episodes."""
        data = self.bench.data
        ids = [data.image_ids[row] for row in model.rows]
        names = [data.class_names[label] for label in data.labels[model.rows]]
        return [Problem(model, **vars(draw_of(episode, ids, names, model.labels))) for episode in self.episodes]


def recalls(problems: Sequence[Problem], embeddings: Iterable[np.ndarray]) -> np.ndarray:
    """Recall@1 of the queries of every problem."""
    values = []
    for problem, found in zip(problems, embeddings, strict=True):
        model = problem.model
        labels = model.labels[problem.queries]
        kinds: dict[str, Any] = {"metrics": ["recall_at_1"], "distance": model.distance, "device": str(model.device)}
        values.append(evaluate_embeddings(found, labels, **kinds)["recall_at_1"])
    return np.array(values)


def adapted(scene: Scene, overrides: Mapping[str, Scalar]) -> tuple[float, float, np.ndarray]:
    """Seconds before the first step, seconds in all, and recall@1 of every problem."""
    info: AdapterInfo = registry.load("adapter", "linear")
    options = info.resolve_options(overrides)
    adapter: Adapter = info.build(options)
    model = scene.model()
    problems = scene.problems(model)
    started = time.perf_counter()
    assert len(model.pooled)
    if not options["online"]:
        model.views(np.unique(np.concatenate([p.support.ravel() for p in problems])), int(options["views"] or 0))
    kept = time.perf_counter() - started
    found = [embeddings.numpy(force=True) for embeddings in adapter.adapt(problems)]  # waits for a GPU
    return kept, time.perf_counter() - started, recalls(problems, found)


def show(shots: Sequence[int], values: Mapping[str, np.ndarray]) -> None:
    """A row per number of shots: mean and half the interval in percent, before and after."""
    print("\nrecall@1 in %, 95% interval over episodes\n" + " " * 8 + "".join(f"{name:>18s}" for name in values))
    for k in sorted(set(shots)):
        cells = []
        for recall in values.values():
            mean, _, low, _ = t_interval(100 * recall[np.array(shots) == k])
            cells.append(f"{mean:.2f} +- {mean - low:.2f}")
        print(f"{k:2d} shots" + "".join(f"{cell:>18s}" for cell in cells))


def main() -> None:
    """Measures both and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=10, help="of every number of shots")
    parser.add_argument("--shots", type=int, nargs="+", default=[2, 5])
    parser.add_argument("--steps", type=int, default=0, help="0: as published, 1000 for 2 shots and 1500 for 5")
    parser.add_argument("--views", type=int, default=16, help="augmented views of an image whose features are kept")
    parser.add_argument("--only", choices=list(FORMS), help="time one of the two")
    parser.add_argument("--method", default="margin", help="whose heads train")
    parser.add_argument("--backbone", default="mobilenetv2_100", help="a timm model")
    parser.add_argument("--backbone-args", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--weights", type=Path, help="of the backbone; default: random")
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--image-size", type=int, default=96, help="0: what the preset takes")
    parser.add_argument("--embedding-dim", type=int, default=0, help="0: what the preset takes")
    parser.add_argument("--ladder", default=str(LADDER))
    parser.add_argument("--level", type=int, default=0)
    parser.add_argument("--dataset", help="where the ladder's images are, if elsewhere")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    scene = Scene(arguments)
    model = scene.model()
    problems = scene.problems(model)
    shots, steps = [problem.shots for problem in problems], arguments.steps or "the published"
    where = torch.cuda.get_device_name() if scene.bench.device != "cpu" else f"CPU, {torch.get_num_threads()} threads"
    print(
        f"torch {torch.__version__}, {where}; {arguments.backbone} on {scene.options.image_size} px, "
        f"{arguments.method} {scene.options.embedding_dim}-d; {len(problems)} problems at level {arguments.level} of "
        f"{scene.bench.ladder.name}: {len(model.rows)} test images, {steps} steps, {arguments.views} views",
        flush=True,
    )
    values = {
        "as it is": recalls(problems, (p.rows_of(model.embeddings, p.queries).numpy(force=True) for p in problems))
    }
    seconds: dict[str, float] = {}
    for name, overrides in FORMS.items():
        if arguments.only in (None, name):
            options = {"steps": arguments.steps, "views": arguments.views, **overrides}
            kept, seconds[name], values[name] = adapted(scene, options)
            print(f"{name:15s} {seconds[name]:9.1f} s, {kept:.1f} s of it before the first step", flush=True)
    if len(seconds) == len(FORMS):
        print(f"ratio           {seconds['to the letter'] / seconds['kept features']:9.1f}")
    show(shots, values)


if __name__ == "__main__":
    main()
