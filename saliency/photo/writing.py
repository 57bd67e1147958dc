"""Encode the pixels of a crop as a file of any format, with what it is to carry."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from saliency.photo.colour import convert_to_srgb, eight_bits, over_colour
from saliency.photo.formats import CropFormat, register_heif
from saliency.photo.jpeg import encode_jpeg, with_segments
from saliency.photo.metadata import Carried
from saliency.photo.pixels import Pixels, as_image
from saliency.photo.sixteen_bit import encode_deep_png, encode_deep_tiff, tiff_tags

Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]

_MODES: dict[CropFormat, tuple[str, ...]] = {
    "jpeg": ("L", "RGB", "CMYK"),
    "png": ("1", "L", "LA", "I;16", "P", "RGB", "RGBA"),
    "webp": ("RGB", "RGBA"),
    "avif": ("RGB", "RGBA"),
    "tiff": ("1", "L", "LA", "I;16", "P", "RGB", "RGBA", "CMYK"),
    "gif": ("1", "L", "P", "RGB", "RGBA"),
    "heic": ("L", "RGB", "RGBA"),
}
_WITHOUT_PROFILE: tuple[CropFormat, ...] = ("gif",)
_WITH_QUALITY: tuple[CropFormat, ...] = ("jpeg", "webp", "avif", "heic")
PILLOW_NAMES: dict[CropFormat, str] = {"heic": "heif"}
"""What Pillow calls a format, where that is something else."""


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How crops are encoded.

    Attributes:
        quality: of JPEG, WebP, AVIF and HEIC, 1 to 100.
        subsampling: how JPEG samples colours; None for as the photo does, if it is a JPEG, else in
            full.
        progressive: write JPEGs that appear as a whole at first, then ever sharper.
        lossless: of WebP.
        background: colour, as CSS writes it, of transparent parts where the format has none, and
            of borders.
    """

    quality: int = 92
    subsampling: Subsampling | None = None
    progressive: bool = False
    lossless: bool = False
    background: str = "white"


def encode(
    pixels: Pixels,
    carried: Carried,
    as_format: CropFormat,
    encoding: Encoding,
    *,
    has_reduced_chroma: bool = False,
) -> bytes:
    """Return pixels as the bytes of a file.

    Args:
        pixels: of the crop.
        carried: what the file is to carry. JPEG has no room for an EXIF above 64 kB, GIF for
            anything; both are left out.
        as_format: JPEG has no alpha; only PNG and TIFF have 16 bits; only JPEG and TIFF have
            CMYK; WebP and AVIF have no grey and GIF no profile (they become sRGB).
        encoding: quality and the like.
        has_reduced_chroma: the photo is a JPEG whose colours have half the resolution.

    Raises:
        OSError, ValueError: the format cannot hold the crop (a WebP side has at most 16383 pixels).
    """
    if isinstance(pixels, np.ndarray) and pixels.dtype == np.uint16:
        deep: NDArray[np.uint16] = np.asarray(pixels, dtype=np.uint16)
        if as_format in ("png", "tiff"):
            write = encode_deep_png if as_format == "png" else encode_deep_tiff
            return write(deep, carried)
    subsampling = encoding.subsampling or ("4:2:0" if has_reduced_chroma else "4:4:4")
    is_array = isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8
    if as_format == "jpeg" and is_array and not encoding.progressive:
        plain = np.asarray(pixels, dtype=np.uint8)
        jpeg = encode_jpeg(plain, quality=encoding.quality, subsampling=subsampling)
        return with_segments(jpeg, carried)
    image, profile = fit_mode(as_image(pixels), carried.icc_profile, as_format, encoding)
    carried = Carried(carried.exif, carried.xmp, carried.iptc, profile, carried.dpi)
    if as_format == "jpeg":
        image.info = {}
        buffer = BytesIO()
        options = {"quality": encoding.quality, "progressive": encoding.progressive}
        image.save(buffer, "jpeg", subsampling=subsampling, **options)
        return with_segments(buffer.getvalue(), carried)
    return save([image], carried, as_format, encoding)


def save(
    images: list[Image.Image],
    carried: Carried,
    as_format: CropFormat,
    encoding: Encoding,
    **more: Any,
) -> bytes:
    """Return one image, or the frames of an animation, as a file that Pillow writes.

    Args:
        images: in a mode that the format has.
        carried: what the file is to carry.
        as_format: any but JPEG.
        encoding: quality and the like.
        **more: options of Pillow's, such as the durations of frames.
    """
    if as_format == "heic":
        register_heif()
    first, *others = images
    options: dict[str, Any] = more | carried_options(carried, as_format)
    if as_format in _WITH_QUALITY:
        options["quality"] = encoding.quality
    if as_format == "webp":
        options["lossless"] = encoding.lossless
    if as_format == "tiff":
        options["compression"] = "tiff_adobe_deflate"
    if others:
        options |= {"save_all": True, "append_images": others}
    # Pillow would write on its own what the image came with; palettes need their transparency.
    kept = {"transparency", "duration"} if as_format in ("gif", "png") else set()
    first.info = {name: value for name, value in first.info.items() if name in kept}
    buffer = BytesIO()
    first.save(buffer, PILLOW_NAMES.get(as_format, as_format), **options)
    return buffer.getvalue()


def carried_options(carried: Carried, as_format: CropFormat) -> dict[str, Any]:
    """Return what is carried as options of Pillow's writer of a format."""
    options: dict[str, Any] = {}
    if as_format == "gif":
        return options
    if carried.icc_profile is not None:
        options["icc_profile"] = carried.icc_profile
    if carried.dpi is not None and as_format in ("png", "tiff"):
        options["dpi"] = carried.dpi
    if as_format == "tiff":
        return options | {"tiffinfo": tiff_tags(carried)}
    if carried.exif:
        options["exif"] = carried.exif
    if carried.xmp and as_format == "png":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", carried.xmp.decode("utf-8", "replace"))
    elif carried.xmp:
        options["xmp"] = carried.xmp
    return options


def fit_mode(
    image: Image.Image, icc_profile: bytes | None, as_format: CropFormat, encoding: Encoding
) -> tuple[Image.Image, bytes | None]:
    """Return the image in a mode that the format has, and the profile that describes it then."""
    modes = _MODES[as_format]
    if as_format in _WITHOUT_PROFILE and icc_profile is not None:
        image = convert_to_srgb(eight_bits(image), icc_profile)
        return image, None
    has_lost_alpha = as_format == "jpeg" and image.has_transparency_data
    if image.mode in modes and not has_lost_alpha:
        return image, icc_profile
    image = eight_bits(image)
    if image.mode in modes:
        return image, icc_profile
    if as_format == "jpeg" and image.mode == "RGBA":
        return over_colour(image, encoding.background), icc_profile
    if image.mode == "LA" and "RGBA" in modes and icc_profile is None:
        return image.convert("RGBA"), None
    converted = convert_to_srgb(image, icc_profile)
    return (over_colour(converted, encoding.background) if as_format == "jpeg" else converted), None
