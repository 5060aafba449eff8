"""Seconds per million images of extracting class moments on a Ray cluster, in the same run with one process.

    python benchmarks/ray_extraction.py --images 2000
    python benchmarks/ray_extraction.py --dataset folder:photos --backbone resnet50.tv_in1k --ray-address auto

Measure with a part of your own images that takes some minutes: what the start of the actors takes is then small.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from oodml.dataset_ref import DatasetRef
from oodml.embedder import EmbedderOptions, embed_dataset
from oodml.executors.places import Places
from oodml.executors.ray_connection import connected
from oodml.executors.ray_embeddings import extract_moments, load_moments
from oodml.networks import NetworkConfig


def noise(folder: Path, images: int, classes: int = 10) -> None:
    """JPEG files of 256 x 256 pixels."""
    rng = np.random.default_rng(0)
    for number in range(images):
        path = folder / f"class{number % classes}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        coarse.resize((256, 256)).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000, help="of noise, without --dataset")
    parser.add_argument("--dataset", help="such as folder:photos")
    parser.add_argument("--backbone", default="resnet18", help="a timm name; one with a tag has its weights")
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--ray-address")
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not asked.dataset:
            noise(folder / "noise", asked.images)
        where = DatasetRef(asked.dataset or f"folder:{folder / 'noise'}")
        network = NetworkConfig(asked.backbone, pretrained="." in asked.backbone)
        options = EmbedderOptions(network, asked.image_size, asked.device)
        data = where.open()
        places = Places(executor="ray", ray_address=asked.ray_address)
        with connected(places) as ray:
            nodes = sum(node["Alive"] for node in ray.nodes())
            started = time.perf_counter()
            extract_moments(where, options, places, folder / "moments")
            cluster = time.perf_counter() - started
        started = time.perf_counter()
        embed_dataset(data, options, cache=folder / "cache")
        single = time.perf_counter() - started
        size = sum(path.stat().st_size for path in (folder / "moments").iterdir())
        dim = len(next(iter(load_moments([folder / "moments"]).values())).mean)
        print(f"{len(data)} images, {len(data.class_names)} classes, {asked.backbone}, {dim} dimensions")
        print(f"cluster of {nodes} nodes: {cluster:.1f} s, {cluster / len(data) * 1e6:,.0f} s per million images")
        print(f"one process:        {single:.1f} s, {single / len(data) * 1e6:,.0f} s per million images")
        print(f"ratio {single / cluster:.2f}; moments on disk {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
