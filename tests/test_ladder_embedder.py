"""The network that measured a ladder, built again from its description."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_ladder import ladder_of

from oodml.datasets import load_dataset
from oodml.errors import LadderError, WeightsError
from oodml.ladder_embedder import own_class_means, own_embedder
from oodml.networks import NetworkConfig, identity
from oodml.records import Ladder
from oodml.splits import frechet_distance


@pytest.fixture(name="ladder", scope="module")
def _ladder(vectors_file: Path) -> Ladder:
    return ladder_of(f"embeddings:{vectors_file}")


@pytest.mark.parametrize(
    "network",
    [
        NetworkConfig("pixels", pretrained=False),
        NetworkConfig("resnet50.tv_in1k"),
        NetworkConfig("resnet18", pretrained=False, args=(("output_stride", 16),)),
        NetworkConfig("resnet18", pretrained=False, mean=(0.5,), std=(0.1, 0.2, 0.3)),
    ],
    ids=lambda network: network.name,
)
def test_the_description_gives_the_same_network_back(ladder: Ladder, network: NetworkConfig) -> None:
    described = {**identity(network), "image_size": 48}
    found = own_embedder(replace(ladder, embedder=described), device="cpu")
    assert found.network is not None and identity(found.network) == identity(network)
    assert found.image_size == 48


def test_a_file_of_weights_has_to_be_the_ladders(ladder: Ladder, tmp_path: Path) -> None:
    right, wrong = tmp_path / "right.pth", tmp_path / "wrong.pth"
    right.write_bytes(b"right")
    wrong.write_bytes(b"wrong")
    described = identity(NetworkConfig("resnet18", weights=right))
    made = replace(ladder, embedder=described)
    found = own_embedder(made, right)
    assert found.network is not None and identity(found.network) == described
    with pytest.raises(WeightsError, match="--weights FILE"):
        own_embedder(made)
    with pytest.raises(WeightsError, match=r"wrong.pth .* is not the file of weights of the ladder"):
        own_embedder(made, wrong)
    with pytest.raises(WeightsError, match="drop --weights"):
        own_embedder(ladder, right)


def test_the_class_means_are_those_that_the_shift_was_measured_with(ladder: Ladder, vectors_file: Path) -> None:
    names, means = own_class_means(ladder, load_dataset(f"embeddings:{vectors_file}"), own_embedder(ladder))
    row = {name: number for number, name in enumerate(names)}
    for level in ladder.levels:
        sides = [means[[row[name] for name in side]] for side in (level.train, level.test)]
        assert level.shift == pytest.approx(frechet_distance(*sides))
    assert np.isfinite(means).all()


def test_images_that_would_be_brought_to_another_size_are_refused(ladder: Ladder) -> None:
    made = replace(ladder, embedder={**identity(NetworkConfig("pixels", pretrained=False)), "image_size": 64})
    with pytest.raises(LadderError, match="image_size 64"):
        own_class_means(made, load_dataset("glyphs", options={"classes": 8, "size": 16}), own_embedder(made))
