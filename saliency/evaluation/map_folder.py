"""Saliency maps that another program wrote: one file for each image of a data set."""

from pathlib import Path

import numpy as np
from jaxtyping import Real
from numpy import ndarray
from PIL import Image

from saliency.errors import DatasetError
from saliency.fixations.scene import Scene

SUFFIXES = (".npy", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")


class MapFolder:
    """A folder of saliency maps, each of its image's size and name, whatever the ending.

    Grey pictures of 8 or 16 bits, of colours their luminance, and arrays of NumPy (`.npy`). Where
    a name has several endings, the first of `SUFFIXES` counts.
    """

    def __init__(self, folder: Path) -> None:
        """Take the folder.

        Raises:
            DatasetError: there is no such folder.
        """
        if not folder.is_dir():
            raise DatasetError(f"{folder}: expected a folder of saliency maps, found none")
        self.folder = folder

    def path_of(self, scene: Scene) -> Path:
        """Return the file with the map of a scene.

        Raises:
            DatasetError: there is none.
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
            DatasetError: there is none, it cannot be read, has not the image's size, or holds NaN
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


def _read_picture(path: Path) -> Real[ndarray, "height width"]:
    with Image.open(path) as picture:
        is_grey = picture.mode in ("L", "F") or picture.mode.startswith("I")
        return np.asarray(picture if is_grey else picture.convert("L"))
