"""Crop a photo in memory: a path, a Pillow image or an array in, a Pillow image out.

from saliency import crop

crop("photo.jpg", "16:9").image.save("wide.jpg")
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from saliency.crop_windows.choice import Choice, ChoiceOptions, choose
from saliency.geometry import Padding, Window, parse_aspect
from saliency.photo.borders import find_content
from saliency.photo.colour import convert_to_srgb, eight_bits, pixels_to_srgb
from saliency.photo.pixels import as_image
from saliency.photo.reading import load_photo
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

    Args:
        photo: a path; a Pillow image, turned upright as its EXIF says; or an array, uint8 of shape
            (height, width), (height, width, 3) RGB or (height, width, 4) RGBA, upright.
        aspect: width / height: `16:9`, `1.91:1`, `1200x630`.
        options: how to choose the window; None for the defaults of `saliency crop`.
        predictor: the model to use; None for the shipped one, which is loaded once.

    Raises:
        PhotoError: the file cannot be read as a photo, or a box of the options lies outside it.
        ValueError: the ratio or the array is none.
    """
    ratio = parse_aspect(aspect)
    image, icc_profile = _read(photo)
    model = predictor or _shipped_model()
    wanted = options or ChoiceOptions()
    content = Window(0, 0, *image.size) if wanted.keep_borders else find_content(image)
    picture = image if content.size == image.size else image.crop(content.box)
    rgb = pixels_to_srgb(picture, icc_profile, model.input_size(content.size))
    density = model.density(rgb)
    (choice,) = choose(
        density, {aspect: ratio}, image.size, wanted, model.calibration, content=content
    )
    if choice.outcome == "skipped":
        return Crop(None, choice)
    inside = image.crop(choice.window.box)
    if choice.padding is not None:
        return Crop(_padded(inside, icc_profile, choice.padding), choice)
    return Crop(inside, choice)


@lru_cache(maxsize=1)
def _shipped_model() -> Predictor:
    """Return the model that comes with the package, the same one every time."""
    return Predictor()


def _read(photo: Photo) -> tuple[Image.Image, bytes | None]:
    """Return the upright image of a photo, and its colour profile."""
    if isinstance(photo, Image.Image):
        return ImageOps.exif_transpose(photo), photo.info.get("icc_profile")
    if isinstance(photo, np.ndarray):
        if photo.dtype != np.uint8 or photo.size == 0 or photo.shape[2:] not in ((), (3,), (4,)):
            raise ValueError(
                "expected a photo of uint8 of shape (height, width), (height, width, 3) or "
                f"(height, width, 4), got {photo.dtype} of shape {photo.shape}"
            )
        return Image.fromarray(photo), None
    loaded = load_photo(photo)
    return as_image(loaded.pixels), loaded.carried.icc_profile


def _padded(image: Image.Image, icc_profile: bytes | None, padding: Padding) -> Image.Image:
    """Return the image as sRGB with white borders."""
    colours = convert_to_srgb(eight_bits(image), icc_profile)
    borders = padding.left, padding.top, padding.right, padding.bottom
    return ImageOps.expand(colours, borders, fill="white")
