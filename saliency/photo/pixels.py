"""Pixels as they were decoded: what is done to them whatever they are held in.

A JPEG is decoded into an array and a colour PNG or TIFF of 16 bits too; all else is a Pillow image,
which knows palettes, bits, CMYK and alpha. Arrays are (height, width, channels), red first.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from saliency.geometry import Size

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
        return _resized(pixels, size, box)
    if pixels.shape[2] in (2, 4):
        inside = _resampled(_multiplied(pixels), box, size)
        return _unmultiplied(inside, pixels.dtype)
    return _resampled(pixels, box, size)


def _resampled(pixels: NDArray[Any], box: Box, size: Size) -> NDArray[Any]:
    """Return what a box of an array holds at another size, each channel by itself."""
    x_step, y_step = (box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1]
    if min(x_step, y_step) >= 1:
        left, top, right, bottom = (round(edge) for edge in box)
        inside = pixels[top : max(bottom, top + 1), left : max(right, left + 1)]
        fit = cv2.INTER_CUBIC if max(x_step, y_step) <= 2 else cv2.INTER_AREA
        return _scaled(inside, size, fit)
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


def shrunk(pixels: Pixels, size: Size) -> Pixels:
    """Return pixels averaged down to a size; as they are where a side is smaller than that.

    Every pixel counts, and what lies in the middle stays there. Areas are averaged by halving,
    which OpenCV has a fast path for: first what can be halved evenly, then, interpolated to a size
    that can, the rest. On a grainy photo that is off by 1 of 255 in the mean.

    Args:
        pixels: neither bits nor a palette, which cannot be averaged; arrays of 2 or 4 channels
            have alpha last.
        size: width and height wanted.
    """
    width, height = pixel_size(pixels)
    if size == (width, height) or width < size[0] or height < size[1]:
        return pixels
    if isinstance(pixels, Image.Image):
        values = np.asarray(pixels).reshape(height, width, -1)
        small = _averaged(values, size, has_alpha=pixels.mode in ("LA", "RGBA"))
        return Image.frombytes(pixels.mode, size, small.tobytes())
    return _averaged(pixels, size, has_alpha=pixels.shape[2] in (2, 4))


def _averaged(pixels: NDArray[Any], size: Size, *, has_alpha: bool) -> NDArray[Any]:
    """Return an array averaged down; colours weigh as much as they are opaque."""
    if has_alpha:
        small = _averaged(_multiplied(pixels), size, has_alpha=False)
        return _unmultiplied(small, pixels.dtype)
    height, width, _ = pixels.shape
    while width % 2 == height % 2 == 0 and min(width // size[0], height // size[1]) >= 4:
        width, height = width // 2, height // 2
        pixels = _scaled(pixels, (width, height), cv2.INTER_AREA)
    factor = 1
    while width >= 2 * factor * size[0] or height >= 2 * factor * size[1]:
        factor *= 2
    if factor > 1:
        pixels = _scaled(pixels, (factor * size[0], factor * size[1]), cv2.INTER_LINEAR)
    while factor > 2:
        factor //= 2
        pixels = _scaled(pixels, (factor * size[0], factor * size[1]), cv2.INTER_AREA)
    return _scaled(pixels, size, cv2.INTER_AREA)


def _resized(image: Image.Image, size: Size, box: Box) -> Image.Image:
    """Return what a box of an image shows at a size; colours weigh as much as they are opaque."""
    multiplied = {"RGBA": "RGBa", "LA": "La"}.get(image.mode)
    weighted = image if multiplied is None else image.convert(multiplied)
    resized = weighted.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
    return resized if multiplied is None else resized.convert(image.mode)


def _multiplied(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Return pixels with alpha as floats, their colours multiplied by it."""
    most = np.iinfo(pixels.dtype).max
    values = pixels.astype(np.float32)
    values[..., :-1] *= values[..., -1:] / most
    return values


def _unmultiplied(values: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Return the reverse of `_multiplied`, as whole numbers of a type."""
    most = np.iinfo(dtype).max
    alpha = np.clip(values[..., -1:], 0, most)
    factor = np.divide(most, alpha, out=np.zeros_like(alpha), where=alpha > 0.5)
    plain = np.concatenate([values[..., :-1] * factor, alpha], axis=2)
    return np.asarray(np.clip(np.rint(plain), 0, most), dtype=dtype)


def _scaled(pixels: NDArray[Any], size: Size, interpolation: int) -> NDArray[Any]:
    """Return an array at another size."""
    return _with_channels(cv2.resize(pixels, size, interpolation=interpolation), pixels)


def _with_channels(result: NDArray[Any], source: NDArray[Any]) -> NDArray[Any]:
    """Return what OpenCV made of an array with the axis of channels, which it drops if single."""
    return result.reshape(*result.shape[:2], source.shape[2])
