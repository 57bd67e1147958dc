"""Crop one photo to several aspect ratios: decode it once, predict once, cut and write each."""

import threading
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image

from saliency.batch.listing import ListedPhoto
from saliency.batch.options import BatchOptions
from saliency.batch.plan import Plan, Planner, is_empty, is_made
from saliency.crop_windows.choice import Choice, candidates_of
from saliency.cropping.analysis import Analysis, Analyst
from saliency.cropping.cutting import make_crop, make_lossless_crop
from saliency.cropping.options import CropOptions
from saliency.cropping.report import CropReport
from saliency.cropping.stopwatch import Stopwatch
from saliency.errors import PhotoError
from saliency.files import write_whole
from saliency.memory import keep_freed_memory
from saliency.photo.formats import CropFormat, crop_format
from saliency.photo.reading import LoadedPhoto, read_bytes
from saliency.prediction.predictor import Predictor


class Cropper:
    """Crops photos, several at a time if wanted, and gives no two the same output file."""

    def __init__(
        self,
        predictor: Predictor,
        crops: CropOptions,
        options: BatchOptions,
        photos: Sequence[ListedPhoto] = (),
    ) -> None:
        """Take the model, the options, and all photos of this run, which are never written to."""
        self._analyst = Analyst(predictor, crops)
        self._crops, self._options = crops, options
        self._planner = Planner(crops, options, photos)
        self._folders = threading.Lock()
        keep_freed_memory()

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
            data = read_bytes(path)
        found = self._analyst.analyse(data, path, clock)
        files = tuple(
            self._write_crops(found.photo, choice, wanted, plan.as_format, clock)
            for choice, wanted in zip(found.choices, plan.files, strict=True)
        )
        overlay = None if self._options.is_dry else plan.overlay
        if overlay is not None:
            self._write_overlay(overlay, found)
        return CropReport(
            photo=path,
            size=found.photo.size,
            content=found.content,
            choices=found.choices,
            files=files,
            overlay=overlay,
            timing_ms=clock.parts_ms,
            preview=found.preview if self._options.has_preview else None,
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
        found = self._analyst.analyse(data, path, clock)
        as_format = self._crops.as_format or crop_format(found.photo.format)
        with clock.part("encode"):
            crops = [
                self._encode(found.photo, choice, as_format)
                for choice in found.choices
                if choice.outcome != "skipped" and not self._options.is_dry
            ]
        report = CropReport(
            photo=path,
            size=found.photo.size,
            content=found.content,
            choices=found.choices,
            files=((None,),) * len(found.choices),
            overlay=None,
            timing_ms=clock.parts_ms,
            preview=None,
        )
        return report, crops

    def _encode(self, photo: LoadedPhoto, choice: Choice, as_format: CropFormat) -> bytes:
        """Return a crop as the bytes of a file."""
        options = self._crops
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
        if options.resume and is_made(file):
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
        # Waiting for the disk would take longer than all else; what a power cut empties, --resume
        # makes again.
        may_replace = self._options.overwrite or (self._options.resume and is_empty(file))
        write_whole(data, file, overwrite=may_replace, is_durable=False)

    def _write_overlay(self, file: Path, found: Analysis) -> None:
        """Draw the overlay of a photo and write it as PNG."""
        if self._options.resume and is_made(file):
            return
        buffer = BytesIO()
        Image.fromarray(found.drawn()).save(buffer, "png")
        self._write(buffer.getvalue(), file)
