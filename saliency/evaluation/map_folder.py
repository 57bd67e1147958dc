"""Saliency maps that another program wrote: one file for each image of a data set."""

from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float64, Real
from numpy import ndarray
from PIL import Image
from scipy.special import logsumexp

from saliency.errors import DatasetError
from saliency.fixations.scene import Scene

SUFFIXES = (".npy", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")


MapKind = Literal["auto", "map", "log-density"]

_MOST_OFF = 1e-2  # of the logarithm of a density's sum from 0


class MapFolder:
    """A folder of saliency maps, each of its image's size and name, whatever the ending.

    Grey pictures of 8 or 16 bits, and arrays of NumPy (`.npy`). Where a name has several endings,
    the first of `SUFFIXES` counts. An array whose exponentials sum to 1 is a log density.
    """

    def __init__(self, folder: Path, kind: MapKind = "auto") -> None:
        """Take the folder.

        Args:
            folder: of the maps.
            kind: whether they are maps or log densities; `auto` for what each array looks like.

        Raises:
            DatasetError: there is no such folder.
        """
        if not folder.is_dir():
            raise DatasetError(f"{folder}: expected a folder of saliency maps, found none")
        self.folder, self.kind = folder, kind

    def path_of(self, scene: Scene) -> Path:
        """Return the file with the map of a scene.

        Raises:
            DatasetError: it has no map.
        """
        image = Path(scene.name.partition("/")[2])
        for suffix in SUFFIXES:
            path = self.folder / image.with_suffix(suffix)
            if path.is_file():
                return path
        raise DatasetError(
            f"{self.folder}: expected a map of {image} as {image.with_suffix('.png')}, found none; "
            "write one for every image, or score fewer images"
        )

    def read(self, scene: Scene) -> Real[ndarray, "height width"]:
        """Return the map of a scene.

        Raises:
            DatasetError: it has no map, it cannot be read, has not the image's size, or holds NaN
                or infinities.
        """
        path = self.path_of(scene)
        try:
            array = np.load(path) if path.suffix == ".npy" else _read_picture(path)
        except (OSError, ValueError, SyntaxError, EOFError) as error:
            raise DatasetError(
                f"{path}: expected a saliency map, got a file that cannot be read as one ({error})"
            ) from error
        if array.shape != (scene.height, scene.width):
            got = "x".join(str(side) for side in array.shape[1::-1]) or "a single number"
            raise DatasetError(
                f"{path}: expected a map of {scene.width}x{scene.height}, the size of its image, "
                f"got {got}; resize it, as the program that made it sees fit"
            )
        if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
            raise DatasetError(
                f"{path}: expected finite real numbers, got {array.dtype} with NaN or infinities "
                "or no numbers; correct the program that made it"
            )
        return array.astype(np.uint8) if array.dtype == bool else array

    def log_density(
        self, saliency_map: Real[ndarray, "height width"]
    ) -> Float64[ndarray, "height width"] | None:
        """Return a map from `read` as a log density that sums to 1; None if it is no density."""
        values = saliency_map.astype(np.float64)
        if self.kind == "map":
            return None
        total = float(logsumexp(values))
        if self.kind == "auto" and (saliency_map.dtype.kind != "f" or abs(total) > _MOST_OFF):
            return None
        return values - total


def _read_picture(path: Path) -> Real[ndarray, "height width"]:
    with Image.open(path) as picture:
        if picture.mode in ("L", "F") or picture.mode.startswith("I"):
            return np.asarray(picture)
        colours = np.asarray(picture.convert("RGB"))
    if (colours != colours[..., :1]).any():
        raise ValueError("it is in colour, so its levels are unknown; write it in grey")
    return colours[..., 0]
