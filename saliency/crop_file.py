"""Cut a window out of a photo and encode it with what the photo carried.

A crop keeps the photo's format (or takes one that is chosen), its colour profile and its EXIF,
with the orientation 1, the new size and no embedded thumbnail; its alpha and its 16 bits where the
format has them. XMP is left out: it may describe the whole photo (a panorama's angles, faces).
"""

from io import BytesIO
from typing import Any, Literal

import cv2
import numpy as np
from PIL import Image

from saliency.aspect import Size
from saliency.deep_png import encode_deep
from saliency.errors import PhotoError
from saliency.image import ORIENTATION, LoadedPhoto, convert_to_srgb, eight_bits, over_white
from saliency.window import Window

CropFormat = Literal["jpeg", "png", "webp"]

_MODES = {
    "jpeg": ("L", "RGB", "CMYK"),
    "png": ("1", "L", "LA", "I;16", "P", "RGB", "RGBA"),
    "webp": ("RGB", "RGBA"),
}
_EXIF_IFD = 0x8769
_SIZE_TAGS = (0x0100, 0x0101)
_EXIF_SIZE_TAGS = (0xA002, 0xA003)
# How a TIFF lays out its own pixels, and the blocks it embeds: wrong or useless in another file.
_TIFF_TAGS = (
    *(0x00FE, 0x00FF, 0x0102, 0x0103, 0x0106, 0x0111, 0x0115, 0x0116, 0x0117, 0x011C, 0x013D),
    *(0x0140, 0x0142, 0x0143, 0x0144, 0x0145, 0x014A, 0x0152, 0x0153, 0x015B, 0x0201, 0x0202),
    *(0x02BC, 0x83BB, 0x8649, 0x8773),
)
_JPEG_SEGMENT = 65_533  # bytes that one segment, here the EXIF, can hold


def crop_format(photo: LoadedPhoto) -> CropFormat:
    """Return the format of a photo's crops by default: its own, or PNG, which loses nothing."""
    own: dict[str, CropFormat] = {"JPEG": "jpeg", "WEBP": "webp"}
    return own.get(photo.format, "png")


def crop_size(window_size: Size, max_size: int | None) -> Size:
    """Return the size at which a window is written.

    Args:
        window_size: width and height of the window, in pixels of the photo.
        max_size: longest side allowed; None for any. A smaller window is left as it is.
    """
    longest = max(window_size)
    if max_size is None or longest <= max_size:
        return window_size
    width, height = (max(1, round(side * max_size / longest)) for side in window_size)
    return width, height


def make_crop(
    photo: LoadedPhoto,
    window: Window,
    *,
    as_format: CropFormat,
    quality: int,
    max_size: int | None = None,
) -> bytes:
    """Return the crop of a photo to a window, as the bytes of a file.

    Args:
        photo: from `load_photo`, decoded at a size that has no fewer pixels than wanted here.
        window: in pixels of the whole upright photo.
        as_format: JPEG has no alpha (transparent parts become white); JPEG and WebP have no 16
            bits; PNG and WebP have no CMYK, WebP no grey (they become sRGB). JPEG has no room
            for an EXIF above 64 kB, which is left out.
        quality: of JPEG and WebP, 1 to 100. The colours of a JPEG keep their full resolution,
            unless the photo is a JPEG that has less already.
        max_size: longest side of the crop; a larger window is shrunk, a smaller one is left.

    Raises:
        PhotoError: the format cannot hold the crop (a WebP side has at most 16383 pixels).
    """
    if photo.deep is not None and as_format == "png":
        end_x, end_y = window.x + window.width, window.y + window.height
        inside = photo.deep[window.y : end_y, window.x : end_x]
        size = crop_size((window.width, window.height), max_size)
        if size != (window.width, window.height):
            inside = cv2.resize(inside, size, interpolation=cv2.INTER_AREA).astype(np.uint16)
        exif = _exif_of_crop(photo.exif, size)
        return encode_deep(inside, exif=exif, icc_profile=photo.icc_profile)
    return _encode(_cut(photo, window, max_size), photo, as_format=as_format, quality=quality)


def _cut(photo: LoadedPhoto, window: Window, max_size: int | None) -> Image.Image:
    """Return the pixels of a window, in the photo's own mode; shrunk ones with Lanczos."""
    image = photo.image
    size = crop_size((window.width, window.height), max_size)
    box = (window.x, window.y, window.x + window.width, window.y + window.height)
    if image.size == photo.size and size == (window.width, window.height):
        return image.crop(box)
    if image.mode in ("1", "P", "PA"):  # neither bits nor palette indices can be averaged
        image = eight_bits(image)
    x_scale, y_scale = image.width / photo.size[0], image.height / photo.size[1]
    scaled = (box[0] * x_scale, box[1] * y_scale, box[2] * x_scale, box[3] * y_scale)
    return image.resize(size, Image.Resampling.LANCZOS, box=scaled)


def _encode(
    image: Image.Image, photo: LoadedPhoto, *, as_format: CropFormat, quality: int
) -> bytes:
    """Return a crop as the bytes of a file, with the profile and the EXIF of its photo."""
    image, icc_profile = _fit_mode(image, photo.icc_profile, as_format)
    exif = _exif_of_crop(photo.exif, image.size)
    options: dict[str, Any] = {"quality": quality}
    if exif and not (as_format == "jpeg" and len(exif) > _JPEG_SEGMENT):
        options["exif"] = exif
    if icc_profile is not None:
        options["icc_profile"] = icc_profile
    if as_format == "jpeg":
        options["subsampling"] = "4:2:0" if photo.has_reduced_chroma else "4:4:4"
    buffer = BytesIO()
    try:
        image.save(buffer, as_format, **options)
    except (OSError, ValueError) as error:
        raise PhotoError(
            f"cannot write the crop of {photo.path} as {as_format}: {error}"
        ) from error
    return buffer.getvalue()


def _fit_mode(
    image: Image.Image, icc_profile: bytes | None, as_format: CropFormat
) -> tuple[Image.Image, bytes | None]:
    """Return the image in a mode that the format has, and the profile that describes it then."""
    has_lost_alpha = as_format == "jpeg" and image.has_transparency_data
    if image.mode in _MODES[as_format] and not has_lost_alpha:
        return image, icc_profile
    image = eight_bits(image)
    if image.mode in _MODES[as_format]:
        return image, icc_profile
    if as_format == "jpeg" and image.mode == "RGBA":
        return over_white(image), icc_profile
    converted = convert_to_srgb(image, icc_profile)
    return over_white(converted) if as_format == "jpeg" else converted, None


def _exif_of_crop(exif: Image.Exif, size: Size) -> bytes:
    """Return a photo's EXIF as it is true of an upright crop; without the embedded thumbnail."""
    if not exif:
        return b""
    kept = Image.Exif()
    try:
        kept.load(exif.tobytes())
        for tag in _TIFF_TAGS:
            kept.pop(tag, None)
        if not kept:
            return b""
        kept[ORIENTATION] = 1
        details = kept.get_ifd(_EXIF_IFD) if _EXIF_IFD in kept else {}
        for values, tags in ((kept, _SIZE_TAGS), (details, _EXIF_SIZE_TAGS)):
            for tag, side in zip(tags, size, strict=True):
                if tag in values:
                    values[tag] = side
        return kept.tobytes()
    except Exception:  # values that cannot be packed again raise almost anything
        return b""
