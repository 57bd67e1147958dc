"""Read a photo, upright, as sRGB.

What a photo's file may be: JPEG, PNG, WebP, AVIF, TIFF, GIF or BMP, and HEIC where pillow-heif is
installed. Grey, 16 bit, palette, alpha, CMYK, any EXIF orientation; of a TIFF with several pages,
the first.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from saliency.errors import PhotoError, first_line
from saliency.geometry import Size
from saliency.photo.animation import Frame, read_frames
from saliency.photo.colour import pixels_to_srgb
from saliency.photo.damage import Fault, jpeg_faults, undecodable
from saliency.photo.formats import HEAD_BYTES, photo_format, register_heif
from saliency.photo.jpeg import decode_jpeg
from saliency.photo.metadata.file_metadata import ORIENTATION, Metadata, read_exif, read_metadata
from saliency.photo.pixels import Pixels, pixel_size, turned_upright
from saliency.photo.sixteen_bit import (
    bits_per_channel,
    is_sixteen_bit,
    loses_depth,
    read_sixteen_bit,
)
from saliency.photo.stated_colour import (
    code_points_of_heif,
    has_gain_map,
    profile_of_code_points,
    profile_of_exif,
    profile_of_png,
)

MOST_PIXELS = 178_000_000
"""A larger photo is refused before it is decoded: it would take gigabytes of memory.

Of an animation, the pixels of all frames together."""

_RAW_SUFFIXES = (
    *(".nef", ".nrw", ".dng", ".cr2", ".arw", ".sr2", ".srf", ".pef", ".iiq", ".3fr"),
    *(".erf", ".mef", ".mos", ".dcr", ".kdc", ".raf", ".rw2", ".orf"),
)
_SUBFILE, _SUB_DIRECTORIES, _DNG_VERSION = 0x00FE, 0x014A, 0xC612
_LENIENT = Lock()

MOST_BYTES = 1 << 30
"""A larger file is refused before it is read."""


@dataclass(frozen=True)
class LoadedPhoto:
    """A decoded photo, upright, with what else its file holds.

    Attributes:
        path: the file.
        data: its content.
        pixels: in the file's own mode (grey, palette, CMYK, 16 bits, …), perhaps decoded at a half,
            a quarter or an eighth of the size; of an animation, those of the first frame.
        size: width and height of the whole upright photo, in pixels.
        format: what Pillow calls the file's format: JPEG, PNG, WEBP, TIFF, …
        orientation: how the stored pixels had to be turned, as in EXIF, 1 to 8.
        exif: the EXIF of the file; empty where it has none, or where it cannot be read.
        metadata: what else the file carries.
        depth: bits per channel in the file, of which `pixels` may hold fewer.
        sampling: of a JPEG, how often each colour is sampled across and down; empty for others.
        frames: of an animation, all frames, upright; empty for a still photo.
        loop: how often an animation is to be played, 0 for ever; None where the file does not state
            it.
        faults: what is wrong with the file, although it could be decoded.
        warnings: what of it no crop can show or keep, each in a few words.
    """

    path: Path
    data: bytes
    pixels: Pixels
    size: Size
    format: str
    orientation: int
    exif: Image.Exif
    metadata: Metadata
    depth: int = 8
    sampling: tuple[Size, ...] = ()
    frames: tuple[Frame, ...] = ()
    loop: int | None = None
    faults: tuple[Fault, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def has_reduced_chroma(self) -> bool:
        """Whether the colours are stored at a lower resolution, as most JPEGs do."""
        return any(times != self.sampling[0] for times in self.sampling)


def read_photo(path: Path | str) -> NDArray[np.uint8]:
    """Return a photo as uint8 (height, width, 3), sRGB, upright.

    Raises:
        PhotoError: the file cannot be read as a photo.
    """
    return to_srgb(load_photo(path))


def load_photo(path: Path | str, least_size: Callable[[Size], Size] | None = None) -> LoadedPhoto:
    """Read and decode a photo once, as `decode_photo` does.

    Raises:
        PhotoError: the file cannot be read, or `decode_photo` refuses it.
    """
    path = Path(path)
    with quietly():
        return decode_photo(read_bytes(path), path, least_size)


@contextmanager
def quietly() -> Iterator[None]:
    """Silence Pillow, which warns of odd metadata and of large photos; what matters is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def photo_of_pixels(image: Image.Image, icc_profile: bytes | None) -> LoadedPhoto:
    """Return an upright image in memory as a photo that has no file."""
    return LoadedPhoto(
        path=Path("image"),
        data=b"",
        pixels=image,
        size=image.size,
        format=image.format or "PNG",
        orientation=1,
        exif=Image.Exif(),
        metadata=Metadata(icc_profile=icc_profile),
    )


