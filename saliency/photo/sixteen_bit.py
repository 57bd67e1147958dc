"""Colour PNGs and TIFFs of 16 bits per channel, of which Pillow keeps 8: read and written here.

OpenCV decodes both and encodes PNG; colour profile and EXIF are put in here.
"""

import struct
import zlib
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from saliency.photo.metadata import Carried

_PNG = b"\x89PNG\r\n\x1a\n"
_PIXEL_CHUNKS = {b"IHDR", b"tRNS", b"IDAT", b"IEND"}
_IHDR_END = 33
_SIZE_AND_LAYOUT = 0x0100, 0x0101, 0x0102, 0x0103, 0x0106, 0x0111, 0x0115, 0x0116, 0x0117, 0x013D
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _COLOURS, _PLACES, _CHANNELS, _ROWS, _LENGTHS, _PREDICTOR = (
    _SIZE_AND_LAYOUT
)
_X_DPI, _Y_DPI, _EXTRA, _XMP, _IPTC, _ICC = 0x011A, 0x011B, 0x0152, 0x02BC, 0x83BB, 0x8773
_DEFLATE, _RGB, _DIFFERENCES, _ALPHA = 8, 2, 2, 2


def is_deep(data: bytes, image: Image.Image) -> bool:
    """Return whether a file is a colour PNG or TIFF of 16 bits.

    Args:
        data: content of the file.
        image: the same, opened.
    """
    if image.format == "PNG":
        return data[24:25] == b"\x10" and data[25:26] in (b"\x02", b"\x06")
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(_BITS, ())
    return len(bits) in (3, 4) and set(bits) == {16} and tags.get(_COLOURS) == _RGB


def read_deep(data: bytes) -> NDArray[np.uint16] | None:
    """Return the pixels of a colour PNG or TIFF of 16 bits as they are stored.

    A TIFF is turned upright, as Pillow does too.

    Returns:
        uint16 (height, width, 3 or 4): red, green, blue, alpha. None where it cannot be decoded.
    """
    plain = _only_pixels(data) if data.startswith(_PNG) else data
    try:
        stored = cv2.imdecode(np.frombuffer(plain, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if stored is None or stored.dtype != np.uint16 or stored.ndim != 3:
        return None
    return _red_first(stored.astype(np.uint16, copy=False))


def encode_deep_png(pixels: NDArray[np.uint16], carried: Carried) -> bytes:
    """Return pixels as a PNG of 16 bits, with what else it is to carry."""
    _, encoded = cv2.imencode(".png", _red_first(pixels))
    data = encoded.tobytes()
    chunks = b""
    if carried.icc_profile is not None:
        chunks += _chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(carried.icc_profile))
    if carried.dpi is not None:
        per_metre = (round(value / 0.0254) for value in carried.dpi)
        chunks += _chunk(b"pHYs", struct.pack(">IIB", *per_metre, 1))
    if carried.exif:
        chunks += _chunk(b"eXIf", carried.exif.removeprefix(b"Exif\0\0"))
    if carried.xmp:
        chunks += _chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + carried.xmp)
    return data[:_IHDR_END] + chunks + data[_IHDR_END:]


def encode_deep_tiff(pixels: NDArray[np.uint16], carried: Carried) -> bytes:
    """Return pixels as a TIFF of 16 bits (deflate, by differences), with what else it carries."""
    height, width, channels = pixels.shape
    values = pixels.astype("<u2")
    values[:, 1:] -= pixels[:, :-1].astype("<u2")  # wraps around, as reading it does
    strip = zlib.compress(values.tobytes())
    tags: dict[int, Any] = tiff_tags(carried)
    tags |= {_WIDTH: width, _HEIGHT: height, _BITS: (16,) * channels, _CHANNELS: channels}
    tags |= {_COMPRESSION: _DEFLATE, _COLOURS: _RGB, _PREDICTOR: _DIFFERENCES}
    tags |= {_ROWS: height, _LENGTHS: len(strip), _PLACES: 0}  # right behind the tags
    if carried.dpi is not None:
        tags |= {_X_DPI: carried.dpi[0], _Y_DPI: carried.dpi[1]}
    if channels == 4:
        tags[_EXTRA] = _ALPHA
    if carried.icc_profile is not None:
        tags[_ICC] = carried.icc_profile
    directory = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II")
    for tag, value in tags.items():
        directory[tag] = value
    return b"II*\0" + struct.pack("<I", 8) + directory.tobytes(8) + strip


def tiff_tags(carried: Carried) -> dict[int, Any]:
    """Return the tags of a TIFF by which it carries EXIF, XMP and IPTC."""
    tags: dict[int, Any] = {}
    if carried.exif:
        exif = Image.Exif()
        exif.load(carried.exif)
        tags |= dict(exif)
        tags |= {block: exif.get_ifd(block) for block in (0x8769, 0x8825) if block in exif}
    if carried.xmp:
        tags[_XMP] = carried.xmp
    if carried.iptc:
        tags[_IPTC] = carried.iptc
    return tags


def _only_pixels(png: bytes) -> bytes:
    """Return a PNG without what it carries, of which its reader would complain on its own."""
    kept, at = [_PNG], len(_PNG)
    while at + 12 <= len(png):
        end = at + 12 + int.from_bytes(png[at : at + 4])
        if png[at + 4 : at + 8] in _PIXEL_CHUNKS:
            kept.append(png[at:end])
        at = end
    return b"".join(kept)


def _red_first(pixels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Return pixels with red and blue exchanged: between OpenCV's order and everybody's."""
    order = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(pixels, order), dtype=np.uint16)


def _chunk(name: bytes, content: bytes) -> bytes:
    """Return one chunk of a PNG."""
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)
