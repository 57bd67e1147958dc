"""From a photo to a model's input, and from its output to a density."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from saliency.geometry import Size
from saliency.photo.pixels import shrunk

_AREA_TOLERANCE = 0.15


def predict_alike(
    predict: Callable[[NDArray[np.uint8]], NDArray[np.floating]], photo: NDArray[np.uint8]
) -> NDArray[np.floating]:
    """Return a network's map of a photo, and of the mirrored photo the mirrored map.

    A network is not symmetric in itself. So of a photo and its mirror image it is shown the same
    one, that with the brighter left half, and its map is mirrored back where that was the other.
    (Brightness counts by its distance from the middle. Only a photo as bright on either side, to
    the last digit, is shown as it is, which then may differ from its mirror image.)

    Args:
        predict: from a photo to a map of its size.
        photo: uint8 (height, width, 3).
    """
    shown, is_mirrored = shown_alike(photo)
    found = predict(shown)
    return np.ascontiguousarray(found[:, ::-1]) if is_mirrored else found


def shown_alike(photo: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], bool]:
    """Return the photo or its mirror image, whichever a network is shown, and whether it is that.

    Args:
        photo: uint8 (height, width, 3).
    """
    height, width, _ = photo.shape
    # 32 bits hold the sum of a column of up to 8 million pixels.
    sums = cv2.reduce(photo.reshape(height, -1), 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
    columns = sums.reshape(width, 3).sum(axis=1, dtype=np.int64)
    if (columns * (2 * np.arange(width) - (width - 1))).sum() <= 0:
        return photo, False
    return np.asarray(cv2.flip(photo, 1)), True


def to_density(log_density: NDArray[np.floating], size: Size | None = None) -> NDArray[np.float32]:
    """Return a network's output as a density, above 0 and of sum 1, perhaps at another size.

    Args:
        log_density: natural log of the density, (rows, columns).
        size: width and height wanted; mass is shared out by area where cells are merged,
            interpolated linearly where they are split.

    Raises:
        ValueError: a side of `size` is below 1.
    """
    values = np.asarray(log_density, dtype=np.float32)
    mass = np.exp(values - values.max())
    if size is not None:
        _check_size(size)
        mass = _resize(mass, size, enlarging=cv2.INTER_LINEAR)
    # A cell too far from the peak for float32 stays above zero, as its logarithm is wanted.
    mass *= np.float32(1 / mass.sum(dtype=np.float64))
    return np.asarray(np.maximum(mass, np.finfo(np.float32).tiny, out=mass))


@lru_cache(maxsize=256)
def working_size(photo_size: Size, *, input_pixels: int, size_multiple: int) -> Size:
    """Return the width and height at which a model looks at a photo.

    Both are multiples of `size_multiple`. Among the pairs with an area within 15 % of
    `input_pixels` it is the pair nearest to the photo's proportions, and of equally near ones the
    one nearest in area. A strip too long for that (30000x20) becomes one multiple thin, of the
    same area, and is squashed along its length.
    """
    width, height = photo_size
    blocks = input_pixels / size_multiple**2
    pairs: list[Size] = []
    for down in range(1, max(1, math.floor(blocks * (1 + _AREA_TOLERANCE))) + 1):
        fewest = math.ceil(blocks * (1 - _AREA_TOLERANCE) / down)
        most = math.floor(blocks * (1 + _AREA_TOLERANCE) / down)
        pairs += [(across, down) for across in range(max(1, fewest), most + 1)]

    def distance(pair: Size) -> tuple[float, float]:
        across, down = pair
        proportions = abs(math.log(across * height / (down * width)))
        return round(proportions, 9), abs(across * down - blocks)

    across, down = min(pairs or [(1, 1)], key=distance)
    return across * size_multiple, down * size_multiple


def resize_photo(photo: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Return the photo at another (width, height).

    Averages over the area where it shrinks (nothing is skipped, so fine texture does not turn
    into a false pattern; `pixels.shrunk`) and interpolates cubically where it grows, each axis by
    itself.
    """
    return _resize(np.asarray(shrunk(photo, size)), size, enlarging=cv2.INTER_CUBIC)


def _resize(values: NDArray[Any], size: Size, *, enlarging: int) -> NDArray[Any]:
    """Resize a map or a photo, with averages by area along every axis that shrinks."""
    height, width = values.shape[:2]
    if size == (width, height):
        return values
    is_shrinking = (size[0] <= width, size[1] <= height)
    if all(is_shrinking):
        return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA))
    if not any(is_shrinking):
        return np.asarray(cv2.resize(values, size, interpolation=enlarging))
    # OpenCV's area mode interpolates on both axes as soon as one of them grows.
    between = (size[0], height) if is_shrinking[0] else (width, size[1])
    shrunk = cv2.resize(values, between, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, size, interpolation=enlarging))


def _check_size(size: Size) -> None:
    """Refuse a grid without cells."""
    if min(size) < 1:
        raise ValueError(f"expected a size (width, height) of at least (1, 1), got {size}")
