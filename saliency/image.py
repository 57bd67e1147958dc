"""Read a photo from disk, upright, as sRGB.

What a photo file may be: JPEG, PNG or WebP (the formats crops are written in), or TIFF, BMP or GIF;
of an animation, the first picture. Grey, 16 bit, palette, alpha, CMYK, any EXIF orientation.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from saliency.aspect import Size
from saliency.deep_png import read_deep
from saliency.errors import PhotoError, first_line

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"})
"""Endings of the files that count as photos when a folder is given, in lower case."""

MOST_PIXELS = 178_000_000
"""A larger photo is refused before it is decoded: it would take gigabytes of memory."""

ORIENTATION = 0x0112

_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class LoadedPhoto:
    """A decoded photo, upright, with what its file carried.

    Attributes:
        path: the file.
        image: the pixels in the file's own mode (grey, palette, CMYK, …), perhaps decoded at a
            half, a quarter or an eighth of the size.
        size: width and height of the whole upright photo, in pixels.
        format: what Pillow calls the file's format: JPEG, PNG, WEBP, TIFF, …
        icc_profile: colour profile, or None.
        exif: the EXIF of the file; empty where it has none, or where it cannot be read.
        has_reduced_chroma: the colours are stored at a lower resolution than the brightness, as
            most JPEGs do.
        deep: the pixels of a colour PNG of 16 bits (`deep_png`), None for any other photo.
    """

    path: Path
    image: Image.Image
    size: Size
    format: str
    icc_profile: bytes | None
    exif: Image.Exif
    has_reduced_chroma: bool
    deep: NDArray[np.uint16] | None


def read_photo(path: Path | str) -> NDArray[np.uint8]:
    """Return a photo as uint8 (height, width, 3), sRGB, upright.

    Raises:
        PhotoError: the file cannot be read as a photo.
    """
    return to_srgb(load_photo(path))


def load_photo(path: Path | str, least_size: Callable[[Size], Size] | None = None) -> LoadedPhoto:
    """Read and decode a photo once.

    Args:
        path: the file.
        least_size: given the width and height of the upright photo, the smallest size that will
            do. A JPEG is then decoded at 1/2, 1/4 or 1/8 where that is no smaller, which is
            several times faster; other formats are decoded whole.

    Raises:
        PhotoError: the file cannot be read, is no photo, is damaged or cut short, or has more
            pixels than can be decoded safely.
    """
    path = Path(path)
    data = _read_bytes(path)
    with warnings.catch_warnings():
        # Pillow warns of odd metadata and of large photos; what matters is an error below.
        warnings.simplefilter("ignore")
        image = _open(data, path)
        exif = _read_exif(image)
        # Pillow turns a TIFF upright by itself as it decodes it.
        orientation = 1 if image.format == "TIFF" else exif.get(ORIENTATION, 1)
        is_turned = orientation in range(5, 9)
        size = image.size[::-1] if is_turned else image.size
        if least_size is not None:
            least = least_size(size)
            image.draft(None, least[::-1] if is_turned else least)
        _decode(image, path)
    transpose = _UPRIGHT.get(orientation)
    upright = image if transpose is None else image.transpose(transpose)
    return LoadedPhoto(
        path=path,
        image=upright,
        size=size,
        format="JPEG" if image.format in (None, "MPO") else str(image.format),
        icc_profile=image.info.get("icc_profile") or None,
        exif=exif,
        has_reduced_chroma=_has_reduced_chroma(image),
        deep=read_deep(data, orientation),
    )


def to_srgb(photo: LoadedPhoto, least_size: Size | None = None) -> NDArray[np.uint8]:
    """Return a decoded photo as uint8 (height, width, 3), sRGB; transparent parts are white.

    16-bit values keep their upper half. A colour profile that cannot be used is passed over.

    Args:
        photo: from `load_photo`.
        least_size: when given, a larger photo is first shrunk by a whole factor, averaging
            squares of pixels, to a size that is no smaller than this (width, height).
    """
    image = eight_bits(photo.image)
    if least_size is not None:
        factor = min(image.width // least_size[0], image.height // least_size[1])
        image = image.reduce(factor) if factor > 1 else image
    return np.asarray(over_white(convert_to_srgb(image, photo.icc_profile)))


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
    converted = _apply_profile(colours, icc_profile) if icc_profile else None
    colours = converted if converted is not None else colours.convert("RGB")
    if alpha is not None:
        colours.putalpha(alpha)
    return colours


def over_white(image: Image.Image) -> Image.Image:
    """Return an RGB or RGBA image as RGB, its transparent parts white."""
    if image.mode != "RGBA":
        return image
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return white


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


def _read_bytes(path: Path) -> bytes:
    """Return the content of a file that is to be a photo."""
    try:
        if path.is_dir():
            raise PhotoError(f"expected a photo, got the folder {path}")
        if path.exists() and not path.is_file():
            raise PhotoError(f"expected a photo, got a device or a pipe: {path}")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PhotoError(f"cannot read {path}: {reason}") from error
    if not data:
        raise PhotoError(f"expected a photo, got the empty file {path}")
    return data


def _open(data: bytes, path: Path) -> Image.Image:
    """Read the header of a photo."""
    try:
        image = Image.open(BytesIO(data), formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise PhotoError(_too_large(path)) from error
    except UnidentifiedImageError as error:
        raise PhotoError(
            f"expected a JPEG, PNG, WebP, TIFF, BMP or GIF photo, {path} is none of them"
        ) from error
    except Exception as error:  # readers of headers raise almost anything on damaged bytes
        raise PhotoError(f"{path} is damaged: {first_line(error)}") from error
    if image.width * image.height > MOST_PIXELS:
        raise PhotoError(_too_large(path))
    if image.mode == "F":
        raise PhotoError(f"expected whole-number pixels, {path} has floating-point ones")
    return image


def _decode(image: Image.Image, path: Path) -> None:
    """Decode the pixels of a photo whose header has been read."""
    try:
        image.load()
    except Exception as error:  # decoders raise almost anything on damaged bytes
        raise PhotoError(f"{path} is damaged or cut short: {first_line(error)}") from error


def _too_large(path: Path) -> str:
    """Say that a photo has too many pixels."""
    return f"expected at most {MOST_PIXELS // 1_000_000} megapixels, {path} has more; shrink it"


def _read_exif(image: Image.Image) -> Image.Exif:
    """Return the EXIF, with the orientation in it when only the XMP tells it; empty if damaged."""
    try:
        exif = image.getexif()
        for block in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            if block in exif:
                exif.get_ifd(block)  # now, as a TIFF can no longer be asked once it is decoded
        return exif
    except Exception:  # damaged EXIF raises almost anything, and the photo is good without it
        return Image.Exif()


def _has_reduced_chroma(image: Image.Image) -> bool:
    """Return whether a JPEG says that a colour is sampled less often than the brightness."""
    layers = getattr(image, "layer", [])
    return any(layer[1:3] != layers[0][1:3] for layer in layers)
