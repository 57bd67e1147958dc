"""Crop a photo in memory: a path, a Pillow image or an array in, a Pillow image out.

from saliency import crop

crop("photo.jpg", "16:9").image.save("wide.jpg")
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from saliency.crop_windows.choice import Choice, ChoiceOptions
from saliency.cropping.options import CropOptions
from saliency.cropping.photo_cropper import PhotoCropper
from saliency.geometry import Padding, read_aspect
from saliency.photo.colour import convert_to_srgb, eight_bits
from saliency.photo.pixels import as_image
from saliency.photo.reading import LoadedPhoto, photo_of_pixels, quietly, read_bytes
from saliency.prediction.predictor import Predictor

Photo = str | Path | Image.Image | NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Crop:
    """A crop, and the choice that it follows from.

    Attributes:
        image: the pixels, upright, in the photo's own mode, at their full resolution; None where
            the choice is to skip the photo.
        choice: the window, what it is worth, and others.
    """

    image: Image.Image | None
    choice: Choice


def crop(
    photo: Photo,
    aspect: str,
    *,
    options: ChoiceOptions | None = None,
    predictor: Predictor | None = None,
) -> Crop:
    """Return the crop of a photo to an aspect ratio, where people look.

    A file gets the window that `saliency crop` gives it. Of an image or an array the model sees
    the very pixels, where a large JPEG file is decoded smaller for it: windows may differ by a
    few pixels.

    Args:
        photo: a path; a Pillow image, turned upright by its EXIF; or an array, uint8 of shape
            (height, width), (height, width, 3) RGB or (height, width, 4) RGBA, upright.
        aspect: width / height: `16:9`, `1.91:1`, `1200x630`; `auto` for any ratio and size, or
            `best-of 1:1 4:5 16:9`.
        options: how to choose the window; None for the defaults of `saliency crop`.
        predictor: the model to use; None for the shipped one, which is loaded once.

    Raises:
        PhotoError: the file cannot be read as a photo, or a box of the options lies outside it.
        ValueError: `aspect` is not a ratio, or the array is not a photo.
    """
    wanted = CropOptions(aspects={aspect: read_aspect(aspect)}, choice=options or ChoiceOptions())
    cropper = PhotoCropper(predictor or _shipped_model(), wanted)
    with quietly():
        if isinstance(photo, str | Path):
            ahead = predictor is None and (os.cpu_count() or 1) > 1
            seen = cropper.look(read_bytes(Path(photo)), Path(photo), decode_ahead=ahead)
        else:
            seen = cropper.look_at(_loaded(photo))
        (choice,) = cropper.choose(seen)
        if choice.outcome == "skipped":
            return Crop(None, choice)
        whole = seen.decoded_for(seen.photo.size)
    inside = as_image(whole.pixels).crop(choice.window.box)
    if choice.padding is not None:
        return Crop(_padded(inside, whole.metadata.icc_profile, choice.padding), choice)
    return Crop(inside, choice)


@lru_cache(maxsize=1)
def _shipped_model() -> Predictor:
    """Return the model that comes with the package, the same one every time."""
    return Predictor(threads=1)  # another core decodes meanwhile


def _loaded(photo: Image.Image | NDArray[np.uint8]) -> LoadedPhoto:
    """Return pixels in memory as a photo, upright."""
    if isinstance(photo, Image.Image):
        return photo_of_pixels(ImageOps.exif_transpose(photo), photo.info.get("icc_profile"))
    if photo.dtype != np.uint8 or photo.size == 0 or photo.shape[2:] not in ((), (3,), (4,)):
        raise ValueError(
            "expected a photo of uint8 of shape (height, width), (height, width, 3) or "
            f"(height, width, 4), got {photo.dtype} of shape {photo.shape}"
        )
    return photo_of_pixels(Image.fromarray(photo), None)


def _padded(image: Image.Image, icc_profile: bytes | None, padding: Padding) -> Image.Image:
    """Return the image as sRGB with white borders."""
    colours = convert_to_srgb(eight_bits(image), icc_profile)
    borders = padding.left, padding.top, padding.right, padding.bottom
    return ImageOps.expand(colours, borders, fill="white")
