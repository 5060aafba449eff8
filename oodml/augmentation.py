"""Random resized crops and mirroring of a whole batch at once, drawn from a generator of their own."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchvision.ops import roi_align

ATTEMPTS = 10
LOG_RATIO = (math.log(3 / 4), math.log(4 / 3))


def draw_boxes(sizes: Tensor, min_scale: float, generator: torch.Generator) -> Tensor:
    """Crop boxes as torchvision's RandomResizedCrop draws them, for every picture at once.

    Area uniform in [min_scale, 1] of the picture, aspect log-uniform in [3/4, 4/3], the first of ten attempts that
    fits, otherwise the largest central box of an allowed aspect.

    Args:
        sizes: Heights and widths, shape (b, 2).
        min_scale: Smallest share of the area.
        generator: Where the draws come from (CPU).

    Returns:
        Boxes (left, top, right, bottom) in pixels, shape (b, 4), float32.
    """
    height, width = sizes[:, :1].float(), sizes[:, 1:].float()
    uniform = torch.rand(3, len(sizes), ATTEMPTS, generator=generator)
    area = height * width * (min_scale + (1 - min_scale) * uniform[0])
    ratio = torch.exp(LOG_RATIO[0] + (LOG_RATIO[1] - LOG_RATIO[0]) * uniform[1])
    w, h = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
    fits = (w <= width) & (h <= height) & (w >= 1) & (h >= 1)
    pick = fits.int().argmax(1, keepdim=True)
    w, h = w.gather(1, pick), h.gather(1, pick)
    bounded = (width / height).clamp(3 / 4, 4 / 3)
    fallback_w, fallback_h = torch.minimum(width, height * bounded), torch.minimum(height, width / bounded)
    fitted = fits.any(1, keepdim=True)
    w, h = torch.where(fitted, w, fallback_w), torch.where(fitted, h, fallback_h)
    place = torch.rand(2, len(sizes), 1, generator=generator)
    place = torch.where(fitted, place, 0.5)
    left, top = (place[0] * (width - w + fitted)).floor(), (place[1] * (height - h + fitted)).floor()
    return torch.cat([left, top, left + w, top + h], 1)


def random_resized_crop(
    pictures: Tensor, sizes: Tensor, size: int, min_scale: float, flip: bool, generator: torch.Generator
) -> Tensor:
    """Crops, resizes and mirrors pictures of different sizes in one operation.

    Args:
        pictures: Uint8, shape (b, 3, H, W), each in the top left corner, padded.
        sizes: True heights and widths, shape (b, 2).
        size: Side of the result.
        min_scale: Smallest share of the area; 1 keeps the area but not the aspect.
        flip: Mirror half of the pictures.
        generator: Where the draws come from (CPU); the work is done where the pictures are.

    Returns:
        Pixels in [0, 255], shape (b, 3, size, size), float32, averaged over the area each pixel covers.
    """
    boxes = draw_boxes(sizes.cpu(), min_scale, generator)
    mirrored = torch.rand(len(sizes), generator=generator) < 0.5 if flip else None
    index = torch.arange(len(boxes), dtype=torch.float32)[:, None]
    rois = torch.cat([index, boxes], 1).to(pictures.device)
    pictures = _repeat_edges(pictures, sizes.to(pictures.device))
    crops: Tensor = roi_align(pictures.float(), rois, output_size=size, sampling_ratio=-1, aligned=True)
    if mirrored is None:
        return crops
    return torch.where(mirrored.to(crops.device)[:, None, None, None], crops.flip(3), crops)


def _repeat_edges(pictures: Tensor, sizes: Tensor) -> Tensor:
    """Fills the padding with each picture's last row and column, since interpolation looks half a pixel beyond."""
    height, width = pictures.shape[2:]
    if (sizes == torch.tensor([height, width], device=sizes.device)).all():
        return pictures
    y = torch.minimum(torch.arange(height, device=sizes.device)[None, :], sizes[:, :1] - 1)
    x = torch.minimum(torch.arange(width, device=sizes.device)[None, :], sizes[:, 1:] - 1)
    batch = torch.arange(len(pictures), device=sizes.device)[:, None, None]
    return pictures.permute(0, 2, 3, 1)[batch, y[:, :, None], x[:, None, :]].permute(0, 3, 1, 2)
