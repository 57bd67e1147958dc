"""What every layout is read into, and the rule that splits it."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import cv2
import numpy as np
from jaxtyping import Float32
from numpy import ndarray
from PIL import Image

from saliency.errors import DatasetError
from saliency.fixations.scene import Scene

Part = Literal["train", "validation", "all"]

MAP_PIXELS = 96 * 128
"""Area at which density maps are kept: they are blurred, and a data set may have thousands."""

VALIDATION_PERCENT = 15

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


class Fault(NamedTuple):
    """Something in the files of a data set that is not as it should be.

    Attributes:
        kind: what there may be several of, such as `fixations that are no numbers`.
        message: what was expected, got, where, and what to do.
    """

    kind: str
    message: str


@dataclass(frozen=True)
class MappedPhoto:
    """A photo of which a density of fixations is published, but not the fixations.

    Attributes:
        name: unique among all data sets in use: `<dataset>/<file name>`.
        path: the image file.
        density: a grey picture of the photo's size, brighter where people looked more.
    """

    name: str
    path: Path
    density: Path


@dataclass(frozen=True)
class Dataset:
    """The scenes of one data set, in the order of its files.

    Attributes:
        name: of the data set; every scene's name starts with it.
        scenes: photos with at least one fixation each.
        clipped_count: fixations that lay just outside their photo and were moved to its border.
        unseen: file names of the photos that no observer fixated; they are not among the scenes.
        mapped: photos with a density only: they can be learned from, but neither validated nor
            scored on, as every score needs fixations.
        excluded_count: fixations left out: blinks, NaN, outside the photo, on a filled-up border.
        faults: what stands in the way of using the set; the rest was read without it.
    """

    name: str
    scenes: tuple[Scene, ...]
    clipped_count: int
    unseen: tuple[str, ...] = ()
    excluded_count: int = 0
    mapped: tuple[MappedPhoto, ...] = ()
    faults: tuple[Fault, ...] = ()

    def describe(self) -> str:
        """Return one line for the log: counts, and what was moved or left out."""
        fixations = sum(len(scene.fixations) for scene in self.scenes)
        observers = {int(number) for scene in self.scenes for number in set(scene.observers)}
        line = (
            f"{self.name}: {len(self.scenes)} images, {fixations} fixations, "
            f"{len(observers)} observers"
        )
        if self.mapped:
            line += f"; {len(self.mapped)} images with density maps only, to learn from"
        if self.clipped_count:
            line += f"; {self.clipped_count} fixations just outside moved to the border"
        if self.excluded_count:
            line += f"; {self.excluded_count} fixations outside the photo or not a number left out"
        if self.unseen:
            line += f"; {len(self.unseen)} images without fixations left out ({self.unseen[0]}, …)"
        return line


Named = TypeVar("Named", Scene, MappedPhoto)


def split_scenes(scenes: Iterable[Named], part: Part) -> tuple[Named, ...]:
    """Return the scenes of one part, in their order; likewise photos with maps.

    The rule: the first 8 hex digits of the SHA-256 of the scene's name `<dataset>/<file name>`,
    as a number modulo 100; below 15 is validation, the rest is for training. So an image stays
    in its part whatever other images are there.

    Raises:
        ValueError: `part` is none of train, validation, all.
    """
    if part == "all":
        return tuple(scenes)
    if part not in ("train", "validation"):
        raise ValueError(f"expected the part train, validation or all, got {part!r}")
    wanted = part == "validation"
    return tuple(scene for scene in scenes if _is_validation(scene.name) is wanted)


def split_folds(
    scenes: Iterable[Named], *, folds: int, fold: int
) -> tuple[tuple[Named, ...], tuple[Named, ...]]:
    """Return the scenes to learn from and those to test on, in one fold of a cross-validation.

    The rule: the second 8 hex digits of the SHA-256 of the scene's name `<dataset>/<file name>`,
    as a number modulo `folds`; where it is `fold - 1` the scene is for testing. So every image is
    tested on once, and stays in its fold whatever other images are there. The digits are not
    those of `split_scenes`, so that either rule says nothing of the other.

    Args:
        scenes: to be split; either part keeps their order.
        folds: how many there are, at least 2.
        fold: which one, counted from 1.

    Raises:
        ValueError: there are fewer than 2 folds, or none of that number.
    """
    if folds < 2 or not 1 <= fold <= folds:
        raise ValueError(f"expected 2 folds or more and a fold from 1 to them, got {folds}, {fold}")
    scenes = tuple(scenes)
    is_test = [_hash(scene.name, 8) % folds == fold - 1 for scene in scenes]
    train = tuple(scene for scene, is_for_it in zip(scenes, is_test, strict=True) if not is_for_it)
    test = tuple(scene for scene, is_for_it in zip(scenes, is_test, strict=True) if is_for_it)
    return train, test


def _is_validation(name: str) -> bool:
    return _hash(name, 0) % 100 < VALIDATION_PERCENT


def _hash(name: str, start: int) -> int:
    """Return the 8 hex digits of a name's SHA-256 from `start` on, as a number."""
    return int(hashlib.sha256(name.encode()).hexdigest()[start : start + 8], 16)


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
