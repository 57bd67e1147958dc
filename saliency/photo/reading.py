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

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from saliency.errors import PhotoError, first_line
from saliency.geometry import Size
from saliency.photo.animation import Frame, read_frames
from saliency.photo.colour import pixels_to_srgb
from saliency.photo.formats import HEAD_BYTES, photo_format, register_heif
from saliency.photo.jpeg import decode_jpeg
from saliency.photo.metadata import ORIENTATION, Metadata, read_exif, read_metadata
from saliency.photo.pixels import Pixels, pixel_size, turned_upright
from saliency.photo.sixteen_bit import is_sixteen_bit, loses_depth, read_sixteen_bit

MOST_PIXELS = 178_000_000
"""A larger photo is refused before it is decoded: it would take gigabytes of memory.

Of an animation, the pixels of all frames together."""

MOST_BYTES = 1 << 30
"""A larger file is refused before it is read."""


@dataclass(frozen=True)
class LoadedPhoto:
    """A decoded photo, upright, with what its file metadata.

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
        sampling: of a JPEG, how often each colour is sampled across and down; empty for others.
        frames: of an animation, all frames, upright; empty for a still photo.
        loop: how often an animation is to be played, 0 for ever; None where the file does not say.
    """

    path: Path
    data: bytes
    pixels: Pixels
    size: Size
    format: str
    orientation: int
    exif: Image.Exif
    metadata: Metadata
    sampling: tuple[Size, ...] = ()
    frames: tuple[Frame, ...] = ()
    loop: int | None = None

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

    Pillow may warn of odd metadata; whoever minds silences it, for all threads at once.

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
    exif = read_exif(image)
    # Pillow turns a TIFF upright by itself as it decodes it.
    orientation = 1 if image.format == "TIFF" else exif.get(ORIENTATION, 1)
    orientation = orientation if orientation in range(1, 9) else 1
    is_turned = orientation > 4
    stored_size = image.size
    size = stored_size[::-1] if is_turned else stored_size
    least = size if least_size is None else least_size(size)
    stored = _decode(image, data, path, least[::-1] if is_turned else least)
    metadata = read_metadata(image, exif, data)
    frames = read_frames(image, path, orientation=orientation, most_pixels=MOST_PIXELS)
    return LoadedPhoto(
        path=path,
        data=data,
        pixels=frames[0].image if frames else turned_upright(stored, orientation),
        size=size,
        format="JPEG" if image.format in (None, "MPO") else str(image.format),
        orientation=orientation,
        exif=exif,
        metadata=metadata,
        sampling=tuple((layer[1], layer[2]) for layer in getattr(image, "layer", ())),
        frames=frames,
        loop=image.info.get("loop"),
    )


def decoded_for(photo: LoadedPhoto, least_size: Size) -> LoadedPhoto:
    """Return a photo with no fewer pixels than wanted: itself, or decoded anew.

    Args:
        photo: from `decode_photo`; the frames of an animation are whole ever.
        least_size: the smallest width and height that will do, at most those of the photo.

    Raises:
        PhotoError: it is damaged or cut short.
    """
    width, height = pixel_size(photo.pixels)
    if photo.frames or (width >= least_size[0] and height >= least_size[1]):
        return photo
    least = least_size[::-1] if photo.orientation > 4 else least_size
    stored = _decode(_open(photo.data, photo.path), photo.data, photo.path, least)
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


def read_bytes(path: Path) -> bytes:
    """Return the content of a file that is to be a photo.

    Raises:
        PhotoError: it cannot be read, is empty, too large, a folder, a device or a pipe.
    """
    try:
        if path.is_dir():
            hint = "with --recursive, photos in the folders inside of it are found too"
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
        raise PhotoError(_no_photo(path)) from error
    except Exception as error:  # readers of headers raise almost anything on damaged bytes
        raise PhotoError(f"{path} is damaged: {first_line(error)}") from error
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


def _decode(image: Image.Image, data: bytes, path: Path, least: Size) -> Pixels:
    """Decode the pixels of a photo whose header has been read, as they are stored."""
    pixels: Pixels | None = decode_jpeg(data, image, least)
    if pixels is not None:
        return pixels
    try:
        image.draft(None, least)
        image.load()
    except Exception as error:  # decoders raise almost anything on damaged bytes
        raise PhotoError(f"{path} is damaged or cut short: {first_line(error)}") from error
    deep = read_sixteen_bit(data, image) if is_sixteen_bit(data, image) else None
    return image if deep is None else deep


def _no_photo(path: Path) -> str:
    """Say that a file is no photo."""
    return f"expected a JPEG, PNG, WebP, AVIF, TIFF, GIF, BMP or HEIC photo, {path} is none of them"


def _too_large(path: Path) -> str:
    """Say that a photo has too many pixels."""
    return f"expected at most {MOST_PIXELS // 1_000_000} megapixels, {path} has more; shrink it"
