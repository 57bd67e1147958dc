"""Photos decoded and resized once: a folder that is safe to delete at any time.

An entry is named by the SHA-256 of the photo's bytes, so a photo that changes is decoded anew and
one that moves is not. It is an uncompressed array, which is read faster than any picture is
decoded, and takes three bytes for each pixel. A damaged or half-written entry is made anew.
"""

import io
import math
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from saliency.files import content_hash, write_whole
from saliency.photo.reading import load_photo, to_srgb


def decode(path: Path, side: int) -> UInt8[ndarray, "height width 3"]:
    """Return a photo in sRGB, decoded no larger than for its longer side to be at least `side`.

    Raises:
        PhotoError: it cannot be read.
    """

    def least_size(photo_size: tuple[int, int]) -> tuple[int, int]:
        factor = min(1.0, side / max(photo_size))
        return math.ceil(photo_size[0] * factor), math.ceil(photo_size[1] * factor)

    return to_srgb(load_photo(path, least_size))


class PhotoCache:
    """Decoded photos in a folder, made when first asked for."""

    def __init__(self, folder: Path, *, side: int) -> None:
        """Use `folder`, which need not be there; photos are kept with a longer side near `side`.

        Raises:
            ValueError: the side is below 1.
        """
        if side < 1:
            raise ValueError(f"expected a side of at least 1 px, got {side}")
        self.folder, self.side = folder, side

    def read(self, path: Path) -> UInt8[ndarray, "height width 3"]:
        """Return a photo in sRGB, its longer side at least `side` unless the photo is smaller.

        Raises:
            PhotoError: it cannot be read.
            SaliencyError: the cache cannot be written.
        """
        try:
            digest = content_hash(path)
        except OSError:
            return decode(path, self.side)  # whose error names the fault
        entry = self.folder / digest[:2] / f"{digest}-{self.side}.npy"
        try:
            photo = np.load(entry, allow_pickle=False)
            if photo.dtype == np.uint8 and photo.ndim == 3 and photo.shape[2] == 3:
                return np.asarray(photo)
        except (OSError, ValueError, EOFError):
            pass  # missing or damaged
        photo = np.ascontiguousarray(decode(path, self.side))
        entry.parent.mkdir(parents=True, exist_ok=True)
        write_whole(_npy(photo), entry, overwrite=True)
        return photo


def _npy(photo: UInt8[ndarray, "height width 3"]) -> bytes:

    buffer = io.BytesIO()
    np.save(buffer, photo, allow_pickle=False)
    return buffer.getvalue()
