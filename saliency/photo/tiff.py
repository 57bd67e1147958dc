"""TIFF files of crops: one strip, deflated by differences, with whatever metadata they are to hold.

Written here and not by Pillow, which loses 16 bits per colour and cannot put EXIF directories
beside compressed pixels ("TIFF 6.0", Adobe, 1992).
"""

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, TiffTags

from saliency.photo.metadata.file_metadata import TIFF_LAYOUT_TAGS, Metadata, as_bytes
from saliency.photo.pixels import Pixels

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _COLOURS = 0x0100, 0x0101, 0x0102, 0x0103, 0x0106
_PLACES, _CHANNELS, _ROWS, _LENGTHS, _PREDICTOR = 0x0111, 0x0115, 0x0116, 0x0117, 0x013D
_COLOUR_MAP, _EXTRA, _SAMPLE_FORMAT = 0x0140, 0x0152, 0x0153
_X_DPI, _Y_DPI, _UNIT, _XMP, _IPTC, _ICC = 0x011A, 0x011B, 0x0128, 0x02BC, 0x83BB, 0x8773
_EXIF_IFD, _GPS_IFD, _MAKER_NOTE, _INCH = 0x8769, 0x8825, 0x927C, 2
_DEFLATE, _DIFFERENCES, _ALPHA, _SIGNED = 8, 2, 2, 2
_BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK = 1, 2, 3, 5
_COLOURS_OF = {"P": _PALETTE, "CMYK": _CMYK, "RGB": _RGB, "RGBA": _RGB}


def encode_tiff(pixels: Pixels, metadata: Metadata) -> bytes:
    """Return pixels as a TIFF in their own mode and depth.

    Args:
        pixels: an image of mode 1, L, LA, P, RGB, RGBA, CMYK or I, or an array (height, width,
            channels) of uint8 or uint16: grey, grey and alpha, RGB, or RGBA.
        metadata: what else the file is to hold.
    """
    values, tags = _image_values(pixels) if isinstance(pixels, Image.Image) else _described(pixels)
    height, width = values.shape[:2]
    rows = values.astype(values.dtype.newbyteorder("<"))
    if tags[_COLOURS] != _PALETTE and rows.dtype.itemsize <= 2 and tags[_BITS] != (1,):
        rows[:, 1:] -= values[:, :-1].astype(rows.dtype)  # wraps around, as reading it does
        tags[_PREDICTOR] = _DIFFERENCES
    strip = zlib.compress(rows.tobytes())
    if tags[_BITS] == (1,):
        width = pixels.size[0] if isinstance(pixels, Image.Image) else width
    tags |= {_WIDTH: width, _HEIGHT: height, _COMPRESSION: _DEFLATE}
    tags |= {_ROWS: height, _LENGTHS: len(strip), _PLACES: 0}  # right behind the tags
    return b"II*\0" + struct.pack("<I", 8) + _directory(tiff_tags(metadata) | tags) + strip


def tiff_tags(metadata: Metadata) -> dict[int, Any]:
    """Return the tags of a TIFF by which it holds metadata; a camera's own notes stay behind."""
    return {tag: value for tag, value in _all_tags(metadata).items() if _is_writable(tag, value)}


def unwritable_tags(metadata: Metadata) -> list[str]:
    """Return the names of the tags that a TIFF cannot hold, as their values are damaged."""
    return [
        TiffTags.lookup(tag).name or str(tag)
        for tag, value in _all_tags(metadata).items()
        if not _is_writable(tag, value)
    ]


def _is_writable(tag: int, value: Any) -> bool:
    try:
        _directory({tag: value})
    except Exception:  # Pillow raises almost anything on values of the wrong kind
        return False
    return True


def _directory(tags: dict[int, Any]) -> bytes:
    """Return tags as the directory of a TIFF, which begins at its ninth byte."""
    directory = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II")
    for tag, value in tags.items():
        if isinstance(value, bytes) and _is_text(tag):
            directory.tagtype[tag] = 2
        directory[tag] = value
    return directory.tobytes(8)


def _all_tags(metadata: Metadata) -> dict[int, Any]:
    """Return every tag by which a TIFF is to hold metadata."""
    tags: dict[int, Any] = {}
    if metadata.exif:
        exif = Image.Exif()
        exif.load(metadata.exif)
        tags |= {tag: as_bytes(value) for tag, value in exif.items() if tag not in TIFF_LAYOUT_TAGS}
        for block in (_EXIF_IFD, _GPS_IFD):
            if block in exif:
                inner = {tag: as_bytes(value) for tag, value in exif.get_ifd(block).items()}
                inner.pop(_MAKER_NOTE, None)
                tags[block] = inner
    for tag, value in ((_XMP, metadata.xmp), (_IPTC, metadata.iptc), (_ICC, metadata.icc_profile)):
        if value:
            tags[tag] = value
    if metadata.dpi is not None:
        tags |= {_X_DPI: metadata.dpi[0], _Y_DPI: metadata.dpi[1], _UNIT: _INCH}
    return tags


def _is_text(tag: int) -> bool:
    return TiffTags.lookup(tag).type == TiffTags.ASCII


def _image_values(image: Image.Image) -> tuple[NDArray[Any], dict[int, Any]]:
    """Return the values of an image (height, width, …) and the tags that describe them."""
    values = np.asarray(image)
    if image.mode == "1":
        return np.packbits(values, axis=1), {_BITS: (1,), _COLOURS: _BLACK_IS_ZERO, _CHANNELS: 1}
    if image.mode == "I":
        tags = {_BITS: (32,), _COLOURS: _BLACK_IS_ZERO, _CHANNELS: 1, _SAMPLE_FORMAT: (_SIGNED,)}
        return values.astype(np.int32), tags
    channels = 1 if values.ndim == 2 else values.shape[2]
    tags = {_BITS: (8,) * channels, _CHANNELS: channels}
    tags[_COLOURS] = _COLOURS_OF.get(image.mode, _BLACK_IS_ZERO)
    if image.mode in ("LA", "RGBA"):
        tags[_EXTRA] = (_ALPHA,)
    if image.mode == "P":
        palette = np.zeros((256, 3), dtype=np.uint16)
        colours = np.frombuffer(bytes(image.getpalette("RGB") or b""), np.uint8).reshape(-1, 3)
        palette[: len(colours)] = colours.astype(np.uint16) * 257
        tags[_COLOUR_MAP] = tuple(palette.T.ravel().tolist())
    return values, tags


def _described(values: NDArray[Any]) -> tuple[NDArray[Any], dict[int, Any]]:
    """Return an array and the tags that describe it."""
    channels = values.shape[2]
    tags: dict[int, Any] = {_BITS: (8 * values.dtype.itemsize,) * channels, _CHANNELS: channels}
    tags[_COLOURS] = _RGB if channels > 2 else _BLACK_IS_ZERO
    if channels in (2, 4):
        tags[_EXTRA] = (_ALPHA,)
    return values, tags
