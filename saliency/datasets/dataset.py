"""What every layout is read into, and the rule that splits it."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image

from saliency.errors import DatasetError
from saliency.fixations import Scene

Part = Literal["train", "validation", "all"]

VALIDATION_PERCENT = 15

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True)
class Dataset:
    """The scenes of one data set, in the order of its files.

    Attributes:
        name: of the data set; every scene's name starts with it.
        scenes: photos with at least one fixation each.
        clipped_count: fixations that lay just outside their photo and were moved to its border.
        unseen: file names of the photos that no observer fixated; they are not among the scenes.
    """

    name: str
    scenes: tuple[Scene, ...]
    clipped_count: int
    unseen: tuple[str, ...] = ()

    def describe(self) -> str:
        """Return one line for the log: counts, and what was moved or left out."""
        fixations = sum(len(scene.fixations) for scene in self.scenes)
        observers = {int(number) for scene in self.scenes for number in set(scene.observers)}
        line = (
            f"{self.name}: {len(self.scenes)} images, {fixations} fixations, "
            f"{len(observers)} observers"
        )
        if self.clipped_count:
            line += f"; {self.clipped_count} fixations just outside moved to the border"
        if self.unseen:
            line += f"; {len(self.unseen)} images without fixations left out ({self.unseen[0]}, …)"
        return line


def split_scenes(scenes: Iterable[Scene], part: Part) -> tuple[Scene, ...]:
    """Return the scenes of one part, in their order.

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


def _is_validation(name: str) -> bool:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return int(digest[:8], 16) % 100 < VALIDATION_PERCENT


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