def decode_photo(
    data: bytes, path: Path, least_size: Callable[[Size], Size] | None = None
) -> LoadedPhoto:
    """Decode a photo once.

    Pillow may warn of odd metadata; `quietly` silences it, for all threads at once.

    Args:
        data: content of its file.
        path: the file, for messages.
        least_size: given the width and height of the upright photo, the smallest size that will
            do. A JPEG is then decoded at 1/2, 1/4 or 1/8 where that is no smaller, which is
            several times faster; other formats are decoded whole.

    Raises:
        PhotoError: it is no photo, is damaged or cut short, or has more pixels than can be decoded
            safely.
    """
    image = _open(data, path)
    faults: list[Fault] = []
    if image.format in ("JPEG", "MPO"):
        faults = jpeg_faults(data, is_multi_picture=image.format == "MPO")
    elif image.format == "PNG":  # Pillow decodes it for its EXIF, which may follow the pixels
        image, faults = _loaded(image, data, path)
    exif = read_exif(image)
    # Pillow turns a TIFF upright by itself as it decodes it.
    orientation = 1 if image.format == "TIFF" else exif.get(ORIENTATION, 1)
    orientation = orientation if orientation in range(1, 9) else 1
    is_turned = orientation > 4
    stored_size = image.size
    size = stored_size[::-1] if is_turned else stored_size
    least = size if least_size is None else least_size(size)
    image, stored, found = _decode(image, data, path, least[::-1] if is_turned else least)
    metadata = _with_stated_colours(read_metadata(image, exif, data), image, exif, data, path)
    frames = read_frames(image, path, orientation=orientation, most_pixels=MOST_PIXELS)
    pixels = frames[0].image if frames else turned_upright(stored, orientation)
    return LoadedPhoto(
        path=path,
        data=data,
        pixels=pixels,
        size=size,
        format="JPEG" if image.format in (None, "MPO") else str(image.format),
        orientation=orientation,
        exif=exif,
        metadata=metadata,
        depth=bits_per_channel(data, image),
        sampling=tuple((layer[1], layer[2]) for layer in getattr(image, "layer", ())),
        frames=frames,
        loop=image.info.get("loop"),
        faults=(*faults, *(found if all(fault.kind == "warning" for fault in faults) else ())),
        warnings=_warnings(image, frames, data),
    )


def _with_stated_colours(
    metadata: Metadata, image: Image.Image, exif: Image.Exif, data: bytes, path: Path
) -> Metadata:
    """Return metadata with a profile of the colours that a file states without one."""
    if metadata.icc_profile is not None:
        return metadata
    try:
        if image.format == "PNG":
            profile = profile_of_png(metadata.colour_chunks)
        elif image.format not in ("AVIF", "HEIF"):
            profile = profile_of_exif(exif) if exif and image.mode == "RGB" else None
        else:
            points = code_points_of_heif(data)
            profile = None if points is None else profile_of_code_points(points)
    except ValueError as error:
        raise PhotoError(
            f"expected colours of a known standard range, {path} has others: {error}; convert it "
            "to sRGB or Display P3 first"
        ) from error
    return replace(metadata, icc_profile=profile)


def _warnings(image: Image.Image, frames: tuple[Frame, ...], data: bytes) -> tuple[str, ...]:
    """Return what of a file no crop can show."""
    count = getattr(image, "n_frames", 1)
    if has_gain_map(image, data):
        return ("its HDR gain map is left out: crops show the standard range",)
    if image.format in ("TIFF", "HEIF") and count > 1:
        return (f"only the first of its {count} pages is cropped",)
    if image.format in ("AVIF", "GIF", "PNG", "WEBP") and count > 1 and not frames:
        return (f"only the first of its {count} pictures is cropped",)
    return ()


def decoded_for(photo: LoadedPhoto, least_size: Size) -> LoadedPhoto:
    """Return a photo with no fewer pixels than wanted: itself, or decoded anew.

    Args:
        photo: from `decode_photo`; the frames of an animation are always whole.
        least_size: the smallest width and height that will do, at most those of the photo.

    Raises:
        PhotoError: it is damaged or cut short.
    """
    width, height = pixel_size(photo.pixels)
    if photo.frames or (width >= least_size[0] and height >= least_size[1]):
        return photo
    least = least_size[::-1] if photo.orientation > 4 else least_size
    _, stored, _ = _decode(_open(photo.data, photo.path), photo.data, photo.path, least)
    return replace(photo, pixels=turned_upright(stored, photo.orientation))


def to_srgb(photo: LoadedPhoto, most_size: Size | None = None) -> NDArray[np.uint8]:
    """Return a decoded photo as uint8 (height, width, 3), sRGB; transparent parts are white.

    16-bit values keep their upper half. A colour profile that cannot be used is passed over.

    Args:
        photo: from `load_photo`.
        most_size: when given, a photo larger than this (width, height) is first averaged down to
            it (`pixels.shrunk`).
    """
    return pixels_to_srgb(photo.pixels, photo.metadata.icc_profile, most_size)


def is_lossless_webp(photo: LoadedPhoto) -> bool:
    """Return whether a photo is a WebP whose pixels, of all frames, are stored without loss."""
    return photo.format == "WEBP" and b"VP8L" in photo.data and b"VP8 " not in photo.data


