"""Crop one photo to several aspect ratios: decode it once, predict once, cut and write each."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from io import BytesIO
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from saliency.aspect import Size, largest_size
from saliency.atomic import write_whole
from saliency.choice import Choice, ChoiceOptions, choose
from saliency.crop_file import Output, make_crop, make_lossless_crop
from saliency.crop_report import CropReport
from saliency.encoding import Encoding
from saliency.errors import PhotoError
from saliency.image import LoadedPhoto, decode_photo, pixels_to_srgb, read_bytes, to_srgb
from saliency.lossless import snapped
from saliency.naming import DEFAULT_PATTERN, crop_name
from saliency.photo_format import HEAD_BYTES, SUFFIXES, CropFormat, crop_format, photo_format
from saliency.photo_list import ListedPhoto
from saliency.pixels import Pixels
from saliency.predictor import Predictor, resize_photo
from saliency.render import draw_overlay
from saliency.stopwatch import Stopwatch
from saliency.window import share

_OVERLAY_PX = 1600
_MOST_VIEWS = 4  # frames of an animation that the model looks at


@dataclass(frozen=True, kw_only=True)
class CropOptions:
    """How photos are to be cropped.

    Attributes:
        aspects: how each ratio is written, and its value.
        choice: how the windows are chosen.
        output_dir: folder for the crops; None for each photo's own.
        pattern: names the crops (`naming`).
        output: the size of the crops.
        as_format: format of the crops; None for the photo's own.
        encoding: quality and the like.
        is_lossless: cut JPEGs on the borders of their blocks, without re-encoding.
        is_stripped: leave out EXIF, XMP, IPTC and the resolution.
        overlay: write a picture of the density and the windows too.
        overwrite: replace files that exist.
        resume: leave crops that exist as they are, and make those that are missing.
        is_dry: choose the windows and write nothing.
        has_preview: keep a small picture of each photo in its report.
    """

    aspects: Mapping[str, Fraction]
    choice: ChoiceOptions = field(default_factory=ChoiceOptions)
    output_dir: Path | None = None
    pattern: str = DEFAULT_PATTERN
    output: Output = field(default_factory=Output)
    as_format: CropFormat | None = None
    encoding: Encoding = field(default_factory=Encoding)
    is_lossless: bool = False
    is_stripped: bool = False
    overlay: bool = False
    overwrite: bool = False
    resume: bool = False
    is_dry: bool = False
    has_preview: bool = False


@dataclass(frozen=True)
class Plan:
    """Which files are to be made of a photo.

    Attributes:
        photo: the photo.
        as_format: format of its crops.
        files: its crops, one for each ratio.
        overlay: its overlay, if there is to be one.
        is_done: all of them are there already, and are to stay.
    """

    photo: ListedPhoto
    as_format: CropFormat
    files: tuple[Path, ...]
    overlay: Path | None
    is_done: bool = False


class Cropper:
    """Crops photos, several at a time if wanted, and gives no two the same output file."""

    def __init__(
        self, predictor: Predictor, options: CropOptions, photos: Sequence[ListedPhoto] = ()
    ) -> None:
        """Take the model, the options, and all photos of this run, which are never written to."""
        self._predictor = predictor
        self._options = options
        self._taken: dict[Path, Path] = {photo.path.resolve(): photo.path for photo in photos}
        self._folders = threading.Lock()

    def plan(self, photo: ListedPhoto) -> Plan:
        """Return which files are to be made of a photo, and keep them from other photos.

        Not to be called by several threads at once.

        Raises:
            PhotoError: a file is another photo's, or is there and must not be replaced.
        """
        options, path = self._options, photo.path
        as_format = options.as_format or crop_format(_format_of(path))
        folder = path.parent if options.output_dir is None else options.output_dir / photo.folder
        own = path.suffix
        suffix = own if own.lower() in SUFFIXES[as_format] else SUFFIXES[as_format][0]
        files = tuple(
            folder / crop_name(path, label, suffix[1:], options.pattern)
            for label in options.aspects
        )
        overlay = folder / f"{path.stem}-overlay.png" if options.overlay else None
        if options.is_dry:
            return Plan(photo, as_format, files, overlay)
        outputs = [*files, *([overlay] if overlay else [])]
        for file in outputs:
            self._take(file, path)
        is_done = options.resume and all(_is_there(file) for file in outputs)
        return Plan(photo, as_format, files, overlay, is_done)

    def crop(self, plan: Plan) -> CropReport:
        """Crop one photo and write the crops; several threads may do so at once.

        Raises:
            PhotoError: the photo cannot be read, or a crop cannot be written; crops of it written
                before that stay.
        """
        path = plan.photo.path
        clock = Stopwatch()
        with clock.part("decode"):
            photo = decode_photo(read_bytes(path), path, self._least_size)
        rgb, density, choices = self._choose(photo, clock)
        files = tuple(
            self._write_crop(photo, choice, file, plan.as_format, clock)
            for choice, file in zip(choices, plan.files, strict=True)
        )
        overlay = None if self._options.is_dry else plan.overlay
        if overlay is not None:
            self._write_overlay(overlay, photo, density, choices)
        return CropReport(
            photo=path,
            size=photo.size,
            choices=choices,
            files=files,
            overlay=overlay,
            timing_ms=clock.parts_ms,
            preview=rgb if self._options.has_preview else None,
        )

    def crop_data(self, data: bytes, path: Path) -> tuple[CropReport, list[bytes]]:
        """Crop one photo in memory; return what was done, and a file for each crop that is made.

        Args:
            data: content of the photo's file.
            path: what the photo is called.

        Raises:
            PhotoError: it cannot be read or cropped.
        """
        clock = Stopwatch()
        with clock.part("decode"):
            photo = decode_photo(data, path, self._least_size)
        _, _, choices = self._choose(photo, clock)
        as_format = self._options.as_format or crop_format(photo.format)
        with clock.part("encode"):
            crops = [
                self._encode(photo, choice, as_format)
                for choice in choices
                if choice.outcome != "skipped" and not self._options.is_dry
            ]
        files = (None,) * len(choices)
        report = CropReport(path, photo.size, choices, files, None, clock.parts_ms, None)
        return report, crops

    def _choose(
        self, photo: LoadedPhoto, clock: Stopwatch
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], tuple[Choice, ...]]:
        """Return a photo as the model sees it, the density on it and the windows.

        The density of an animation is the mean of those on some of its frames.
        """
        options, predictor = self._options, self._predictor
        with clock.part("resize"):
            input_size = predictor.input_size(photo.size)
            views = [
                resize_photo(pixels_to_srgb(one, photo.carried.icc_profile, input_size), input_size)
                for one in _views(photo)
            ]
        with clock.part("network"):
            density = np.mean([predictor.density(view) for view in views], axis=0)
        with clock.part("window"):
            choices = choose(
                density, options.aspects, photo.size, options.choice, predictor.calibration
            )
            if options.is_lossless and photo.format == "JPEG":
                choices = tuple(_on_blocks(choice, photo, density) for choice in choices)
        return views[0], density, choices

    def _encode(self, photo: LoadedPhoto, choice: Choice, as_format: CropFormat) -> bytes:
        """Return a crop as the bytes of a file."""
        options = self._options
        if options.is_lossless and as_format == "jpeg":
            if choice.padding is not None:
                raise PhotoError(f"cannot add borders to {photo.path} without loss")
            return make_lossless_crop(photo, choice.window, stripped=options.is_stripped)
        if options.is_lossless and as_format in ("avif", "heic"):
            raise PhotoError(f"cannot write {photo.path} as {as_format} without loss; take PNG")
        return make_crop(
            photo,
            choice.window,
            as_format=as_format,
            encoding=options.encoding,
            output=options.output,
            padding=choice.padding,
            stripped=options.is_stripped,
        )

    def _write_crop(
        self,
        photo: LoadedPhoto,
        choice: Choice,
        file: Path,
        as_format: CropFormat,
        clock: Stopwatch,
    ) -> Path | None:
        """Encode and write a crop, unless there is to be none."""
        options = self._options
        if options.is_dry or choice.outcome == "skipped":
            return None
        if options.resume and _is_there(file):
            return file
        with clock.part("encode"):
            data = self._encode(photo, choice, as_format)
        with clock.part("write"):
            self._write(data, file)
        return file

    def _write(self, data: bytes, file: Path) -> None:
        """Write a file, creating its folder if need be."""
        try:
            with self._folders:
                file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = error.strerror or error
            raise PhotoError(f"cannot create the folder {file.parent}: {reason}") from error
        write_whole(data, file, overwrite=self._options.overwrite)

    def _least_size(self, photo_size: Size) -> Size:
        """Return the size a photo has to be decoded at, for the model and for every crop."""
        options = self._options
        sizes = [self._predictor.input_size(photo_size)]
        if options.overlay:
            sizes.append(_shrunk(photo_size, _OVERLAY_PX / max(photo_size)))
        if not (options.is_dry or options.is_lossless):
            if options.choice.zoom is not None:
                return photo_size  # the window may be of any size
            for ratio in options.aspects.values():
                window_size = largest_size(photo_size, ratio)
                sides = zip(options.output.size_of(window_size), window_size, strict=True)
                sizes.append(_shrunk(photo_size, max(written / cut for written, cut in sides)))
        return max(width for width, _ in sizes), max(height for _, height in sizes)

    def _take(self, file: Path, photo: Path) -> None:
        """Note that a file belongs to a photo, unless it is another's or must not be replaced."""
        place = file.resolve()
        other = self._taken.get(place)
        if other is not None and place == other.resolve():
            raise PhotoError(f"the crop of {photo} would replace the photo {other}")
        if other == photo:
            raise PhotoError(f"two crops of {photo} would be {file}; put {{aspect}} in their names")
        if other is not None:
            raise PhotoError(
                f"the crops of {photo} and {other} would both be {file}; crop them into two folders"
            )
        if _is_there(file) and not (self._options.overwrite or self._options.resume):
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
        if self._options.resume and _is_there(file):
            return
        least = _shrunk(photo.size, _OVERLAY_PX / max(photo.size))
        picture = draw_overlay(to_srgb(photo, least), density, choices, photo_size=photo.size)
        buffer = BytesIO()
        Image.fromarray(picture).save(buffer, "png")
        self._write(buffer.getvalue(), file)


