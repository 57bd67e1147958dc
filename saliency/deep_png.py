"""Colour PNGs of 16 bits per channel, of which Pillow keeps 8: read and written with OpenCV.

OpenCV in turn knows neither colour profile nor EXIF in a PNG; both are put in as chunks here.
"""

import struct
import zlib

import cv2
import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_IHDR_END = len(_SIGNATURE) + 25
_COLOUR_TYPES = (2, 6)  # RGB, RGBA
# What each EXIF orientation does to rows and columns: turned left so often, after a flip or not.
_TURNS = {
    2: (0, True),
    3: (2, False),
    4: (2, True),
    5: (1, True),
    6: (3, False),
    7: (3, True),
    8: (1, False),
}


def read_deep(data: bytes, orientation: int) -> NDArray[np.uint16] | None:
    """Return the upright pixels of a colour PNG of 16 bits, or None for any other file.

    Args:
        data: content of the file.
        orientation: from its EXIF, 1 to 8.

    Returns:
        uint16 (height, width, 3 or 4), in OpenCV's order: blue, green, red, alpha.
    """
    is_deep = data.startswith(_SIGNATURE) and data[24:25] == b"\x10" and data[25] in _COLOUR_TYPES
    if not is_deep:
        return None
    stored = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None or stored.dtype != np.uint16:
        return None
    turns, is_flipped = _TURNS.get(orientation, (0, False))
    flipped = stored[:, ::-1] if is_flipped else stored
    return np.ascontiguousarray(np.rot90(flipped, turns), dtype=np.uint16)


def encode_deep(pixels: NDArray[np.uint16], *, exif: bytes, icc_profile: bytes | None) -> bytes:
    """Return pixels in OpenCV's order as a PNG of 16 bits, with what else it is to carry."""
    _, encoded = cv2.imencode(".png", pixels)
    data = encoded.tobytes()
    carried = b""
    if icc_profile is not None:
        carried += _chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc_profile))
    if exif:
        carried += _chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    return data[:_IHDR_END] + carried + data[_IHDR_END:]


def _chunk(name: bytes, content: bytes) -> bytes:
    """Return one chunk of a PNG."""
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)