def read_bytes(path: Path) -> bytes:
    """Return the content of a file that is to be a photo.

    Raises:
        PhotoError: it cannot be read, is empty, too large, a folder, a device or a pipe.
    """
    try:
        if path.is_dir():
            hint = "a recursive run finds photos in the folders inside of it too"
            raise PhotoError(f"expected a photo, got the folder {path}; {hint}")
        if path.exists() and not path.is_file():
            raise PhotoError(f"expected a photo, got a device or a pipe: {path}")
        if path.exists() and path.stat().st_size > MOST_BYTES:
            raise PhotoError(f"expected at most {MOST_BYTES >> 20} MB, {path} has more")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PhotoError(f"cannot read {path}: {reason}") from error
    if not data:
        raise PhotoError(f"expected a photo, got the empty file {path}")
    return data


def _open(data: bytes, path: Path) -> Image.Image:
    """Read the header of a photo."""
    name = photo_format(data[:HEAD_BYTES])
    if name is None:
        raise PhotoError(_no_photo(path))
    if name == "HEIF":
        register_heif()
    try:
        image = Image.open(BytesIO(data), formats=(name,))
    except Image.DecompressionBombError as error:
        raise PhotoError(_too_large(path)) from error
    except UnidentifiedImageError as error:
        raise PhotoError(
            f"{path} is {name}, but of a kind that cannot be read, or damaged"
        ) from error
    except Exception as error:  # readers of headers raise almost anything on damaged bytes
        raise PhotoError(f"{path} is damaged: {first_line(error)}") from error
    if _is_raw(image, path):
        raise PhotoError(f"{path} is a camera's raw file: develop it first, then crop the result")
    if image.width * image.height > MOST_PIXELS:
        raise PhotoError(_too_large(path))
    if image.mode == "F":
        raise PhotoError(f"expected whole-number pixels, {path} has floating-point ones")
    if loses_depth(image):
        raise PhotoError(
            f"expected 16 bits per channel as grey, RGB or RGBA, {path} has them in another form; "
            "save it as one of these, or with 8 bits"
        )
    return image


def _is_raw(image: Image.Image, path: Path) -> bool:
    """Return whether an opened TIFF is a camera's raw file, of which it shows a thumbnail only.

    By its ending, by what DNG states, or by a first picture that is said to be reduced and has the
    real one below it, as in NEF, ARW and PEF.
    """
    if image.format != "TIFF":
        return False
    tags: Any = getattr(image, "tag_v2", {})
    is_reduced = bool(int(tags.get(_SUBFILE, 0)) & 1) and _SUB_DIRECTORIES in tags
    return path.suffix.lower() in _RAW_SUFFIXES or _DNG_VERSION in tags or is_reduced


def _decode(
    image: Image.Image, data: bytes, path: Path, least: Size
) -> tuple[Image.Image, Pixels, list[Fault]]:
    """Decode the pixels of a photo whose header has been read, as they are stored.

    Returns:
        The image, the pixels, and what was wrong with them.
    """
    jpeg = decode_jpeg(data, image, least)
    if jpeg is not None:
        return image, *jpeg
    faults: list[Fault] = []
    if image.format == "HEIF" and is_sixteen_bit(data, image):
        deep = read_sixteen_bit(data, image)
        if deep is not None:
            return image, deep, faults
    image.draft(None, least)
    image, faults = _loaded(image, data, path)
    if image.format != "HEIF" and is_sixteen_bit(data, image):
        deep = read_sixteen_bit(data, image)
        return image, image if deep is None else deep, faults
    return image, image, faults


def _loaded(image: Image.Image, data: bytes, path: Path) -> tuple[Image.Image, list[Fault]]:
    """Return an opened photo with its pixels, or with those that can be had, and what is wrong."""
    try:
        image.load()
    except Exception as error:  # decoders raise almost anything on damaged bytes
        lenient = _load_leniently(data, str(image.format))
        if lenient is None:
            message = f"{path} is damaged or cut short: {first_line(error)}"
            raise PhotoError(message) from error
        return lenient, [undecodable(error)]
    return image, []


def _load_leniently(data: bytes, name: str) -> Image.Image | None:
    """Return what can be decoded of a damaged file; None for nothing.

    Pillow has one switch for that, for all threads; it is on for no longer than this takes.
    """
    with _LENIENT:
        before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, True
        try:
            image = Image.open(BytesIO(data), formats=(name,))
            image.load()
        except Exception:  # as above
            return None
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = before
    return image


def _no_photo(path: Path) -> str:
    """Return the message that a file is no photo."""
    return f"expected a JPEG, PNG, WebP, AVIF, TIFF, GIF, BMP or HEIC photo, {path} is none of them"


def _too_large(path: Path) -> str:
    """Return the message that a photo has too many pixels."""
    return f"expected at most {MOST_PIXELS // 1_000_000} megapixels, {path} has more; shrink it"
