"""Crop one photo to several aspect ratios: decode it once, predict once, cut and write each."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from saliency.aspect import Size, aspect_name, largest_size
from saliency.atomic import write_whole
from saliency.choice import Choice, ChoiceOptions, choose
from saliency.crop_file import CropFormat, crop_format, make_crop
from saliency.errors import PhotoError
from saliency.image import PHOTO_SUFFIXES, LoadedPhoto, load_photo, to_srgb
from saliency.predictor import Predictor
from saliency.render import draw_overlay

_SUFFIXES: dict[CropFormat, str] = {"jpeg": ".jpg", "png": ".png", "webp": ".webp"}
_SUFFIX_FORMATS: dict[str, CropFormat] = {
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".png": "png",
    ".webp": "webp",
}
_OVERLAY_PX = 1600


@dataclass(frozen=True, kw_only=True)
class CropOptions:
    """How photos are to be cropped.

    Attributes:
        aspects: how each ratio is written, and its value.
        choice: how the windows are chosen.
        output_dir: folder for the crops; None for each photo's own.
        max_size: longest side of a crop, in pixels; None for as large as it comes.
        as_format: format of the crops; None for the photo's own.
        quality: of JPEG and WebP, 1 to 100.
        overlay: write a picture of the density and the windows too.
        overwrite: replace files that exist.
    """

    aspects: dict[str, Fraction]
    choice: ChoiceOptions = field(default_factory=ChoiceOptions)
    output_dir: Path | None = None
    max_size: int | None = None
    as_format: CropFormat | None = None
    quality: int
    overlay: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class CropReport:
    """What was done with one photo: its upright size, the windows, and the files written."""

    photo: Path
    size: Size
    choices: tuple[Choice, ...]
    files: tuple[Path, ...]
    overlay: Path | None

    def to_json(self) -> dict[str, Any]:
        """Return the report as `saliency crop --json` prints it."""
        windows = [
            {
                "aspect": choice.aspect,
                "x": choice.window.x,
                "y": choice.window.y,
                "width": choice.window.width,
                "height": choice.window.height,
                "share": round(choice.share, 6),
                "centre_share": round(choice.centre_share, 6),
                "file": str(file),
            }
            for choice, file in zip(self.choices, self.files, strict=True)
        ]
        report = {
            "photo": str(self.photo),
            "width": self.size[0],
            "height": self.size[1],
            "windows": windows,
        }
        return report if self.overlay is None else report | {"overlay": str(self.overlay)}


class Cropper:
    """Crops photos one after the other and gives no two of them the same output file."""

    def __init__(
        self, predictor: Predictor, options: CropOptions, photos: Sequence[Path] = ()
    ) -> None:
        """Take the model, the options, and all photos of this run, which are never written to."""
        self._predictor = predictor
        self._options = options
        self._taken: dict[Path, Path] = {photo.resolve(): photo for photo in photos}

    def crop(self, path: Path) -> CropReport:
        """Crop one photo and write the crops.

        Raises:
            PhotoError: the photo cannot be read, or a crop cannot be written; crops of it written
                before that stay.
        """
        photo = load_photo(path, self._least_size)
        as_format = self._options.as_format or crop_format(photo)
        files, overlay = self._name_outputs(photo, as_format)
        density = self._predictor.density(to_srgb(photo, self._predictor.input_size(photo.size)))
        choices = choose(
            density,
            self._options.aspects,
            photo.size,
            self._options.choice,
            self._predictor.calibration,
        )
        for choice, file in zip(choices, files, strict=True):
            data = make_crop(
                photo,
                choice.window,
                as_format=as_format,
                quality=self._options.quality,
                max_size=self._options.max_size,
            )
            write_whole(data, file, overwrite=self._options.overwrite)
        if overlay is not None:
            self._write_overlay(overlay, photo, density, choices)
        return CropReport(path, photo.size, choices, files, overlay)

    def _least_size(self, photo_size: Size) -> Size:
        """Return the size a photo has to be decoded at, for the model and for every crop."""
        max_size = self._options.max_size
        if max_size is None:
            return photo_size
        sizes = [self._predictor.input_size(photo_size)]
        if self._options.overlay:
            sizes.append(_shrunk(photo_size, _OVERLAY_PX / max(photo_size)))
        for ratio in self._options.aspects.values():
            window_size = largest_size(photo_size, ratio)
            sizes.append(_shrunk(photo_size, max_size / max(window_size)))
        return max(width for width, _ in sizes), max(height for _, height in sizes)

    def _name_outputs(
        self, photo: LoadedPhoto, as_format: CropFormat
    ) -> tuple[tuple[Path, ...], Path | None]:
        """Return the files for a photo's crops and overlay, and keep them from other photos."""
        folder = self._options.output_dir or photo.path.parent
        own = photo.path.suffix
        suffix = own if _SUFFIX_FORMATS.get(own.lower()) == as_format else _SUFFIXES[as_format]
        files = tuple(
            folder / crop_name(photo.path, label, suffix) for label in self._options.aspects
        )
        overlay = folder / f"{photo.path.stem}-overlay.png" if self._options.overlay else None
        for file in (*files, *([overlay] if overlay else [])):
            self._take(file, photo.path)
        return files, overlay

    def _take(self, file: Path, photo: Path) -> None:
        """Note that a file belongs to a photo, unless it is another's or must not be replaced."""
        place = file.resolve()
        other = self._taken.get(place)
        if other is not None and place == other.resolve():
            raise PhotoError(f"the crop of {photo} would replace the photo {other}")
        if other is not None:
            raise PhotoError(
                f"the crops of {photo} and {other} would both be {file}; crop them into two folders"
            )
        if file.exists() and not self._options.overwrite:
            raise PhotoError(f"{file} exists already; --overwrite replaces it")
        self._taken[place] = photo

    def _write_overlay(
        self,
        file: Path,
        photo: LoadedPhoto,
        density: NDArray[np.float32],
        choices: Sequence[Choice],
    ) -> None:
        """Draw the overlay of a photo and write it as PNG."""
        least = _shrunk(photo.size, _OVERLAY_PX / max(photo.size))
        picture = draw_overlay(to_srgb(photo, least), density, choices, photo_size=photo.size)
        buffer = BytesIO()
        Image.fromarray(picture).save(buffer, "png")
        write_whole(buffer.getvalue(), file, overwrite=self._options.overwrite)


