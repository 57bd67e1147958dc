"""JPEGs from and to arrays by libjpeg-turbo: faster than through Pillow, which packs pixels."""

from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from saliency.aspect import Size

Subsampling = str
"""How JPEG samples colours: `4:4:4`, `4:2:2` or `4:2:0`."""

_SCALES = (8, 4, 2)


def decode_jpeg(data: bytes, image: Image.Image, least_size: Size) -> NDArray[np.uint8] | None:
    """Return the pixels of a grey or RGB JPEG, at 1/2, 1/4 or 1/8 where that is large enough.

    Args:
        data: content of the file.
        image: the same, opened.
        least_size: the smallest width and height that will do.

    Returns:
        uint8 (height, width, 1 or 3), or None where this is no such JPEG or something is wrong with
        it: Pillow, which is more lenient, may read it.
    """
    if image.format not in ("JPEG", "MPO") or image.mode not in ("L", "RGB"):
        return None
    width, height = image.size
    for scale in _SCALES:
        if -(-width // scale) >= least_size[0] and -(-height // scale) >= least_size[1]:
            width, height = -(-width // scale), -(-height // scale)
            break
    try:
        pixels: Any = simplejpeg.decode_jpeg(
            data,
            colorspace="GRAY" if image.mode == "L" else "RGB",
            min_width=width,
            min_height=height,
            min_factor=1,
        )
    except (ValueError, RuntimeError, MemoryError):
        return None
    return pixels if pixels.shape[1::-1] == (width, height) else None


def encode_jpeg(pixels: NDArray[np.uint8], *, quality: int, subsampling: Subsampling) -> bytes:
    """Return pixels (height, width, 1 or 3) as a JPEG that carries nothing else.

    Raises:
        ValueError: a side is longer than JPEG allows.
    """
    is_grey = pixels.shape[2] == 1
    rows: NDArray[np.uint8] = pixels
    if rows.strides[1:] != (pixels.shape[2], 1) or rows.strides[0] <= 0:
        rows = np.ascontiguousarray(rows)  # turned or mirrored
    encoded: bytes = simplejpeg.encode_jpeg(
        rows,
        quality=quality,
        colorspace="GRAY" if is_grey else "RGB",
        colorsubsampling="Gray" if is_grey else subsampling.replace(":", ""),
    )
    return encoded
