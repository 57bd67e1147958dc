"""Crop one photo to several aspect ratios: decode it once, predict once, cut and write each."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from saliency.aspect import Size, largest_size
from saliency.atomic import write_whole
from saliency.choice import Alternative, Choice, candidates_of, choose
from saliency.crop_file import make_crop, make_lossless_crop
from saliency.crop_plan import CropOptions, Plan, Planner, is_there
from saliency.crop_report import CropReport
from saliency.errors import PhotoError
from saliency.image import LoadedPhoto, decode_photo, pixels_to_srgb, read_bytes, to_srgb
from saliency.lossless import snapped
from saliency.photo_format import CropFormat, crop_format
from saliency.photo_list import ListedPhoto
from saliency.pixels import Pixels
from saliency.predictor import Predictor, resize_photo
from saliency.render import draw_overlay
from saliency.stopwatch import Stopwatch
from saliency.window import ShareTable

_OVERLAY_PX = 1600
_MOST_VIEWS = 4  # frames of an animation that the model looks at


class Cropper:
    """Crops photos, several at a time if wanted, and gives no two the same output file."""

    def __init__(
        self, predictor: Predictor, options: CropOptions, photos: Sequence[ListedPhoto] = ()
    ) -> None:
        """Take the model, the options, and all photos of this run, which are never written to."""
        self._predictor = predictor
        self._options = options
        self._planner = Planner(options, photos)
        self._folders = threading.Lock()

    def plan(self, photo: ListedPhoto) -> Plan:
        """Return which files are to be made of a photo (`Planner.plan`)."""
        return self._planner.plan(photo)

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
            self._write_crops(photo, choice, wanted, plan.as_format, clock)
            for choice, wanted in zip(choices, plan.files, strict=True)
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
        files = ((None,),) * len(choices)
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
            first, *others = (predictor.density(view) for view in views)
            density = np.mean([first, *others], axis=0) if others else first
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

    def _write_crops(
        self,
        photo: LoadedPhoto,
        choice: Choice,
        files: tuple[Path, ...],
        as_format: CropFormat,
        clock: Stopwatch,
    ) -> tuple[Path | None, ...]:
        """Write the crops of a ratio, the chosen one last: where it is, the others are too."""
        pairs = list(zip(candidates_of(choice), files, strict=False))
        written = [
            self._write_crop(photo, one, file, as_format, clock) for one, file in reversed(pairs)
        ]
        return tuple(reversed(written))

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
        if options.resume and is_there(file):
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

    def _write_overlay(
        self,
        file: Path,
        photo: LoadedPhoto,
        density: NDArray[np.float32],
        choices: Sequence[Choice],
    ) -> None:
        """Draw the overlay of a photo and write it as PNG."""
        if self._options.resume and is_there(file):
            return
        least = _shrunk(photo.size, _OVERLAY_PX / max(photo.size))
        picture = draw_overlay(to_srgb(photo, least), density, choices, photo_size=photo.size)
        buffer = BytesIO()
        Image.fromarray(picture).save(buffer, "png")
        self._write(buffer.getvalue(), file)


def _views(photo: LoadedPhoto) -> list[Pixels]:
    """Return what the model is to see: a photo, or an animation's first frame, its last and some.

    Those between lie at even distances.
    """
    if not photo.frames:
        return [photo.pixels]
    places = np.linspace(0, len(photo.frames) - 1, min(_MOST_VIEWS, len(photo.frames)))
    return [photo.frames[round(place)].image for place in places]


def _on_blocks(choice: Choice, photo: LoadedPhoto, density: NDArray[np.float32]) -> Choice:
    """Return a choice with its windows on the borders of the JPEG's blocks."""
    table = ShareTable(density, photo.size)
    window, *others = (
        snapped(photo, one) for one in (choice.window, *(one.window for one in choice.alternatives))
    )
    return replace(
        choice,
        window=window,
        share=table.share(window),
        alternatives=tuple(Alternative(one, table.share(one)) for one in others),
    )


def _shrunk(size: Size, factor: float) -> Size:
    """Return a size times a factor, rounded up, and never larger than it was."""
    width, height = (min(side, ceil(side * factor)) for side in size)
    return width, height
