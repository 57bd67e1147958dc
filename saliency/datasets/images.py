"""The image files of data sets: listing them, their sizes, and density maps."""

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32
from numpy import ndarray
from PIL import Image

from saliency.errors import DatasetError

MAP_PIXELS = 96 * 128
"""Area at which density maps are kept: they are blurred, and a data set may have thousands."""


IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


def load_map(path: Path, *, width: int, height: int) -> Float32[ndarray, "rows columns"]:
    """Return the density of a grey picture, on a coarser grid; it sums to 1.

    Args:
        path: of the picture, of 8 or 16 bits.
        width: of the photo that it belongs to.
        height: of that photo.

    Raises:
        DatasetError: it cannot be read, is of another size than the photo, or black all over.
    """
    levels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    if levels is None:
        raise DatasetError(
            f"{path}: expected a picture of a density, got none that can be read; "
            "unpack or download it again"
        )
    if levels.shape != (height, width):
        raise DatasetError(
            f"{path}: expected a map of {width}x{height} like its photo, got "
            f"{levels.shape[1]}x{levels.shape[0]}; take both from the same archive"
        )
    factor = min(1.0, (MAP_PIXELS / levels.size) ** 0.5)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    density = cv2.resize(levels.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    if not density.sum() > 0:
        raise DatasetError(
            f"{path}: expected a density, got a picture that is black all over; replace or "
            "remove it"
        )
    return np.asarray(density / density.sum(dtype=np.float64), np.float32)


def upright_size(path: Path) -> tuple[int, int]:
    """Return (width, height) of the image as it is shown, from its header alone.

    Raises:
        DatasetError: the file is missing or its header is not one of an image.
    """
    exif_orientation = 0x0112
    try:
        with Image.open(path) as image:
            width, height = image.size
            is_on_its_side = image.getexif().get(exif_orientation) in (5, 6, 7, 8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DatasetError(
            f"{path}: expected an image, got a file that cannot be read as one ({error}); "
            "unpack or download it again"
        ) from error
    return (height, width) if is_on_its_side else (width, height)


def list_images(folder: Path) -> list[str]:
    """Return the paths of the image files under `folder`, relative to it, sorted.

    Raises:
        DatasetError: there is no such folder.
    """
    if not folder.is_dir():
        raise DatasetError(
            f"{folder}: expected a folder of images, found none; check the path after the colon, "
            "and that the whole archive was unpacked"
        )
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    )