def _format_of(path: Path) -> str | None:
    """Return the format of a photo by its first bytes; None if it has none, or cannot be read."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return photo_format(file.read(HEAD_BYTES))
    except (OSError, ValueError):
        return None


def _views(photo: LoadedPhoto) -> list[Pixels]:
    """Return what the model is to see: a photo, or an animation's first frame, its last and some.

    Those between lie at even distances.
    """
    if not photo.frames:
        return [photo.pixels]
    places = np.linspace(0, len(photo.frames) - 1, min(_MOST_VIEWS, len(photo.frames)))
    return [photo.frames[round(place)].image for place in places]


def _is_there(file: Path) -> bool:
    """Return whether a name is taken, even by a link to nowhere."""
    return file.exists() or file.is_symlink()


def _on_blocks(choice: Choice, photo: LoadedPhoto, density: NDArray[np.float32]) -> Choice:
    """Return a choice with its window on the borders of the JPEG's blocks."""
    window = snapped(photo, choice.window)
    if window == choice.window:
        return choice
    return replace(choice, window=window, share=share(density, window, photo.size))


def _shrunk(size: Size, factor: float) -> Size:
    """Return a size times a factor, rounded up, and never larger than it was."""
    width, height = (min(side, ceil(side * factor)) for side in size)
    return width, height
