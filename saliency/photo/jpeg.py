"""JPEGs from and to arrays by libjpeg-turbo: faster than through Pillow, which packs pixels."""

import struct

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from saliency.geometry import Size
from saliency.photo.damage import Fault, doubtful_jpeg
from saliency.photo.metadata.file_metadata import Metadata

Subsampling = str
"""How JPEG samples colours: `4:4:4`, `4:2:2` or `4:2:0`."""

_SCALES = (8, 4, 2)


def decode_jpeg(
    data: bytes, image: Image.Image, least_size: Size
) -> tuple[NDArray[np.uint8], list[Fault]] | None:
    """Return the pixels of a grey or RGB JPEG, at 1/2, 1/4 or 1/8 where that is large enough.

    Args:
        data: content of the file.
        image: the same, opened.
        least_size: the smallest width and height that will do.

    Returns:
        uint8 (height, width, 1 or 3), and what libjpeg found wrong with its data. None for another
        kind of JPEG, or for one that it gives up: Pillow, which is more lenient, may read it.
    """
    if image.format not in ("JPEG", "MPO") or image.mode not in ("L", "RGB"):
        return None
    width, height = image.size
    for scale in _SCALES:
        if -(-width // scale) >= least_size[0] and -(-height // scale) >= least_size[1]:
            width, height = -(-width // scale), -(-height // scale)
            break

    def decoded(*, strict: bool) -> NDArray[np.uint8]:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data,
            colorspace="GRAY" if image.mode == "L" else "RGB",
            min_width=width,
            min_height=height,
            min_factor=1,
            strict=strict,
        )
        return pixels

    faults = []
    try:
        try:
            pixels = decoded(strict=True)
        except ValueError as error:
            pixels = decoded(strict=False)
            faults = [doubtful_jpeg(error)]
    except (ValueError, RuntimeError, MemoryError):
        return None
    return (pixels, faults) if pixels.shape[1::-1] == (width, height) else None


def encode_jpeg(pixels: NDArray[np.uint8], *, quality: int, subsampling: Subsampling) -> bytes:
    """Return pixels (height, width, 1 or 3) as a JPEG that carries nothing else.

    Raises:
        ValueError: a side is longer than JPEG allows.
    """
    is_grey = pixels.shape[2] == 1
    rows: NDArray[np.uint8] = pixels
    if rows.strides[1:] != (pixels.shape[2], 1) or rows.strides[0] <= 0:
        rows = np.ascontiguousarray(rows)  # turned or mirrored
    encoded: bytes = simplejpeg.encode_jpeg(
        rows,
        quality=quality,
        colorspace="GRAY" if is_grey else "RGB",
        colorsubsampling="Gray" if is_grey else subsampling.replace(":", ""),
    )
    return encoded


_MOST_BYTES = 65_533  # what one segment can hold


_XMP_NAME = b"http://ns.adobe.com/xap/1.0/\0"


_ICC_NAME = b"ICC_PROFILE\0"


_ICC_PART = _MOST_BYTES - len(_ICC_NAME) - 2


_APP1, _APP2, _APP13, _COMMENT = 0xE1, 0xE2, 0xED, 0xFE
_JFIF = slice(2, 4), slice(6, 11)


def with_segments(jpeg: bytes, metadata: Metadata) -> bytes:
    """Return a JPEG that carries metadata.

    What does not fit into a segment of 64 kB (an EXIF, an XMP packet, IPTC records) is left out;
    a colour profile may take several.

    Args:
        jpeg: an encoded picture that carries none yet.
        metadata: what it is to carry.
    """
    end = _jfif_end(jpeg)
    segments = [(_APP1, metadata.exif), (_APP1, metadata.xmp and _XMP_NAME + metadata.xmp)]
    if metadata.comment:
        segments.append((_COMMENT, metadata.comment))
    if metadata.iptc:
        segments.append((_APP13, _photoshop(metadata.iptc)))
    profile = metadata.icc_profile or b""
    parts = [profile[at : at + _ICC_PART] for at in range(0, len(profile), _ICC_PART)]
    if len(parts) < 256:
        for number, part in enumerate(parts, start=1):
            segments.append((_APP2, _ICC_NAME + bytes([number, len(parts)]) + part))
    inserted = b"".join(
        struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content
        for marker, content in segments
        if 0 < len(content) <= _MOST_BYTES
    )
    return b"".join([_with_dpi(jpeg[:end], metadata.dpi), inserted, memoryview(jpeg)[end:]])


def segments_too_long(metadata: Metadata) -> list[str]:
    """Return which parts of metadata do not fit into a segment of 64 kB, by their names."""
    xmp = len(metadata.xmp) + len(_XMP_NAME)
    parts = (("EXIF", len(metadata.exif)), ("XMP", xmp), ("IPTC", len(metadata.iptc) + 26))
    return [name for name, length in parts if length > _MOST_BYTES]


def _jfif_end(jpeg: bytes) -> int:
    """Return where the first segment ends, which stays the first if it is JFIF's."""
    marker, name = _JFIF
    if jpeg[marker] == b"\xff\xe0" and jpeg[name] == b"JFIF\0":
        return 4 + int.from_bytes(jpeg[4:6])
    return 2


def _with_dpi(beginning: bytes, dpi: tuple[float, float] | None) -> bytes:
    """Return the beginning of a JPEG, with the resolution in its JFIF segment."""
    if dpi is None or len(beginning) < 18:
        return beginning
    across, down = (max(1, round(value)) for value in dpi)
    return beginning[:13] + struct.pack(">BHH", 1, across, down) + beginning[18:]


def _photoshop(iptc: bytes) -> bytes:
    """Return IPTC records as the only resource of a Photoshop segment."""
    padded = iptc + b"\0" * (len(iptc) % 2)
    return b"Photoshop 3.0\0" + b"8BIM" + struct.pack(">HHI", 0x0404, 0, len(iptc)) + padded