def crop_name(photo: Path, label: str, suffix: str) -> str:
    """Return the file name of a crop: `NAME-16x9.jpg`."""
    return f"{photo.stem}-{aspect_name(label)}{suffix}"


def find_photos(paths: Sequence[Path], labels: Sequence[str]) -> list[Path]:
    """Return the photos that paths stand for: a file for itself, a folder for the photos in it.

    A folder's photos are its files with the suffix of a photo, sorted by name, without hidden
    ones, folders inside it, and crops and overlays that an earlier run with the same ratios made
    of others among them. A folder without photos stands for itself, to be reported as such.
    """
    photos: list[Path] = []
    for path in paths:
        found = _photos_in(path, labels) if path.is_dir() else []
        photos += found or [path]
    return photos


def _photos_in(folder: Path, labels: Sequence[str]) -> list[Path]:
    """Return the photos in a folder that are no crops of others in it."""
    files = sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in PHOTO_SUFFIXES and file.is_file() and file.name[0] != "."
    )
    made = {Path(crop_name(file, label, "")).name for file in files for label in labels}
    made |= {f"{file.stem}-overlay" for file in files}
    return [file for file in files if file.stem not in made]


def _shrunk(size: Size, factor: float) -> Size:
    """Return a size times a factor, rounded up, and never larger than it was."""
    width, height = (min(side, ceil(side * factor)) for side in size)
    return width, height
