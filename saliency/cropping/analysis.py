"""Look at one photo: decode it as far as the model needs, and predict the density on its picture.

What the model sees depends on the photo and the model alone, never on what will be written: a JPEG
is decoded at the greatest reduction that leaves both sides `_LEAST_FACTOR` times the model's input
and the longer one `_LEAST_SIDE`, and everything else whole. Crops that need more pixels decode the
photo again (`PhotoCutter`).
"""

import os
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saliency.crop_windows.summed_area_table import share
from saliency.cropping.stopwatch import Stopwatch
from saliency.geometry import Frame, Size, Window
from saliency.photo.borders import find_picture
from saliency.photo.colour import pixels_to_srgb
from saliency.photo.formats import HEAD_BYTES, photo_format
from saliency.photo.pixels import Pixels, cropped, pixel_size
from saliency.photo.reading import LoadedPhoto, decode_photo, decoded_for, to_srgb
from saliency.prediction.faces import CLOSER_SIDE, SEEN_SIDE, Face, FaceDetector
from saliency.prediction.predictor import Predictor
from saliency.prediction.processing import resize_photo

_LEAST_FACTOR = 2  # so that averaging down takes care of what would alias
_LEAST_SIDE = 576  # of what is decoded: most small crops need no other decoding then
_MOST_VIEWS = 4  # frames of an animation that the model looks at
_MOST_IN_BORDER = 0.2  # density in a border over the mean of the photo; 0.03 at most in 507 borders
_SPREAD = 0.05  # of the photo's longer side, over which the density of the picture spreads


@dataclass(frozen=True, eq=False)
class Analysis:
    """What was seen in a photo.

    Attributes:
        photo: decoded as large as the model needs it, or larger.
        frame: its size, and the part of it that is its picture.
        view: the picture as the model saw it, uint8 (height, width, 3), sRGB.
        density: the share of fixations that the model expects in each cell of a grid over the
            picture, float32 (rows, columns).
        faces: of people, in pixels of the whole photo; empty if they were not looked for.
        whole: the same photo with all its pixels, where its decoding was begun beside the rest.
    """

    photo: LoadedPhoto
    frame: Frame
    view: NDArray[np.uint8]
    density: NDArray[np.float32]
    faces: tuple[Face, ...] = ()
    whole: "Future[LoadedPhoto] | None" = None

    @property
    def preview(self) -> NDArray[np.uint8]:
        """The whole photo, small, uint8 (height, width, 3), sRGB."""
        if not self.frame.has_border:
            return self.view
        return to_srgb(self.photo, (self.view.shape[1], self.view.shape[0]))

    def decoded_for(self, least_size: Size) -> LoadedPhoto:
        """Return the photo with no fewer pixels than wanted (`reading.decoded_for`).

        Raises:
            PhotoError: it is damaged or cut short.
        """
        return _decoded_for(self.photo, least_size, self.whole)


def look(
    data: bytes,
    path: Path,
    predictor: Predictor,
    *,
    detector: FaceDetector | None,
    keep_borders: bool,
    clock: Stopwatch,
    is_cut_whole: bool = False,
) -> Analysis:
    """Return what the model sees in a photo.

    Args:
        data: content of the photo's file.
        path: the photo's name, for messages.
        predictor: the model.
        detector: finds faces; None to skip them.
        keep_borders: count a border around the picture as part of it.
        clock: takes the time of each part.
        is_cut_whole: all pixels will be needed, and a processor core is free: decode them too,
            beside the rest.

    Raises:
        PhotoError: it cannot be read as a photo.
    """
    whole: Future[LoadedPhoto] | None = None

    def least_size(size: Size) -> Size:
        nonlocal whole
        least = _least_size(size, predictor)
        is_reduced = all(2 * one <= other for one, other in zip(least, size, strict=True))
        if is_cut_whole and is_reduced and photo_format(data[:HEAD_BYTES]) == "JPEG":
            whole = _decoders().submit(decode_photo, data, path)
        return least

    with clock.part("decode"):
        photo = decode_photo(data, path, least_size)
    return look_at(
        photo, predictor, detector=detector, keep_borders=keep_borders, clock=clock, whole=whole
    )


