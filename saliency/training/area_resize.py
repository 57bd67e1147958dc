"""Photos and densities at a smaller size, by the exact area that each pixel takes."""

import math

import torch
from jaxtyping import Float, UInt8
from torch import Tensor


def shrink_photos(
    photos: UInt8[Tensor, "batch height width 3"], *, share: float, size_multiple: int
) -> UInt8[Tensor, "batch rows columns 3"]:
    """Return photos at a share of their area, as a model that looks at fewer pixels gets them.

    Args:
        photos: at the size at which another model looks at them.
        share: of their area; from 1 on they stay as they are.
        size_multiple: of which heights and widths are multiples.
    """
    if share >= 1:
        return photos
    height, width = photos.shape[1:3]
    rows, columns = (
        max(1, round(side * math.sqrt(share) / size_multiple)) * size_multiple
        for side in (height, width)
    )
    planes = photos.permute(0, 3, 1, 2).float().contiguous()
    small = _resized(planes, (rows, columns))
    return small.round().to(torch.uint8).permute(0, 2, 3, 1)


def shrink_densities(
    densities: Float[Tensor, "batch height width"], size: tuple[int, ...]
) -> Float[Tensor, "batch rows columns"]:
    """Return densities at a smaller (rows, columns), each with the sum that it had."""
    height, width = densities.shape[1:]
    if (height, width) == size:
        return densities
    return _resized(densities, size) * (height * width / (size[0] * size[1]))


def _resized(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return the mean of maps (…, height, width) over the area of each pixel of (…, *size)."""
    rows, columns = (
        _shares(before, after, maps) for before, after in zip(maps.shape[-2:], size, strict=True)
    )
    return rows @ maps @ columns.T


def _shares(before: int, after: int, like: Tensor) -> Float[Tensor, "after before"]:
    """Return the part of each new pixel that each old one makes up, along a side."""
    edges = torch.arange(after + 1, device=like.device, dtype=torch.float64) * (before / after)
    starts = torch.arange(before, device=like.device, dtype=torch.float64)
    low = torch.maximum(edges[:-1, None], starts)
    high = torch.minimum(edges[1:, None], starts + 1)
    return ((high - low).clamp_min(0) * (after / before)).to(like.dtype)
