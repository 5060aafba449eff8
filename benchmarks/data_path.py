"""What the data path of training costs: images per second of whole steps, against synthetic data and a DataLoader.

    python benchmarks/data_path.py                                                    # 2 cores, the small network
    python benchmarks/data_path.py --device cuda --backbone resnet50 --image-size 224 --batch 112

Three ways to feed the same training steps (forward, margin loss, backward, Adam) of the same network, in one run:
synthetic (one batch in memory, again and again: what the network alone allows), ours (pictures packed once, then
cropped, mirrored and normalised per batch on the device that trains), and torchvision's ImageFolder under a DataLoader
that decodes, crops and mirrors each picture in worker processes. The pictures are JPEG files made here, 500 x 375
unless --picture says otherwise. Packing is paid once per data set and printed beside the rates.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from oodml import registry
from oodml.backbones import build_backbone
from oodml.datasets import load_dataset
from oodml.datasets.base import Dataset
from oodml.images import ImageSettings, pack
from oodml.inputs import ImageSource
from oodml.methods.base import Batch, Context
from oodml.model import Network
from oodml.networks import NetworkConfig
from oodml.presets import PAPER, TrainingOptions
from oodml.training import optimizer_of, start

CLASSES, PER_CLASS = 40, 20
Feed = Iterator[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Setting:
    """What is measured."""

    device: str
    backbone: str
    options: TrainingOptions
    workers: int
    steps: int


def make_pictures(folder: Path, width: int) -> None:
    """Smooth random pictures as JPEG files, a folder per class."""
    rng = np.random.default_rng(0)
    for label in range(CLASSES):
        (folder / f"class{label:02d}").mkdir(parents=True)
        for number in range(PER_CLASS):
            coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
            fine = coarse.resize((width, width * 3 // 4), Image.Resampling.BICUBIC)
            fine.save(folder / f"class{label:02d}" / f"{number:03d}.jpg", quality=90)


def make_network(setting: Setting) -> Network:
    """A new network from scratch with the margin loss."""
    torch.manual_seed(0)
    config = NetworkConfig(setting.backbone, pretrained=False)
    backbone = build_backbone(config, image_size=setting.options.image_size, seed=0)
    card = registry.load("method", "margin")
    generator = torch.Generator(setting.device).manual_seed(0)
    context = Context(backbone.num_features, setting.options.embedding_dim, CLASSES, generator)
    method = card.build(context, card.resolve_options("", {}))
    network = Network(backbone, method, bf16=setting.device == "cuda").to(setting.device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.train()


def ours(setting: Setting, network: Network, dataset: Dataset, cache: Path) -> tuple[Feed, float]:
    """Batches of the packed pictures, and the seconds that packing took."""
    options, rows = setting.options, np.arange(len(dataset))
    started = time.perf_counter()
    packed = pack(dataset, ImageSettings(options.image_size, options.resize, options.fit), cache=cache)
    seconds = time.perf_counter() - started
    source = ImageSource(packed, options, network.backbone, torch.device(setting.device))
    _, classes = np.unique(dataset.labels, return_inverse=True)
    random = {name: torch.Generator().manual_seed(0) for name in ("sampling", "augmentation")}
    state = start(network, source, rows, torch.from_numpy(classes), options, random, optimizer_of(network, options))

    def feed() -> Feed:
        for picked in state.batches:
            batch = state.make_batch(picked, 0)
            yield batch.inputs[0], batch.labels

    return feed(), seconds


def loader(setting: Setting, folder: Path, network: Network) -> Feed:
    """The usual DataLoader over image files."""
    options = setting.options
    steps = [
        transforms.RandomResizedCrop(options.image_size, scale=(options.crop_min_scale, 1.0)),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(network.backbone.mean, network.backbone.std),
    ]
    files = ImageFolder(str(folder), transforms.Compose(steps))
    cuda = setting.device == "cuda"
    batches = DataLoader(
        files,
        options.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=setting.workers,
        persistent_workers=setting.workers > 0,
        pin_memory=cuda,
    )
    while True:
        for images, labels in batches:
            moved = images.to(setting.device, non_blocking=True, memory_format=torch.channels_last)
            yield moved, labels.to(setting.device, non_blocking=True)


def rate(setting: Setting, network: Network, feed: Feed) -> Callable[[], float]:
    """Measures images per second of whole training steps."""
    optimizer = optimizer_of(network, setting.options)

    def step() -> None:
        images, labels = next(feed)
        loss = network.method.loss([network(images)], Batch((images,), labels, labels.cpu(), 0))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def measure() -> float:
        started = time.perf_counter()
        for _ in range(setting.steps):
            step()
        if setting.device == "cuda":
            torch.cuda.synchronize()
        return setting.steps * setting.options.batch_size / (time.perf_counter() - started)

    for _ in range(3):
        step()
    return measure


def compare(setting: Setting, width: int, rounds: int) -> None:
    """Prints the three rates, measured in turns, and their ratios."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, cache = Path(scratch) / "pictures", Path(scratch) / "cache"
        make_pictures(folder, width)
        network = make_network(setting)
        packed, seconds = ours(setting, network, load_dataset(f"folder:{folder}"), cache)
        feeds = {
            "synthetic": rate(setting, network, itertools.repeat(next(packed))),
            "ours": rate(setting, network, packed),
            "DataLoader": rate(setting, network, loader(setting, folder, network)),
        }
        rates: dict[str, list[float]] = {name: [] for name in feeds}
        for _ in range(rounds):
            for name, measure in feeds.items():
                rates[name].append(measure())
    median = {name: statistics.median(values) for name, values in rates.items()}
    for name, value in median.items():
        print(f"{name:12} {value:9.0f} images/s   {min(rates[name]):.0f} to {max(rates[name]):.0f}")
    print(f"packing      {CLASSES * PER_CLASS / seconds:9.0f} images/s   once per data set")
    print(f"ours / synthetic  {median['ours'] / median['synthetic']:.2f}")
    print(f"ours / DataLoader {median['ours'] / median['DataLoader']:.1f}")


def main() -> None:
    """Parses the options and prints the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--backbone", default="test_resnet")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=112)
    parser.add_argument("--picture", type=int, default=500, help="width of the pictures in pixels")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes of the DataLoader")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    size = given.image_size
    crop = {"fit": "crop", "resize": round(size * 256 / 224)} if size >= 160 else {"fit": "squash", "resize": size}
    options = TrainingOptions(
        **{**PAPER.as_dict(), **crop, "image_size": size, "batch_size": given.batch, "flip": True}  # type: ignore[arg-type]
    )
    setting = Setting(given.device, given.backbone, options, given.workers, given.steps)
    threads, where = torch.get_num_threads(), given.device
    print(
        f"{given.backbone}, {size} px, batches of {given.batch}, {where}, {threads} threads, torch {torch.__version__}"
    )
    compare(setting, given.picture, given.rounds)


if __name__ == "__main__":
    main()
