"""Colours: ICC profiles, sRGB, eight bits, and transparency over a colour."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from saliency.geometry import Size
from saliency.photo.pixels import Pixels, as_image, shrunk
from saliency.photo.stated_colour import is_built


def pixels_to_srgb(
    pixels: Pixels, icc_profile: bytes | None, most_size: Size | None = None
) -> NDArray[np.uint8]:
    """Return pixels of any kind as uint8 (height, width, 3), sRGB, as `to_srgb` does."""
    if isinstance(pixels, Image.Image):
        pixels = eight_bits(pixels)
    if most_size is not None:
        pixels = shrunk(pixels, most_size)
    if isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and icc_profile is None:
        return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))
    return np.asarray(over_colour(convert_to_srgb(as_image(pixels), icc_profile)))


def eight_bits(image: Image.Image) -> Image.Image:
    """Return an image in a mode of 8 bits per channel: L, LA, RGB, RGBA or CMYK."""
    if image.mode.startswith("I"):
        values = np.clip(np.asarray(image), 0, 65535)
        return Image.fromarray((values >> 8).astype(np.uint8))
    if image.has_transparency_data:
        return image.convert("LA" if image.mode in ("L", "LA", "1") else "RGBA")
    if image.mode in ("1", "L"):
        return image.convert("L")
    return image if image.mode in ("RGB", "CMYK") else image.convert("RGB")


def convert_to_srgb(image: Image.Image, icc_profile: bytes | None) -> Image.Image:
    """Return an image of 8 bits per channel as sRGB: mode RGB, or RGBA where it has alpha."""
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    colours = image.convert(image.mode.rstrip("A")) if alpha is not None else image
    if colours.mode == "L" and is_built(icc_profile):
        colours = colours.convert("RGB")
    converted = _apply_profile(colours, icc_profile) if icc_profile else None
    colours = converted if converted is not None else colours.convert("RGB")
    if alpha is not None:
        colours.putalpha(alpha)
    return colours


def over_colour(image: Image.Image, colour: str = "white") -> Image.Image:
    """Return an RGB or RGBA image as RGB, with a colour where it is transparent."""
    if image.mode != "RGBA":
        return image
    ground = Image.new("RGB", image.size, colour)
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def _apply_profile(colours: Image.Image, icc_profile: bytes) -> Image.Image | None:
    """Return the colours converted to sRGB, or None where nothing is to be or can be done."""
    from PIL import ImageCms  # noqa: PLC0415  most photos do without

    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(icc_profile))
        if "sRGB" in ImageCms.getProfileDescription(profile) and colours.mode == "RGB":
            return None
        target = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(colours, profile, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
