"""The one path of a photo: look, choose, cut. The command, `crop()` and the service share it."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from math import ceil
from pathlib import Path

from saliency.crop_windows.candidates import box_on_photo
from saliency.crop_windows.choice import Alternative, Choice, choose
from saliency.crop_windows.summed_area_table import ShareTable
from saliency.cropping.analysis import Analysis, look, look_at
from saliency.cropping.cutting import EncodedCrop, make_crop, make_lossless_crop, padded_size
from saliency.cropping.options import CropOptions
from saliency.cropping.stopwatch import Stopwatch
from saliency.errors import PhotoError
from saliency.geometry import Size, Window
from saliency.photo.damage import is_refused
from saliency.photo.formats import crop_format
from saliency.photo.lossless_jpeg import snapped
from saliency.photo.reading import LoadedPhoto
from saliency.prediction.faces import FaceDetector
from saliency.prediction.predictor import Predictor


class PhotoCropper:
    """Looks at photos, chooses windows in them and cuts these out; several threads may use it."""

    def __init__(self, predictor: Predictor, options: CropOptions) -> None:
        """Take the model, and how photos are cropped."""
        self._predictor, self._options = predictor, options
        wants_faces = options.choice.faces == "keep"
        self._detector = _shipped_detector(predictor.threads) if wants_faces else None

    def look(
        self,
        data: bytes,
        path: Path,
        clock: Stopwatch | None = None,
        *,
        decode_ahead: bool = False,
    ) -> Analysis:
        """Return what the model sees in a photo (`analysis.look`).

        Args:
            data: content of the photo's file.
            path: the photo's name, for messages.
            clock: takes the time of each part.
            decode_ahead: crops will be cut, and a processor core is free: if they need all
                pixels, decode those in another thread meanwhile.

        Raises:
            PhotoError: it cannot be read as a photo, or has a fault that the options refuse.
        """
        seen = look(
            data,
            path,
            self._predictor,
            detector=self._detector,
            keep_borders=self._options.choice.keep_borders,
            clock=clock or Stopwatch(),
            is_cut_whole=decode_ahead and self._options.needs_all_pixels,
        )
        for fault in seen.photo.faults:
            if is_refused(fault, self._options.fail_on):
                raise PhotoError(f"{path} is damaged: {fault.text}")
        return seen

    def look_at(self, photo: LoadedPhoto) -> Analysis:
        """Return what the model sees in a photo that is decoded already."""
        return look_at(
            photo,
            self._predictor,
            detector=self._detector,
            keep_borders=self._options.choice.keep_borders,
            clock=Stopwatch(),
        )

    def choose(self, seen: Analysis) -> tuple[Choice, ...]:
        """Return the window of each ratio, in the order of the options.

        Raises:
            PhotoError: a box of the options lies outside the photo.
        """
        options, photo = self._options, seen.photo
        try:
            choices = choose(
                seen.density,
                options.aspects,
                seen.frame,
                options.choice,
                self._predictor.calibration,
                faces=[(face.face, face.head) for face in seen.faces],
            )
        except PhotoError as error:
            raise PhotoError(f"{photo.path}: {error}") from error
        if options.is_lossless and photo.format == "JPEG":
            return tuple(self._on_blocks(one, seen) for one in choices)
        return choices

    def _on_blocks(self, choice: Choice, seen: Analysis) -> Choice:
        """Return a choice with its windows on the borders of the JPEG's blocks.

        They may then show a little of the photo's border, where there is no density. A box that a
        window keeps or avoids is kept or avoided there too.
        """
        photo, frame, options = seen.photo, seen.frame, self._options.choice
        table = ShareTable(seen.density, frame.picture.size)
        keep = [box_on_photo(box, frame.size, "keep") for box in options.keep]
        avoid = [box_on_photo(box, frame.size, "avoid") for box in options.avoid]

        def meets_as_many(window: Window, wanted: Window) -> bool:
            """Return whether a window keeps and avoids every box that another does."""
            return all(
                window.common(box) == box for box in keep if wanted.common(box) == box
            ) and all(window.common(box) is None for box in avoid if wanted.common(box) is None)

        def placed(wanted: Window) -> Alternative | None:
            for window in snapped(photo, wanted):
                if meets_as_many(window, wanted):
                    part = frame.on_picture(window)
                    return Alternative(window, 0.0 if part is None else table.share(part))
            return None

        chosen = placed(choice.window)
        if chosen is None:
            raise PhotoError(
                f"{photo.path}: no crop without loss meets the boxes as well, because it has to "
                "begin on the borders of the JPEG's blocks; crop with loss, or give smaller boxes"
            )
        others = tuple(filter(None, (placed(one.window) for one in choice.alternatives)))
        return replace(choice, window=chosen.window, share=chosen.share, alternatives=others)

    def cutter(
        self, seen: Analysis, choices: Sequence[Choice], clock: Stopwatch | None = None
    ) -> "PhotoCutter":
        """Return a cutter for these windows, and others of their size."""
        return PhotoCutter(seen, choices, self._options, clock or Stopwatch())


@lru_cache(maxsize=2)
def _shipped_detector(threads: int) -> FaceDetector:
    """Return the face detector that comes with the package, one for each number of threads."""
    return FaceDetector(threads=threads)


class PhotoCutter:
    """Cuts windows out of one photo, which is decoded once, as large as the largest crop needs.

    Attributes:
        warnings: what is wrong with the photo, and what its crops so far do not keep of its file.
    """

    def __init__(
        self, seen: Analysis, choices: Sequence[Choice], options: CropOptions, clock: Stopwatch
    ) -> None:
        """Take the analysis, and the windows, which decide at what size the photo is decoded."""
        photo = seen.photo
        self._seen, self._photo, self._choices = seen, photo, choices
        self._options, self._clock = options, clock
        self.warnings = [*(fault.text for fault in photo.faults), *photo.warnings]
        self._format = options.as_format or crop_format(photo.format)

    def cut(self, choice: Choice) -> bytes:
        """Return the crop of a choice as the bytes of a file, in the format of the options.

        Raises:
            PhotoError: the format cannot hold the crop, or not without loss as was asked for.
        """
        options, photo, as_format = self._options, self._photo, self._format
        if options.is_lossless and as_format == "jpeg":
            if choice.padding is not None:
                raise PhotoError(f"cannot add borders to {photo.path} without loss")
            with self._clock.part("encode"):
                return self._noted(
                    make_lossless_crop(photo, choice.window, stripped=options.is_stripped)
                )
        if options.is_lossless and as_format in ("avif", "heic"):
            raise PhotoError(f"cannot write {photo.path} as {as_format} without loss; take PNG")
        with self._clock.part("decode"):
            photo = self._decoded
        with self._clock.part("encode"):
            return self._noted(make_crop(photo, choice, as_format=as_format, options=options))

    def _noted(self, crop: EncodedCrop) -> bytes:
        """Return the bytes of a crop, and keep its warnings."""
        self.warnings += [text for text in crop.warnings if text not in self.warnings]
        return crop.data

    @cached_property
    def _decoded(self) -> LoadedPhoto:
        """The photo with as many pixels as the crops need."""
        return self._seen.decoded_for(self._least_size)

    @property
    def _least_size(self) -> Size:
        """The size that the photo has to be decoded at for no crop to be enlarged."""
        factor = 0.0
        for choice in self._choices:
            window_size = padded_size(choice)
            written = self._options.output.size_of(
                window_size, self._options.ratio_of(choice.aspect)
            )
            ratios = (one / other for one, other in zip(written, window_size, strict=True))
            factor = max(factor, *ratios)
        width, height = (min(side, ceil(side * factor)) for side in self._photo.size)
        return width, height