def look_at(
    photo: LoadedPhoto,
    predictor: Predictor,
    *,
    detector: FaceDetector | None,
    keep_borders: bool,
    clock: Stopwatch,
    whole: "Future[LoadedPhoto] | None" = None,
) -> Analysis:
    """Return what the model sees in a photo that is decoded already; see `look` and `Analysis`.

    A photo with a border is decoded at full size, as its picture has fewer pixels than the photo,
    and may begin at any of them. What looks like a border counts as picture if the model expects
    fixations in it. The frames of an animation are taken as they are.
    """
    frame = Frame.whole(photo.size)
    with clock.part("decode"):
        if not (keep_borders or photo.frames):
            found = find_picture(photo.pixels)
            if found.size != pixel_size(photo.pixels):
                large = _decoded_for(photo, photo.size, whole)
                frame = Frame(photo.size, found if large is photo else find_picture(large.pixels))
                photo = large
    seen = _predicted(photo, frame, predictor, clock)
    if frame.has_border:
        on_photo = _predicted(photo, Frame.whole(photo.size), predictor, clock)
        if _holds_fixations(frame, on_photo.density):
            frame, seen = on_photo.frame, on_photo
    seen = replace(seen, whole=whole)
    if detector is None:
        return seen
    with clock.part("faces"):
        return replace(seen, faces=_faces(photo, frame, detector))


def _holds_fixations(frame: Frame, density: NDArray[np.float32]) -> bool:
    """Return whether people would look at what looks like a border, by the density on the photo.

    The density of the picture spreads into a strip around it, which does not count, so narrow
    borders are never doubted.
    """
    width, height = frame.size
    spread = ceil(_SPREAD * max(width, height))
    left, top, right, bottom = frame.picture.box
    left, top = max(0, left - spread), max(0, top - spread)
    right, bottom = min(width, right + spread), min(height, bottom + spread)
    spread_picture = Window.between(left, top, right, bottom)
    area = 1 - (right - left) * (bottom - top) / (width * height)
    in_border = 1 - share(density, spread_picture, frame.size)
    return area > 0 and in_border > _MOST_IN_BORDER * area


@lru_cache(maxsize=1)
def _decoders() -> ThreadPoolExecutor:
    """Return the threads that decode ahead; they are kept, as is their memory."""
    return ThreadPoolExecutor(thread_name_prefix="decode")


if hasattr(os, "register_at_fork"):  # a forked process has none of the threads
    os.register_at_fork(after_in_child=_decoders.cache_clear)


def _decoded_for(
    photo: LoadedPhoto, least_size: Size, whole: "Future[LoadedPhoto] | None"
) -> LoadedPhoto:
    """Return a photo with at least the pixels wanted: decoded ahead, as it is, or decoded anew."""
    width, height = pixel_size(photo.pixels)
    if whole is not None and (width < least_size[0] or height < least_size[1]):
        return whole.result()
    return decoded_for(photo, least_size)


def _faces(photo: LoadedPhoto, frame: Frame, detector: FaceDetector) -> tuple[Face, ...]:
    """Return the faces in the picture of a photo, of an animation in its first frame."""
    found = _faces_at(SEEN_SIDE, photo, frame, detector)
    if not all(face.is_sure for face in found):
        found = _faces_at(CLOSER_SIDE, photo, frame, detector)
    return tuple(face.moved(frame.picture.x, frame.picture.y) for face in found if face.is_sure)


def _faces_at(
    side: int, photo: LoadedPhoto, frame: Frame, detector: FaceDetector
) -> tuple[Face, ...]:
    """Return the faces in a picture that is shown to the detector with this longest side."""
    width, height = frame.picture.size
    factor = min(1.0, side / max(width, height))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    view = pixels_to_srgb(_views(photo, frame)[0], photo.metadata.icc_profile, size)
    return detector.find(view, frame.picture.size)


def _least_size(photo_size: Size, predictor: Predictor) -> Size:
    """Return the size that a photo has to be decoded at for the model to look at it."""
    factors = (
        _LEAST_FACTOR * seen / whole
        for seen, whole in zip(predictor.input_size(photo_size), photo_size, strict=True)
    )
    factor = min(1.0, max(*factors, _LEAST_SIDE / max(photo_size)))
    return ceil(photo_size[0] * factor), ceil(photo_size[1] * factor)


def _predicted(
    photo: LoadedPhoto, frame: Frame, predictor: Predictor, clock: Stopwatch
) -> Analysis:
    """Predict the density; that of an animation is the mean over some of its frames."""
    with clock.part("resize"):
        input_size = predictor.input_size(frame.picture.size)
        views = [
            resize_photo(pixels_to_srgb(one, photo.metadata.icc_profile, input_size), input_size)
            for one in _views(photo, frame)
        ]
    with clock.part("network"):
        first, *others = (predictor.density(view) for view in views)
        density = np.mean([first, *others], axis=0) if others else first
    return Analysis(photo, frame, views[0], density)


def _views(photo: LoadedPhoto, frame: Frame) -> list[Pixels]:
    """Return what the model looks at: the picture of a photo, or some frames of an animation.

    They are the first frame, the last one, and frames at even distances between them.
    """
    if not photo.frames:
        return [cropped(photo.pixels, frame.picture.box) if frame.has_border else photo.pixels]
    places = np.linspace(0, len(photo.frames) - 1, min(_MOST_VIEWS, len(photo.frames)))
    return [photo.frames[round(place)].image for place in places]
