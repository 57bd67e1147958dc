"""Look at one photo: decode it once, predict once, choose a window of each aspect ratio."""

from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saliency.crop_windows.choice import Alternative, Choice, choose
from saliency.crop_windows.summed_area_table import ShareTable
from saliency.cropping.options import CropOptions
from saliency.cropping.overlay import draw_overlay
from saliency.cropping.stopwatch import Stopwatch
from saliency.errors import PhotoError
from saliency.geometry import Size, Window, largest_size
from saliency.photo.borders import find_content
from saliency.photo.colour import pixels_to_srgb
from saliency.photo.lossless_jpeg import snapped
from saliency.photo.pixels import Pixels, cropped, pixel_size
from saliency.photo.reading import LoadedPhoto, decode_photo, to_srgb
from saliency.prediction.predictor import Predictor
from saliency.prediction.processing import resize_photo

_OVERLAY_PX = 1600
_MOST_VIEWS = 4  # frames of an animation that the model looks at


@dataclass(frozen=True, eq=False)
class Analysis:
    """What was found in a photo.

    Attributes:
        photo: decoded as large as was needed for the model and for every crop.
        content: the part of it that is its picture.
        view: the picture as the model saw it.
        density: what the model expects on it.
        choices: the window of each ratio.
    """

    photo: LoadedPhoto
    content: Window
    view: NDArray[np.uint8]
    density: NDArray[np.float32]
    choices: tuple[Choice, ...]

    @property
    def preview(self) -> NDArray[np.uint8]:
        """The whole photo, small."""
        if self.content.size == self.photo.size:
            return self.view
        return to_srgb(self.photo, (self.view.shape[1], self.view.shape[0]))

    def drawn(self) -> NDArray[np.uint8]:
        """Return the overlay: the photo, the density and the windows (`render.draw_overlay`)."""
        size = self.photo.size
        rgb = to_srgb(self.photo, _shrunk(size, _OVERLAY_PX / max(size)))
        return draw_overlay(rgb, self.density, self.choices, photo_size=size, content=self.content)


class Analyst:
    """Looks at photos, several at a time if wanted."""

    def __init__(self, predictor: Predictor, options: CropOptions) -> None:
        """Take the model and the options."""
        self._predictor = predictor
        self._options = options

    def analyse(self, data: bytes, path: Path, clock: Stopwatch) -> Analysis:
        """Return what is found in a photo.

        Args:
            data: content of its file.
            path: what it is called.
            clock: takes the time of each part.

        Raises:
            PhotoError: it cannot be read, or a box of the options lies outside it.
        """
        with clock.part("decode"):
            photo, content = self._decode(data, path)
        return self._choose(photo, content, clock)

    def _decode(self, data: bytes, path: Path) -> tuple[LoadedPhoto, Window]:
        """Decode a photo as large as needed; return it, and the part that is its picture.

        A photo with a border is decoded whole, as the picture then is fewer pixels than thought,
        and begins and ends at any of them. The frames of an animation are taken as they are.
        """
        photo = decode_photo(data, path, self._least_size)
        whole = Window(0, 0, *photo.size)
        if self._options.choice.keep_borders or photo.frames:
            return photo, whole
        decoded_size = pixel_size(photo.pixels)
        content = find_content(photo.pixels)
        if content.size == decoded_size:
            return photo, whole
        if decoded_size == photo.size:
            return photo, content
        photo = decode_photo(data, path)
        return photo, find_content(photo.pixels)

    def _choose(self, photo: LoadedPhoto, content: Window, clock: Stopwatch) -> Analysis:
        """Predict the density and choose the windows.

        The density of an animation is the mean of those on some of its frames.
        """
        predictor = self._predictor
        with clock.part("resize"):
            input_size = predictor.input_size(content.size)
            views = [
                resize_photo(pixels_to_srgb(one, photo.carried.icc_profile, input_size), input_size)
                for one in _views(photo, content)
            ]
        with clock.part("network"):
            first, *others = (predictor.density(view) for view in views)
            density = np.mean([first, *others], axis=0) if others else first
        with clock.part("window"):
            choices = self._windows(photo, content, density)
        return Analysis(photo, content, views[0], density, choices)

    def _windows(
        self, photo: LoadedPhoto, content: Window, density: NDArray[np.float32]
    ) -> tuple[Choice, ...]:
        """Return the window of each ratio."""
        options = self._options
        try:
            choices = choose(
                density,
                options.aspects,
                photo.size,
                options.choice,
                self._predictor.calibration,
                content=content,
            )
        except PhotoError as error:
            raise PhotoError(f"{photo.path}: {error}") from error
        if options.is_lossless and photo.format == "JPEG":
            table = ShareTable(density, content.size)
            return tuple(_on_blocks(one, photo, content, table) for one in choices)
        return choices

    def _least_size(self, photo_size: Size) -> Size:
        """Return the size a photo has to be decoded at, for the model and for every crop."""
        options = self._options
        sizes = [self._predictor.input_size(photo_size)]
        if not options.is_lossless:
            if options.choice.zoom is not None:
                return photo_size  # the window may be of any size
            for ratio in options.aspects.values():
                window_size = largest_size(photo_size, ratio)
                sides = zip(options.output.size_of(window_size), window_size, strict=True)
                sizes.append(_shrunk(photo_size, max(written / cut for written, cut in sides)))
        return max(width for width, _ in sizes), max(height for _, height in sizes)


def _views(photo: LoadedPhoto, content: Window) -> list[Pixels]:
    """Return what the model is to see: a photo, or an animation's first frame, its last and some.

    Those between lie at even distances. Of a photo with a border it is what is inside.
    """
    if not photo.frames:
        has_border = content.size != photo.size
        return [cropped(photo.pixels, content.box) if has_border else photo.pixels]
    places = np.linspace(0, len(photo.frames) - 1, min(_MOST_VIEWS, len(photo.frames)))
    return [photo.frames[round(place)].image for place in places]


def _on_blocks(choice: Choice, photo: LoadedPhoto, content: Window, table: ShareTable) -> Choice:
    """Return a choice with its windows on the borders of the JPEG's blocks.

    They may show a little of the photo's border then, where there is no density.
    """

    def share(window: Window) -> float:
        inside = window.common(content)
        return 0.0 if inside is None else table.share(inside.moved(-content.x, -content.y))

    window = snapped(photo, choice.window)
    others = [snapped(photo, one.window) for one in choice.alternatives]
    return replace(
        choice,
        window=window,
        share=share(window),
        alternatives=tuple(Alternative(one, share(one)) for one in others),
    )


def _shrunk(size: Size, factor: float) -> Size:
    """Return a size times a factor, rounded up, and never larger than it was."""
    width, height = (min(side, ceil(side * factor)) for side in size)
    return width, height
