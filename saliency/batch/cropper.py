"""Crop photos of a run: look, choose, cut, and write each crop under its planned name."""

import threading
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image

from saliency.batch.decisions import Decisions
from saliency.batch.listing import ListedPhoto
from saliency.batch.options import BatchOptions
from saliency.batch.plan import Plan, Planner, is_empty, is_made, name_files
from saliency.crop_windows.choice import Choice, candidates_of
from saliency.cropping.analysis import Analysis
from saliency.cropping.options import CropOptions
from saliency.cropping.overlay import draw_analysis
from saliency.cropping.photo_cropper import PhotoCropper, PhotoCutter
from saliency.cropping.report import CropReport
from saliency.cropping.stopwatch import Stopwatch
from saliency.files import create_folder, write_whole
from saliency.memory import keep_freed_memory
from saliency.photo.formats import HEAD_BYTES, photo_format
from saliency.photo.reading import read_bytes
from saliency.prediction.predictor import Predictor


class Cropper:
    """Crops photos, several at a time if wanted, each into a file of its own."""

    def __init__(
        self,
        predictor: Predictor,
        crops: CropOptions,
        options: BatchOptions,
        photos: Sequence[ListedPhoto] = (),
        *,
        decode_ahead: bool = False,
        decisions: Decisions | None = None,
    ) -> None:
        """Prepare a run.

        Args:
            predictor: the model.
            crops: how photos are cropped.
            options: which files are written.
            photos: all photos of this run, which are never written to.
            decode_ahead: one photo at a time is cropped and a processor core is free for decoding.
            decisions: windows that were decided before, which take the place of the model's.
        """
        self._cropper = PhotoCropper(predictor, crops)
        self._decode_ahead, self._decisions = decode_ahead, decisions
        self._crops, self._options = crops, options
        self._planner = Planner(crops, options, photos)
        self._folders = threading.Lock()
        keep_freed_memory()

    def plan(self, photo: ListedPhoto) -> Plan:
        """Return the files that will be made of a photo (`Planner.plan`)."""
        return self._planner.plan(photo)

    def name_files(self, photo: ListedPhoto, data: bytes | None = None) -> Plan:
        """Return the files of a photo, which nothing else may have (`plan.name_files`).

        Args:
            photo: the photo.
            data: content of its file; None to look into it.
        """
        known = None if data is None else photo_format(data[:HEAD_BYTES])
        return name_files(photo, self._crops, self._options, photo_format=known)

    def crop(self, plan: Plan, data: bytes | None = None) -> CropReport:
        """Crop one photo and write the crops; several threads may do so at once.

        Args:
            plan: the files that are made of it.
            data: content of the photo's file; None to read it.

        Raises:
            PhotoError: the photo cannot be read, or cannot be cropped as asked.
            OutputError: a crop cannot be written; crops of this photo written earlier stay.
        """
        clock = Stopwatch()
        with clock.part("decode"):
            data = read_bytes(plan.photo.path) if data is None else data
        seen, choices, cutter = self._looked(data, plan.photo.path, clock)
        files = tuple(
            self._write_crops(cutter, choice, wanted, clock)
            for choice, wanted in zip(choices, plan.files, strict=True)
        )
        overlay = None if self._options.is_dry else plan.overlay
        if overlay is not None:
            self._write_overlay(overlay, seen, choices)
        preview = seen.preview if self._options.has_preview else None
        return CropReport.of(
            seen,
            choices,
            clock,
            files=files,
            overlay=overlay,
            preview=preview,
            warnings=cutter.warnings,
        )

    def crop_data(self, data: bytes, path: Path) -> tuple[CropReport, list[bytes]]:
        """Crop one photo in memory; return what was done, and a file for each crop that is made.

        Args:
            data: content of the photo's file.
            path: the photo's name, for messages.

        Raises:
            PhotoError: it cannot be read or cropped.
        """
        clock = Stopwatch()
        seen, choices, cutter = self._looked(data, path, clock)
        crops = [
            cutter.cut(choice)
            for choice in choices
            if choice.outcome != "skipped" and not self._options.is_dry
        ]
        return CropReport.of(seen, choices, clock, warnings=cutter.warnings), crops

    def _looked(
        self, data: bytes, path: Path, clock: Stopwatch
    ) -> tuple[Analysis, tuple[Choice, ...], PhotoCutter]:
        """Look at a photo and choose its windows; return these, and what cuts them."""
        seen = self._cropper.look(data, path, clock, decode_ahead=self._decode_ahead)
        with clock.part("window"):
            choices = self._cropper.choose(seen)
            if self._decisions is not None:
                choices = tuple(self._decisions.apply(data, path, seen, choices))
        return seen, choices, self._cropper.cutter(seen, choices, clock)

    def _write_crops(
        self, cutter: PhotoCutter, choice: Choice, files: tuple[Path, ...], clock: Stopwatch
    ) -> tuple[Path | None, ...]:
        """Write the crops of a ratio, the chosen one last: if it exists, the others exist too."""
        pairs = list(zip(candidates_of(choice), files, strict=False))
        written = [self._write_crop(cutter, one, file, clock) for one, file in reversed(pairs)]
        return tuple(reversed(written))

    def _write_crop(
        self, cutter: PhotoCutter, choice: Choice, file: Path, clock: Stopwatch
    ) -> Path | None:
        """Cut and write a crop, unless the photo is skipped."""
        options = self._options
        if options.is_dry or choice.outcome == "skipped":
            return None
        if options.resume and is_made(file):
            return file
        data = cutter.cut(choice)
        with clock.part("write"):
            self._write(data, file)
        return file

    def _write(self, data: bytes, file: Path) -> None:
        """Write a file, creating its folder if need be."""
        with self._folders:
            create_folder(file.parent)
        # Waiting for the disk would take longer than all else; what a power cut empties, --resume
        # makes again.
        may_replace = self._options.overwrite or (self._options.resume and is_empty(file))
        write_whole(data, file, overwrite=may_replace, is_durable=False)

    def _write_overlay(self, file: Path, seen: Analysis, choices: Sequence[Choice]) -> None:
        """Draw the overlay of a photo and write it as PNG."""
        if self._options.resume and is_made(file):
            return
        buffer = BytesIO()
        Image.fromarray(draw_analysis(seen, choices)).save(buffer, "png")
        self._write(buffer.getvalue(), file)
