"""Pixels as they were decoded: what is done to them whatever they are held in.

A JPEG is decoded into an array and a colour PNG or TIFF of 16 bits too; all else is a Pillow image,
which knows palettes, bits, CMYK and alpha. Arrays are (height, width, channels), red first.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from saliency.aspect import Size

Pixels = Image.Image | NDArray[Any]
"""A Pillow image, or an array of uint8 or uint16."""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom edge, in pixels; right and bottom are the first ones outside."""

_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What each EXIF orientation does to rows and columns: turned left so often, after a flip or not.
_TURNS = {
    2: (0, True),
    3: (2, False),
    4: (2, True),
    5: (1, True),
    6: (3, False),
    7: (3, True),
    8: (1, False),
}


def pixel_size(pixels: Pixels) -> Size:
    """Return width and height."""
    if isinstance(pixels, Image.Image):
        return pixels.size
    return pixels.shape[1], pixels.shape[0]


def upright_image(image: Image.Image, orientation: int) -> Image.Image:
    """Return a stored image as a viewer shows it, by its EXIF orientation, 1 to 8."""
    transpose = _TRANSPOSES.get(orientation)
    return image if transpose is None else image.transpose(transpose)


def turned_upright(pixels: Pixels, orientation: int) -> Pixels:
    """Return stored pixels as a viewer shows them, by their EXIF orientation, 1 to 8."""
    if isinstance(pixels, Image.Image):
        return upright_image(pixels, orientation)
    turns, is_flipped = _TURNS.get(orientation, (0, False))
    return np.rot90(pixels[:, ::-1] if is_flipped else pixels, turns)


def as_image(pixels: Pixels) -> Image.Image:
    """Return pixels as a Pillow image; 16 bits per colour keep their upper half."""
    if isinstance(pixels, Image.Image):
        return pixels
    values = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
    return Image.fromarray(values[..., 0] if values.shape[2] == 1 else np.ascontiguousarray(values))


def cropped(pixels: Pixels, box: tuple[int, int, int, int]) -> Pixels:
    """Return the pixels inside a box; no copy where they are in an array."""
    if isinstance(pixels, Image.Image):
        return pixels.crop(box)
    return pixels[box[1] : box[3], box[0] : box[2]]


def resampled(pixels: Pixels, box: Box, size: Size) -> Pixels:
    """Return what a box holds at another size; its edges may cut through pixels.

    Images are resampled with Lanczos' filter. Arrays are interpolated cubically where they grow, or
    shrink to no less than half; beyond, areas are averaged. Of an array that shrinks, whole pixels
    are taken: the box is off by up to half a pixel of it, less than that of the result.

    Args:
        pixels: neither bits nor a palette, which cannot be averaged.
        box: what to show.
        size: width and height wanted.
    """
    if isinstance(pixels, Image.Image):
        return pixels.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
    x_step, y_step = (box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1]
    if min(x_step, y_step) >= 1:
        left, top, right, bottom = (round(edge) for edge in box)
        inside = pixels[top : max(bottom, top + 1), left : max(right, left + 1)]
        fit = cv2.INTER_CUBIC if max(x_step, y_step) <= 2 else cv2.INTER_AREA
        return _with_channels(cv2.resize(inside, size, interpolation=fit), pixels)
    # From the middle of a pixel of the result to the place of it in the source.
    places = np.array(
        [
            [x_step, 0, box[0] + x_step / 2 - 0.5],
            [0, y_step, box[1] + y_step / 2 - 0.5],
        ]
    )
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    source = np.ascontiguousarray(pixels)
    border = cv2.BORDER_REPLICATE
    warped = cv2.warpAffine(source, places, size, flags=flags, borderMode=border)
    return _with_channels(warped, pixels)


def shrunk_by_whole_factor(pixels: Pixels, least_size: Size) -> Pixels:
    """Return pixels shrunk by averaging squares of them, to a size no smaller than asked for.

    An array loses up to one row and column at each halving.
    """
    if isinstance(pixels, Image.Image):
        factor = min(pixels.width // least_size[0], pixels.height // least_size[1])
        return pixels.reduce(factor) if factor > 1 else pixels
    halved = pixels
    height, width, _ = pixels.shape
    while width >= 2 * least_size[0] and height >= 2 * least_size[1]:
        width, height = width // 2, height // 2
        # Halving is what OpenCV has a fast path for.
        even = halved[: 2 * height, : 2 * width]
        means = cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA)
        halved = _with_channels(means, pixels)
    return halved


def _with_channels(result: NDArray[Any], source: NDArray[Any]) -> NDArray[Any]:
    """Return what OpenCV made of an array with the axis of channels, which it drops if single."""
    return result.reshape(*result.shape[:2], source.shape[2])
