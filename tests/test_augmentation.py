"""Random resized crops: boxes inside, their distribution, the pixels."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import RandomResizedCrop

from oodml.augmentation import draw_boxes, random_resized_crop


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@settings(max_examples=50, deadline=None)
@given(height=st.integers(1, 300), width=st.integers(1, 300), scale=st.floats(0.05, 1), seed=st.integers(0, 99))
def test_boxes_lie_inside_and_are_not_empty(height: int, width: int, scale: float, seed: int) -> None:
    boxes = draw_boxes(torch.tensor([[height, width]] * 4), scale, generator(seed))
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2] <= width + 1e-3).all() and (boxes[:, 3] <= height + 1e-3).all()
    assert (boxes[:, 2] > boxes[:, 0]).all() and (boxes[:, 3] > boxes[:, 1]).all()


def test_boxes_are_distributed_as_those_of_torchvision() -> None:
    size, n = (120, 90), 3000
    boxes = draw_boxes(torch.tensor([size] * n), 0.08, generator())
    ours = torch.stack([boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1], boxes[:, 0], boxes[:, 1]])
    picture = torch.zeros(1, *size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        drawn = [RandomResizedCrop.get_params(picture, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(n)]
    theirs = torch.tensor([(w, h, left, top) for top, left, h, w in drawn]).T.float()
    assert torch.allclose(ours.mean(1), theirs.mean(1), atol=1.5)
    assert torch.allclose(ours.std(1), theirs.std(1), atol=1.5)


def test_a_whole_square_picture_stays_as_it_is() -> None:
    picture = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8, generator=generator())
    boxes = torch.tensor([[0.0, 0, 16, 16]])
    same = random_resized_crop(picture, torch.tensor([[16, 16]] * 2), 16, 1.0, False, generator())
    # at full area only the aspect varies: wherever the box is the whole picture, nothing changes
    drawn = draw_boxes(torch.tensor([[16, 16]] * 2), 1.0, generator())
    for i in range(2):
        if torch.equal(drawn[i : i + 1], boxes):
            assert torch.allclose(same[i], picture[i].float())
    assert same.shape == (2, 3, 16, 16)


def test_halving_averages_and_padding_never_shows() -> None:
    picture = torch.zeros(1, 3, 40, 40, dtype=torch.uint8)
    picture[:, :, :20, :20] = 200  # the picture; the rest is padding
    out = random_resized_crop(picture, torch.tensor([[20, 20]]), 5, 0.5, True, generator())
    assert torch.allclose(out, torch.full_like(out, 200.0))


def test_mirroring_reverses_the_columns_of_about_half() -> None:
    ramp = torch.arange(32, dtype=torch.uint8).expand(200, 3, 32, 32)
    out = random_resized_crop(ramp, torch.tensor([[32, 32]] * 200), 8, 0.9, True, generator())
    falling = (out[:, 0, 0, 0] > out[:, 0, 0, -1]).float().mean()
    assert 0.4 < float(falling) < 0.6


def test_the_same_seed_gives_the_same_pixels() -> None:
    picture = torch.randint(0, 256, (8, 3, 24, 30), dtype=torch.uint8, generator=generator())
    sizes = torch.tensor([[24, 30]] * 8)
    one, two, other = (random_resized_crop(picture, sizes, 12, 0.3, True, generator(s)) for s in (1, 1, 2))
    assert torch.equal(one, two) and not torch.equal(one, other)
