"""The image files of data sets: listing them, their sizes, and density maps."""

import hashlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32
from numpy import ndarray
from PIL import Image

from saliency.errors import DatasetError
from saliency.files import cache_folder, write_whole

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
    levels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if levels is None:
        raise DatasetError(
            f"{path}: expected a picture of a density, got none that can be read; "
            "unpack or download it again"
        )
    if levels.ndim == 3:
        if (levels[..., :3] != levels[..., :1]).any():
            raise DatasetError(
                f"{path}: expected a grey picture of a density, got one in colours, whose levels "
                "cannot be known; write the map as one channel, without a colour map"
            )
        levels = levels[..., 0]
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
    """Return (width, height) of the upright image, from its header alone.

    Raises:
        DatasetError: the file is missing or its header is not one of an image.
    """
    (width, height), orientation = _header(path)
    return (height, width) if orientation in (5, 6, 7, 8) else (width, height)


def stored_size(path: Path) -> tuple[int, int]:
    """Return (width, height) of the image as it is stored; raises as `upright_size` does."""
    return _header(path)[0]


def shown_as_stored(path: Path) -> Path:
    """Return a copy of an image, in the cache folder, that no EXIF orientation turns.

    Raises:
        DatasetError: the image cannot be decoded.
    """
    name = hashlib.sha256(path.read_bytes()).hexdigest()
    copy = cache_folder() / "as-stored" / f"{name}.png"
    if not copy.is_file():
        buffer = BytesIO()
        try:
            with Image.open(path) as image:
                profile = image.info.get("icc_profile")
                image.convert("RGB").save(buffer, "png", icc_profile=profile, exif=b"")
        except (OSError, SyntaxError, ValueError) as error:
            raise _unreadable(path, error) from error
        copy.parent.mkdir(parents=True, exist_ok=True)
        write_whole(buffer.getvalue(), copy, overwrite=True)
    return copy


def _header(path: Path) -> tuple[tuple[int, int], int]:
    """Return the stored (width, height) and the EXIF orientation of an image."""
    exif_orientation = 0x0112
    try:
        with Image.open(path) as image:
            return image.size, image.getexif().get(exif_orientation, 1)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DatasetError:
    return DatasetError(
        f"{path}: expected an image, got a file that cannot be read as one ({error}); "
        "unpack or download it again"
    )


def list_images(folder: Path) -> list[str]:
    """Return the paths of the image files under `folder`, relative to it, sorted.

    Raises:
        DatasetError: the folder does not exist.
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
